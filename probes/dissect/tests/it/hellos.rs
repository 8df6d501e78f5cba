//! ClientHellos that real programs sent, in every cut; and broken ones.

use commucat_dissect::tls::{
    self, ClientHello, ContentType, Defragment, Hello, Transport, client_hello, client_hello_prefix, records,
    split_records,
};
use proptest::prelude::*;

/// File, bytes, JA4. `tests/vectors/README.md` says where they come from.
pub(crate) const RECORDED: [(&str, &[u8], &str); 6] = [
    (
        "chromium fresh",
        include_bytes!("../vectors/chromium-156-fresh-1.bin"),
        "t13d1517h2_8daaf6152771_cb7bf5808d99",
    ),
    (
        "chromium fresh",
        include_bytes!("../vectors/chromium-156-fresh-2.bin"),
        "t13d1517h2_8daaf6152771_cb7bf5808d99",
    ),
    (
        "chromium resumed",
        include_bytes!("../vectors/chromium-156-resumed-1.bin"),
        "t13d1518h2_8daaf6152771_e2d80978ab2e",
    ),
    (
        "chromium resumed",
        include_bytes!("../vectors/chromium-156-resumed-2.bin"),
        "t13d1518h2_8daaf6152771_e2d80978ab2e",
    ),
    ("firefox", include_bytes!("../vectors/firefox-153-fresh-1.bin"), "t13d1617h2_86a278354501_3cbfd9057e0d"),
    ("curl", include_bytes!("../vectors/curl-openssl-fresh.bin"), "t13d3112h2_e8f1e7e78f70_b26ce05bbdd6"),
];

/// The first record alone; the resumed flights go on behind it.
pub(crate) fn first_record(flight: &[u8]) -> &[u8] {
    let length = usize::from(u16::from_be_bytes([flight[3], flight[4]]));
    &flight[..5 + length]
}

pub(crate) fn read(stream: &[u8]) -> ClientHello {
    *client_hello(stream, Defragment::Records).complete().expect("a whole hello")
}

#[test]
fn recorded_hellos_have_their_known_fingerprints() {
    for (name, bytes, ja4) in RECORDED {
        let hello = read(bytes);
        assert_eq!(hello.ja4(Transport::Tcp), ja4, "{name}");
        assert_eq!(hello.server_name(), Some("www.example.com"), "{name}");
        assert_eq!(hello.alpn().collect::<Vec<_>>(), [&b"h2"[..], b"http/1.1"], "{name}");
        assert_eq!((hello.highest_version(), hello.session_id().len()), (0x0304, 32), "{name}");
        assert_eq!(hello.has_psk(), name.contains("resumed"), "{name}");
        assert_eq!(hello.ech(), name != "curl", "{name}");
        assert!(!hello.esni(), "{name}");
        assert_eq!(hello.message(), &first_record(bytes)[5..], "{name}");
    }
}

#[test]
fn lists_of_chromium() {
    let hello = read(RECORDED[0].1);
    let groups = hello.groups();
    assert!(tls::is_grease(groups[0]));
    assert_eq!(groups[1..], [0x11ec, 0x1d, 0x17, 0x18]);
    let shares: Vec<_> = hello.key_shares().iter().map(|(group, key)| (*group, key.len())).collect();
    assert_eq!(shares[1..], [(0x11ec, 1216), (0x1d, 32)]);
    assert_eq!(hello.signature_algorithms()[1..4], [0x0904, 0x0905, 0x0906]);
    assert_eq!(hello.supported_versions()[1..], [0x0304, 0x0303]);
    assert!(tls::is_grease(hello.cipher_suites[0]));
    assert_eq!(hello.extensions().count(), 19);
    assert!(hello.ja4_raw(Transport::Quic).starts_with("q13d1517h2_002f,0035,"));
}

#[test]
fn a_prefix_is_incomplete_until_the_last_byte() {
    for (name, bytes, _ja4) in RECORDED {
        let record = first_record(bytes);
        for length in 0..record.len() {
            for defragment in [Defragment::None, Defragment::Records] {
                let seen = client_hello(&record[..length], defragment);
                assert!(matches!(seen, Hello::Incomplete), "{name}, {length} bytes: {seen:?}");
            }
        }
        let with_more = [bytes, &[0x17, 3, 3]].concat();
        assert_eq!(read(&with_more), read(bytes));
    }
}

#[test]
fn spread_over_records() {
    for (name, bytes, ja4) in RECORDED {
        let message = &first_record(bytes)[5..];
        for sizes in [&[1][..], &[3], &[4], &[5], &[64], &[100, 1, 1, 700]] {
            let stream = split_records(message, sizes);
            assert!(matches!(client_hello(&stream, Defragment::None), Hello::Fragmented), "{name}");
            assert_eq!(read(&stream).ja4(Transport::Tcp), ja4, "{name}");
            let cut = &stream[..stream.len() - 1];
            assert!(matches!(client_hello(cut, Defragment::Records), Hello::Incomplete), "{name}");
        }
        assert_eq!(split_records(message, &[]), first_record(bytes));
    }
}

