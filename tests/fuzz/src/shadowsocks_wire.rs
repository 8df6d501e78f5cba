//! The plaintext headers of Shadowsocks, TCP and UDP. The first byte chooses which.

use commucat_shadowsocks::wire;

pub(crate) fn run(data: &[u8]) {
    let Some((kind, data)) = data.split_first() else { return };
    match kind % 7 {
        0 => request_fixed(data),
        1 => response_fixed(data),
        2 => drop(wire::decode_request_head(data)),
        3 => drop(wire::decode_legacy_request(data)),
        4 => drop(wire::decode_client_packet(data)),
        5 => drop(wire::decode_server_packet(data)),
        _ => drop(wire::legacy_packet(data)),
    }
}

fn request_fixed(data: &[u8]) {
    let Ok(head) = wire::RequestFixed::decode(data) else { return };
    assert_eq!(head.encode().as_slice(), data.get(..wire::REQUEST_FIXED_BYTES).unwrap_or_default());
}

fn response_fixed(data: &[u8]) {
    const SALT_BYTES: usize = 16;
    let Ok(head) = wire::ResponseFixed::decode(data, SALT_BYTES) else { return };
    let mut written = Vec::new();
    head.encode(&mut written);
    assert_eq!(written, data.get(..wire::response_fixed_bytes(SALT_BYTES)).unwrap_or_default());
}
