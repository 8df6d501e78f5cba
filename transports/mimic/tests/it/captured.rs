//! Our hellos beside those that the browsers sent.

use std::collections::BTreeMap;

use commucat_dissect::tls::{ClientHello, Transport};
use commucat_mimic::Template;

use crate::support::{NAME, hello};

const CHROMIUM: [&[u8]; 3] = [
    include_bytes!("vectors/chromium-156-fresh-1.bin"),
    include_bytes!("vectors/chromium-156-fresh-2.bin"),
    include_bytes!("vectors/chromium-156-fresh-3.bin"),
];
const FIREFOX: [&[u8]; 3] = [
    include_bytes!("vectors/firefox-153-fresh-1.bin"),
    include_bytes!("vectors/firefox-153-fresh-2.bin"),
    include_bytes!("vectors/firefox-153-fresh-3.bin"),
];
const RESUMED: &[u8] = include_bytes!("vectors/chromium-156-resumed-1.bin");

/// Extensions whose bytes are drawn for each connection: key_share and ECH. The others must be equal.
const DRAWN: [u16; 2] = [51, 0xfe0d];

fn parse(record: &[u8]) -> ClientHello {
    assert_eq!(record[..3], [22, 3, 1], "the first record says TLS 1.0");
    let end = 5 + usize::from(u16::from_be_bytes([record[3], record[4]]));
    ClientHello::parse(&record[5..end]).expect("a whole hello in one record")
}

const fn grease(number: u16) -> bool {
    number & 0x0f0f == 0x0a0a && number >> 8 == number & 0xff
}

/// What two hellos of one browser have in common: every number and body, without what is drawn.
fn constant(hello: &ClientHello) -> (Vec<u16>, BTreeMap<u16, Vec<u16>>) {
    let plain = |number: u16| if grease(number) { 0x0a0a } else { number };
    let suites = hello.cipher_suites.iter().copied().map(plain).collect();
    let mut extensions = BTreeMap::new();
    for (index, (number, body)) in hello.extensions().enumerate() {
        let body = match number {
            number if DRAWN.contains(&number) => Vec::new(),
            // Lists of two-byte numbers with GREASE among them.
            10 | 13 => {
                body[2..].as_chunks::<2>().0.iter().map(|pair| plain(u16::from_be_bytes(*pair))).collect()
            }
            43 => body[1..].as_chunks::<2>().0.iter().map(|pair| plain(u16::from_be_bytes(*pair))).collect(),
            _ => body.iter().copied().map(u16::from).collect(),
        };
        // Both GREASE extensions have one number here, so their place tells them apart.
        let key = if grease(number) { if index == 0 { 0x0a0a } else { 0x1a1a } } else { number };
        assert!(extensions.insert(key, body).is_none(), "{number:04x} twice");
    }
    (suites, extensions)
}

fn share_lengths(hello: &ClientHello) -> Vec<(u16, usize)> {
    let plain = |number: u16| if grease(number) { 0x0a0a } else { number };
    hello.key_shares().iter().map(|(group, share)| (plain(*group), share.len())).collect()
}

#[test]
fn chromium_is_chromium() {
    for (seed, captured) in CHROMIUM.iter().enumerate() {
        let ours = parse(&hello(Template::chromium_156().unwrap(), NAME, seed as u64));
        let theirs = parse(captured);
        assert_eq!(constant(&ours), constant(&theirs));
        assert_eq!(share_lengths(&ours), share_lengths(&theirs));
        assert_eq!(ours.ja4(Transport::Tcp), "t13d1517h2_8daaf6152771_cb7bf5808d99");
        assert_eq!(ours.ja4(Transport::Tcp), theirs.ja4(Transport::Tcp));
        assert_eq!((ours.legacy_version, ours.session_id().len()), (0x0303, 32));
    }
}

#[test]
fn firefox_is_firefox_and_in_its_order() {
    for (seed, captured) in FIREFOX.iter().enumerate() {
        let ours = parse(&hello(Template::firefox_153().unwrap(), NAME, seed as u64));
        let theirs = parse(captured);
        assert_eq!(constant(&ours), constant(&theirs));
        assert_eq!(share_lengths(&ours), share_lengths(&theirs));
        let order = |hello: &ClientHello| {
            hello.extensions().map(|(number, body)| (number, body.len())).collect::<Vec<_>>()
        };
        assert_eq!(order(&ours), order(&theirs));
        assert_eq!(ours.ja4(Transport::Tcp), "t13d1617h2_86a278354501_3cbfd9057e0d");
        let [hybrid, x25519, ..] = ours.key_shares()[..] else { panic!("shares") };
        assert_eq!(hybrid.1[1184..], *x25519.1, "Firefox uses one X25519 key twice");
    }
}

#[test]
fn a_returning_chromium_shows_a_ticket_last() {
    let theirs = parse(RESUMED);
    let mut options = commucat_mimic::ClientOptions::new(
        Template::chromium_156().unwrap(),
        Some(NAME),
        std::sync::Arc::new(commucat_mimic::WebPki::bundled()),
    );
    options.fake_ticket = true;
    let mut client =
        commucat_mimic::Client::new(options, crate::support::NOW, &mut crate::support::seeded(3)).unwrap();
    let mut wire = Vec::new();
    client.poll_transmit(&mut wire);
    let ours = parse(&wire);
    assert_eq!(ours.ja4(Transport::Tcp), "t13d1518h2_8daaf6152771_e2d80978ab2e");
    assert_eq!(ours.ja4(Transport::Tcp), theirs.ja4(Transport::Tcp));
    let last = |hello: &ClientHello| hello.extensions().last().map(|(number, _)| number);
    assert_eq!((last(&ours), last(&theirs)), (Some(41), Some(41)));
    let shape = |hello: &ClientHello| hello.extension(41).map(<[u8]>::len);
    assert!([shape(&theirs), shape(&theirs).map(|length| length - 16)].contains(&shape(&ours)));
}
