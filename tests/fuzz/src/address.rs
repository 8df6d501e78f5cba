//! The binary address of SOCKS5 and Shadowsocks: exactly what was consumed is written again.

use commucat_transport_api::{HostPort, MAX_ADDRESS_BYTES};

pub(crate) fn run(data: &[u8]) {
    let mut rest = data;
    let Ok(address) = HostPort::decode(&mut rest) else {
        assert_eq!(rest.len(), data.len(), "an error consumes nothing");
        return;
    };
    let consumed = data.len() - rest.len();
    assert!(consumed <= MAX_ADDRESS_BYTES);
    let mut written = Vec::new();
    address.encode(&mut written);
    assert_eq!(written.len(), address.encoded_len());
    let again = HostPort::decode(&mut written.as_slice()).expect("what was written is an address");
    assert_eq!(again, address);
}
