//! What a local program and a web server send to the client: SOCKS and HTTP. The first byte chooses which.

use commucat_client::fuzzing;

pub(crate) fn run(data: &[u8]) {
    let Some((kind, data)) = data.split_first() else { return };
    let kept = match kind % 6 {
        0 => fuzzing::socks5(data),
        1 => fuzzing::socks4(data),
        2 => fuzzing::socks_udp(data),
        3 => fuzzing::http_request(data),
        4 => fuzzing::http_response(data),
        _ => fuzzing::http_chunked(data),
    };
    assert!(kept);
}
