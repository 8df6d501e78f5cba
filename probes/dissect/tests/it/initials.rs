//! QUIC Initials: the vectors of RFC 9001 appendix A and RFC 9369 appendix A, and what the writer writes read back.

use commucat_dissect::{
    quic::{
        self, Header, InitialKeys, InitialSpec, PacketKind, Sender, VERSION_1, VERSION_2, VERSION_RESERVED,
        crypto_frame, initial, join_crypto, open_initials, seal_initial,
    },
    tls::{ClientHello, Transport},
};
use proptest::prelude::*;

use crate::hellos::{RECORDED, first_record};

const DESTINATION: [u8; 8] = [0x83, 0x94, 0xc8, 0xf0, 0x3e, 0x51, 0x57, 0x08];
const SERVER_SOURCE: [u8; 8] = [0xf0, 0x67, 0xa5, 0x50, 0x2a, 0x42, 0x62, 0xb5];
/// The CRYPTO frame of A.2.
const CLIENT_FRAME: &str = "060040f1010000ed0303ebf8fa56f12939b9584a3896472ec40bb863cfd3e86804fe3a47f06a2b69484c\
    00000413011302010000c000000010000e00000b6578616d706c652e636f6dff01000100000a00080006001d0017001800100007000504616c\
    706e000500050100000000003300260024001d00209370b2c9caa47fbabaf4559fedba753de171fa71f50f1ce15d43e994ec74d748002b0003\
    020304000d0010000e0403050306030203080408050806002d00020101001c00024001003900320408ffffffffffffffff05048000ffff0704\
    8000ffff0801100104800075300901100f088394c8f03e51570806048000ffff";
/// The frames of A.3: an acknowledgment and a ServerHello.
const SERVER_FRAMES: &str = "02000000000600405a020000560303eefce7f7b37ba1d1632e96677825ddf73988cfc79825df566dc5430b9a\
    045a1200130100002e00330024001d00209d3c940d89690b84d08a60993c144eca684d1081287c834d5311bcf32bb9da1a002b00020304";
/// The protected packet of A.3, in both versions.
const SERVER_PACKETS: [(u32, &str); 2] = [
    (
        VERSION_1,
        "cf000000010008f067a5502a4262b5004075c0d95a482cd0991cd25b0aac406a5816b6394100f37a1c69797554780bb38cc5a99f5ede4cf7\
         3c3ec2493a1839b3dbcba3f6ea46c5b7684df3548e7ddeb9c3bf9c73cc3f3bded74b562bfb19fb84022f8ef4cdd93795d77d06edbb7aaf2f\
         58891850abbdca3d20398c276456cbc42158407dd074ee",
    ),
    (
        VERSION_2,
        "dc6b3343cf0008f067a5502a4262b5004075d92faaf16f05d8a4398c47089698baeea26b91eb761d9b89237bbf87263017915358230035f7\
         fd3945d88965cf17f9af6e16886c61bfc703106fbaf3cb4cfa52382dd16a393e42757507698075b2c984c707f0a0812d8cd5a6881eaf21ce\
         da98f4bd23f6fe1a3e2c43edd9ce7ca84bed8521e2e140",
    ),
];
/// Beginning and authentication tag of the protected packet of A.2; the tag covers all between.
const CLIENT_PACKETS: [(u32, &str, &str); 2] = [
    (
        VERSION_1,
        "c000000001088394c8f03e5157080000449e7b9aec34d1b1c98dd7689fb8ec11",
        "e221af44860018ab0856972e194cd934",
    ),
    (
        VERSION_2,
        "d76b3343cf088394c8f03e5157080000449ea0c95e82ffe67b6abcdb4298b485",
        "a18b2faa745b6fe189cf772a9f84cbfc",
    ),
];

fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    let pair = |pair: &[u8]| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(pair).collect()
}

fn client_spec(frames: &[u8]) -> InitialSpec<'_> {
    InitialSpec { packet_number: 2, ..InitialSpec::first(&DESTINATION, &[], frames) }
}

