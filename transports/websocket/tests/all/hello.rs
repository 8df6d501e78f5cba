//! The client's hello beside a captured one of Chromium 156 for a WebSocket: everything equal but what must be random,
//! and `trust_anchors`, which BoringSSL's Rust crate cannot send.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use commucat_transport_api::{Cx, PluggableTransport as _, Spec, Target};
use commucat_websocket::{ID, WebSocket};
use serde_json::json;
use tokio::{io::AsyncReadExt as _, net::TcpListener};

use crate::support::real;

const CHROMIUM: &[u8] = include_bytes!("../data/chromium-156-websocket-hello.bin");
const TRUST_ANCHORS: u16 = 51_764;
const SIGNATURES: u16 = 13;
const GROUPS: u16 = 10;
const KEY_SHARE: u16 = 51;
const VERSIONS: u16 = 43;
const ECH: u16 = 65_037;
const SERVER_NAME: u16 = 0;

#[derive(Debug)]
struct Hello {
    ciphers: Vec<u16>,
    extensions: Vec<(u16, Vec<u8>)>,
    session_id: usize,
}

fn grease(value: u16) -> bool {
    value & 0x0f0f == 0x0a0a && value >> 8 == value & 0xff
}

fn numbers(bytes: &[u8]) -> Vec<u16> {
    let numbers = bytes.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
    numbers.map(|value| if grease(value) { 0x0a0a } else { value }).collect()
}

fn parse(record: &[u8]) -> Hello {
    assert_eq!(&record[..3], [0x16, 3, 1]);
    assert_eq!(record[5], 1);
    let body = &record[9 + 2 + 32..];
    let session_id = usize::from(body[0]);
    let body = &body[1 + session_id..];
    let length = usize::from(u16::from_be_bytes([body[0], body[1]]));
    let ciphers = numbers(&body[2..2 + length]);
    let mut rest = &body[2 + length + 1 + usize::from(body[2 + length]) + 2..];
    let mut extensions = Vec::new();
    while let [a, b, c, d, tail @ ..] = rest {
        let length = usize::from(u16::from_be_bytes([*c, *d]));
        extensions.push((numbers(&[*a, *b])[0], tail[..length].to_vec()));
        rest = &tail[length..];
    }
    Hello { ciphers, extensions, session_id }
}

impl Hello {
    fn set(&self) -> BTreeSet<u16> {
        self.extensions.iter().map(|(kind, _)| *kind).collect()
    }

    fn order(&self) -> Vec<u16> {
        self.extensions.iter().map(|(kind, _)| *kind).collect()
    }

    fn body(&self, kind: u16) -> &[u8] {
        &self.extensions.iter().find(|(known, _)| *known == kind).unwrap_or_else(|| panic!("no {kind}")).1
    }

    /// Group and length of each key share.
    fn shares(&self) -> Vec<(u16, usize)> {
        let mut rest = &self.body(KEY_SHARE)[2..];
        let mut shares = Vec::new();
        while let [a, b, c, d, tail @ ..] = rest {
            let length = usize::from(u16::from_be_bytes([*c, *d]));
            shares.push((numbers(&[*a, *b])[0], length));
            rest = &tail[length..];
        }
        shares
    }
}

async fn ours(host: &str) -> Hello {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = listener.local_addr().unwrap().into();
    let key = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    let params = json!({ "key": key, "user_key": key, "sni": host, "pin": key });
    let client = WebSocket::new().client(&Spec::new(ID, endpoint, params).unwrap()).unwrap();
    let dial = tokio::spawn(async move {
        let cx = Cx::new(real(), Duration::from_secs(10));
        client.dial(&cx, &Target::Bridge).await.map(drop)
    });
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut record = vec![0; 5];
    stream.read_exact(&mut record).await.unwrap();
    let length = usize::from(u16::from_be_bytes([record[3], record[4]]));
    record.resize(5 + length, 0);
    stream.read_exact(&mut record[5..]).await.unwrap();
    drop(stream);
    dial.await.unwrap().unwrap_err();
    parse(&record)
}

#[tokio::test]
async fn it_is_chromiums_but_for_trust_anchors() {
    let (ours, theirs) = (ours("www.example.com").await, parse(CHROMIUM));
    assert_eq!(ours.ciphers, theirs.ciphers);
    assert_eq!(ours.session_id, theirs.session_id);
    let mut expected = theirs.set();
    assert!(expected.remove(&TRUST_ANCHORS));
    assert_eq!(ours.set(), expected);
    assert_eq!(ours.shares(), theirs.shares());
    for kind in [GROUPS, SIGNATURES, VERSIONS] {
        // Behind the length of the list.
        let skip = if kind == VERSIONS { 1 } else { 2 };
        assert_eq!(
            numbers(&ours.body(kind)[skip..]),
            numbers(&theirs.body(kind)[skip..]),
            "extension {kind}"
        );
    }
    let varies = BTreeSet::from([0x0a0a, GROUPS, SIGNATURES, VERSIONS, KEY_SHARE, ECH]);
    for kind in expected.difference(&varies) {
        assert_eq!(ours.body(*kind), theirs.body(*kind), "extension {kind}");
    }
    // ECH GREASE: outer, HKDF-SHA256, an AEAD, a 32-byte key, and one of four lengths of payload.
    let ech = ours.body(ECH);
    assert_eq!((ech[0], &ech[1..3], &ech[6..8]), (0, &[0u8, 1][..], &[0u8, 32][..]));
    assert!([144, 176, 208, 240].contains(&(ech.len() - 42)));
    // GREASE at both ends of the extensions.
    assert_eq!((ours.order()[0], *ours.order().last().unwrap()), (0x0a0a, 0x0a0a));
}

#[tokio::test]
async fn the_order_is_drawn_anew_each_time_and_an_address_is_no_server_name() {
    let orders: BTreeSet<_> = [ours("a.example").await, ours("a.example").await, ours("a.example").await]
        .iter()
        .map(Hello::order)
        .collect();
    assert_eq!(orders.len(), 3);
    let bare = Arc::new(ours("192.0.2.1").await);
    assert!(!bare.set().contains(&SERVER_NAME));
}
