//! What a WebSocket peer sends: frames, heads, the command behind the token. The first byte chooses which.

use commucat_websocket::fuzzing;

pub(crate) fn run(data: &[u8]) {
    let Some((kind, data)) = data.split_first() else { return };
    let kept = match kind % 5 {
        0 => fuzzing::frame_header(data),
        1 => fuzzing::close_body(data),
        2 => fuzzing::request_head(data),
        3 => fuzzing::response_head(data),
        _ => fuzzing::command(data),
    };
    assert!(kept);
}