#[test]
fn the_client_packets_of_the_standards() {
    let frame = unhex(CLIENT_FRAME);
    for (version, beginning, tag) in CLIENT_PACKETS {
        let packet = seal_initial(&InitialSpec { version, ..client_spec(&frame) }).unwrap();
        assert_eq!(packet.len(), 1200);
        assert!(packet.starts_with(&unhex(beginning)) && packet.ends_with(&unhex(tag)), "{version:x}");
        let seen = initial(&packet).unwrap();
        assert_eq!((seen.version, seen.packet_number), (version, 2));
        assert_eq!((&seen.destination_id[..], seen.source_id.len()), (&DESTINATION[..], 0));
        let hello = seen.client_hello().unwrap();
        assert_eq!(hello.server_name(), Some("example.com"));
        assert_eq!(hello.message(), &frame[4..]);
        // Counted by hand: two suites, eleven extensions, the first protocol is `alpn`.
        assert!(hello.ja4(Transport::Quic).starts_with("q13d0211an_"));
    }
}

#[test]
fn the_server_packets_of_the_standards() {
    let frames = unhex(SERVER_FRAMES);
    for (version, packet) in SERVER_PACKETS {
        let packet = unhex(packet);
        let spec = InitialSpec {
            version,
            sender: Sender::Server,
            destination_id: &[],
            source_id: &SERVER_SOURCE,
            packet_number: 1,
            packet_number_len: 2,
            pad_to: 0,
            ..client_spec(&frames)
        };
        assert_eq!(seal_initial(&spec).unwrap(), packet);
        let keys = InitialKeys::derive(version, &DESTINATION, Sender::Server).unwrap();
        let seen = open_initials(&packet, &keys).unwrap();
        assert_eq!((&seen.source_id[..], seen.packet_number), (&SERVER_SOURCE[..], 1));
        assert_eq!(seen.stream(), &frames[frames.len() - 0x5a..]);
        assert_eq!(seen.client_hello(), None);
        // Who did not see the client's packet has no keys.
        assert_eq!(initial(&packet), None);
    }
}

#[test]
fn a_hello_in_pieces_and_in_two_packets_of_a_datagram() {
    let message = &first_record(RECORDED[5].1)[5..];
    let (one, rest) = message.split_at(100);
    let (two, three) = rest.split_at(150);
    // Out of order, with an overlap, PING and PADDING between them, as Chrome mixes them.
    let frames =
        [crypto_frame(250, three), vec![1, 0, 0], crypto_frame(90, &[&one[90..], two].concat())].concat();
    let first = seal_initial(&InitialSpec { pad_to: 0, ..client_spec(&frames) }).unwrap();
    let second = crypto_frame(0, one);
    let second =
        seal_initial(&InitialSpec { packet_number: 3, pad_to: 600, ..client_spec(&second) }).unwrap();
    assert_eq!(initial(&first).unwrap().client_hello(), None);
    let both = initial(&[first, second].concat()).unwrap();
    assert_eq!(both.client_hello().unwrap().message(), message);
    assert_eq!(both.crypto.iter().map(|piece| piece.offset).collect::<Vec<_>>(), [250, 90, 0]);
}

/// Chromium's hello does not fit one datagram, and it sends the pieces in random order with PING and PADDING between.
#[test]
fn the_two_datagrams_of_chromium() {
    let datagrams = [
        include_bytes!("../vectors/chromium-156-quic-1.bin"),
        include_bytes!("../vectors/chromium-156-quic-2.bin"),
    ];
    let seen = datagrams.map(|datagram| initial(datagram).unwrap());
    assert!(seen.iter().all(|seen| seen.client_hello().is_none() && seen.crypto.len() > 1));
    assert_eq!([0, 1].map(|at: usize| seen[at].packet_number), [1, 2]);
    let stream = join_crypto(seen.iter().flat_map(|seen| &seen.crypto));
    let hello = ClientHello::parse(&stream).unwrap();
    assert_eq!(hello.server_name(), Some("www.example.com"));
    assert_eq!(hello.alpn().collect::<Vec<_>>(), [b"h3"]);
    assert_eq!(hello.session_id(), b"");
    // FoxIO publishes q13d0312h3_55b375c5d22e_06cda9e17597 for an older Chrome: the signature algorithms changed since.
    assert_eq!(hello.ja4(Transport::Quic), "q13d0312h3_55b375c5d22e_178839b6cec1");
}

#[test]
fn half_a_hello_shows_its_beginning() {
    let message = &first_record(RECORDED[5].1)[5..];
    let frames = crypto_frame(0, &message[..200]);
    let seen = initial(&seal_initial(&client_spec(&frames)).unwrap()).unwrap();
    assert_eq!(seen.client_hello(), None);
    assert_eq!(seen.client_hello_prefix().unwrap().server_name(), Some("www.example.com"));
}