#[test]
fn the_first_segment_shows_what_it_holds() {
    let curl = client_hello_prefix(&RECORDED[5].1[..200]).unwrap();
    assert_eq!((curl.server_name(), curl.is_whole()), (Some("www.example.com"), false));
    let early = client_hello_prefix(&RECORDED[5].1[..150]).unwrap();
    assert_eq!((early.server_name(), early.cipher_suites.len()), (None, 31));
    assert!(client_hello_prefix(&RECORDED[5].1[..60]).is_none());
    assert!(client_hello_prefix(RECORDED[5].1).unwrap().is_whole());
}

#[test]
fn what_is_no_hello() {
    let good = RECORDED[5].1;
    let changed = |at: usize, byte: u8| {
        let mut bytes = good.to_vec();
        bytes[at] = byte;
        client_hello(&bytes, Defragment::Records)
    };
    // Content type, major and minor version, record length zero and above the limit, message type, message length.
    for (at, byte) in [(0, 0x17), (1, 2), (2, 5), (3, 0x49), (5, 2), (6, 1)] {
        assert!(matches!(changed(at, byte), Hello::NotTls), "{at}");
    }
    let mut empty = good.to_vec();
    empty[3..5].fill(0);
    assert!(matches!(client_hello(&empty, Defragment::Records), Hello::NotTls));
    // The session id says more than the message holds.
    assert!(matches!(changed(43, 255), Hello::NotTls) || changed(43, 255).complete().is_none());
    for text in [&b"GET / HTTP/1.1\r\n"[..], b"SSH-2.0-x", &[0x80, 0x2e, 1, 3, 1]] {
        assert!(matches!(client_hello(text, Defragment::Records), Hello::NotTls));
    }
    // Another record between the fragments.
    let mut stream = split_records(&good[5..], &[100]);
    stream[105] = 0x17;
    assert!(matches!(client_hello(&stream, Defragment::Records), Hello::NotTls));
    // A length of the message that would take a megabyte.
    assert!(matches!(client_hello(&[22, 3, 1, 2, 0, 1, 0x10, 0, 0], Defragment::Records), Hello::NotTls));
}

#[test]
fn records_of_a_stream() {
    let stream = [0x16, 3, 3, 0, 2, 1, 2, 0x14, 3, 3, 0, 1, 1, 0x17, 3, 3, 0, 9, 7];
    let mut seen = records(&stream);
    let kinds: Vec<_> = seen.by_ref().map(|record| (record.content_type, record.is_whole())).collect();
    assert_eq!(
        kinds,
        [
            (ContentType::Handshake, true),
            (ContentType::ChangeCipherSpec, true),
            (ContentType::ApplicationData, false)
        ]
    );
    assert_eq!(seen.rest(), b"");
    assert_eq!(records(&[0x17, 3, 3, 0x48, 1, 0]).count(), 0);
    assert_eq!(records(&[0x13, 3, 3, 0, 1, 0]).count(), 0);
}

#[test]
fn a_server_hello() {
    let body = [
        &[3, 3][..],
        &[0x5a; 32],
        &[4, 1, 2, 3, 4],
        &[0x13, 0x01, 0],
        &[0, 14, 0, 43, 0, 2, 3, 4, 0, 51, 0, 4, 0x11, 0xec, 0, 0],
    ]
    .concat();
    let length = u8::try_from(body.len()).unwrap();
    let stream = [&[22, 3, 3, 0, length + 4, 2, 0, 0, length], &body[..]].concat();
    let hello = tls::server_hello(&stream).unwrap();
    assert_eq!((hello.version(), hello.group(), hello.cipher_suite), (0x0304, Some(0x11ec), 0x1301));
    assert_eq!((hello.session_id, hello.is_retry()), (&[1, 2, 3, 4][..], false));
    for length in 0..stream.len() {
        assert_eq!(tls::server_hello(&stream[..length]), None);
    }
    assert_eq!(tls::server_hello(RECORDED[0].1), None);
}

proptest! {
    #[test]
    fn any_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..400), head in 0_usize..4) {
        let heads = [&[][..], &[22, 3, 1], &[22, 3, 1, 1, 0, 1, 0], &[22, 3, 1, 0, 200, 1, 0, 0, 196, 3, 3]];
        let stream = [heads[head], &bytes].concat();
        for defragment in [Defragment::None, Defragment::Records] {
            if let Hello::Complete(hello) = client_hello(&stream, defragment) {
                let _seen = (hello.ja4(Transport::Tcp), hello.server_name(), hello.key_shares().len());
            }
        }
        let _seen = client_hello_prefix(&stream).map(|hello| hello.ja4(Transport::Dtls));
        let _seen = (ClientHello::parse_dtls(&stream), tls::server_hello(&stream));
    }

    #[test]
    fn any_split_gives_the_same_hello(which in 0_usize..6, sizes in prop::collection::vec(1_usize..900, 1..8)) {
        let bytes = RECORDED[which].1;
        prop_assert!(read(&split_records(&first_record(bytes)[5..], &sizes)) == read(bytes));
    }

    #[test]
    fn a_changed_hello_never_panics(which in 0_usize..6, at in 0_usize..1800, byte: u8) {
        let mut bytes = RECORDED[which].1.to_vec();
        let at = at % bytes.len();
        bytes[at] = byte;
        if let Some(hello) = client_hello(&bytes, Defragment::Records).complete() {
            prop_assert!(bytes[5..].starts_with(hello.message()));
            let _seen = hello.ja4_raw(Transport::Tcp);
        }
    }
}
