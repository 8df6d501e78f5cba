//! A datagram read as QUIC. The bytes are taken as they are, and as the frames inside a sealed Initial, which a fuzzer
//! could not seal.

use commucat_dissect::quic::{
    Header, Initial, InitialSpec, VERSION_1, VERSION_2, header, initial, seal_initial, version_negotiation,
};

pub(crate) fn run(data: &[u8]) {
    if let Some(Header::Long { .. }) = header(data) {
        let answer = version_negotiation(data, &[VERSION_1], 0).expect("a long header can be answered");
        assert!(matches!(header(&answer), Some(Header::Long { version: 0, .. })));
    }
    if let Some(seen) = initial(data) {
        use_all(&seen);
    }
    let version = if data.len().is_multiple_of(2) { VERSION_1 } else { VERSION_2 };
    let spec = InitialSpec { version, ..InitialSpec::first(&[7; 8], &[], data) };
    let Some(packet) = seal_initial(&spec) else { return };
    let seen = initial(&packet).expect("what was sealed opens");
    assert_eq!((seen.version, &seen.destination_id[..]), (version, &[7; 8][..]));
    use_all(&seen);
}

fn use_all(seen: &Initial) {
    let stream = seen.stream();
    for piece in seen.crypto.iter().filter(|piece| piece.offset == 0) {
        assert!(stream.len() >= piece.data.len());
    }
    if let Some(hello) = seen.client_hello() {
        assert!(stream.starts_with(hello.message()));
        assert_eq!(seen.client_hello_prefix().map(|prefix| prefix.is_whole()), Some(true));
    }
}