#[test]
fn headers_of_any_version() {
    let mut packet = seal_initial(&client_spec(&crypto_frame(0, b"x"))).unwrap();
    let kind = |packet: &[u8]| match quic::header(packet) {
        Some(Header::Long { kind, .. }) => Some(kind),
        Some(Header::Short) | None => None,
    };
    assert_eq!(kind(&packet), Some(PacketKind::Initial));
    for (bits, expected) in
        [(0x10, PacketKind::ZeroRtt), (0x20, PacketKind::Handshake), (0x30, PacketKind::Retry)]
    {
        packet[0] = 0xc0 | bits;
        assert_eq!(kind(&packet), Some(expected));
    }
    packet[1..5].copy_from_slice(&VERSION_RESERVED.to_be_bytes());
    assert_eq!(kind(&packet), Some(PacketKind::Unknown));
    assert_eq!(initial(&packet), None);
    let answer = quic::version_negotiation(&packet, &[VERSION_1, VERSION_2], 0x2a).unwrap();
    let Some(Header::Long {
        kind: PacketKind::VersionNegotiation,
        version: 0,
        destination_id,
        source_id,
        rest,
    }) = quic::header(&answer)
    else {
        panic!("{answer:02x?}")
    };
    assert_eq!((destination_id, source_id), (&[][..], &DESTINATION[..]));
    assert_eq!(rest, [0, 0, 0, 1, 0x6b, 0x33, 0x43, 0xcf]);

    assert_eq!(quic::header(&[0x40]), Some(Header::Short));
    for bytes in [&[][..], &[0x3f], &[0xc0, 0, 0, 0, 1], &[0xc0, 0, 0, 0, 1, 21], &[0x80, 0, 0, 0, 1, 0, 0]] {
        assert_eq!(quic::header(bytes), None);
    }
}

#[test]
fn what_does_not_fit_is_not_written() {
    let frames = crypto_frame(0, b"x");
    let good = client_spec(&frames);
    assert!(seal_initial(&good).is_some());
    assert!(seal_initial(&InitialSpec { version: 3, ..good }).is_none());
    assert!(seal_initial(&InitialSpec { packet_number_len: 5, ..good }).is_none());
    assert!(seal_initial(&InitialSpec { destination_id: &[0; 21], ..good }).is_none());
    assert!(seal_initial(&InitialSpec { pad_to: 20_000, ..good }).is_none());
}

proptest! {
    #[test]
    fn any_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), first in 0xc0_u8..0xe0, two: bool) {
        let _seen = (initial(&bytes), quic::header(&bytes));
        let version = if two { VERSION_2 } else { VERSION_1 };
        let _seen = initial(&[&[first], &version.to_be_bytes()[..], &bytes].concat());
    }

    #[test]
    fn any_frames_never_panic(frames in prop::collection::vec(0_u8..8, 0..400)) {
        let _seen = initial(&seal_initial(&client_spec(&frames)).unwrap()).map(|seen| seen.client_hello());
    }

    #[test]
    fn any_cut_into_frames_gives_the_same_hello(
        cuts in prop::collection::vec(1_usize..500, 0..6), turn in 0_usize..7, token in prop::collection::vec(any::<u8>(), 0..80),
        number: u32, number_len in 1_usize..5, two: bool,
    ) {
        let message = &first_record(RECORDED[5].1)[5..];
        let mut cuts: Vec<_> = cuts.into_iter().filter(|cut| *cut < message.len()).chain([0, message.len()]).collect();
        cuts.sort_unstable();
        let mut pieces: Vec<_> = cuts.windows(2).map(|ends| crypto_frame(ends[0] as u64, &message[ends[0]..ends[1]])).collect();
        let count = pieces.len();
        pieces.rotate_left(turn % count);
        let frames = pieces.concat();
        let packet_number = if number_len == 4 { number } else { number >> (32 - 8 * number_len) };
        let spec = InitialSpec {
            version: if two { VERSION_2 } else { VERSION_1 },
            token: &token, packet_number, packet_number_len: number_len, ..client_spec(&frames)
        };
        let packet = seal_initial(&spec).unwrap();
        let seen = initial(&packet).unwrap();
        prop_assert_eq!((&seen.token, seen.packet_number), (&token, packet_number));
        let hello = seen.client_hello().unwrap();
        prop_assert!(hello.message() == message);
        // Any changed byte breaks the seal, or the header before it.
        let mut broken = packet.clone();
        let at = 25 + (number as usize) % (packet.len() - 25);
        broken[at] ^= 0x40;
        prop_assert!(initial(&broken).is_none());
    }
}
