//! Records between two buffers, however they are cut and however short the buffers are.

use proptest::prelude::*;
use zeroize::Zeroizing;

use super::*;
use crate::{link::MAX_USELESS_RECORDS, record::Protection, schedule::Suite};

fn link(suite: u16) -> Link {
    let mut link = Link::new();
    let keys = || {
        let suite = Suite::of(suite).unwrap();
        Some(Protection::new(suite, Zeroizing::new(vec![5; suite.hash_bytes()])).unwrap())
    };
    (link.send, link.receive) = (keys(), keys());
    link.open();
    link
}

/// What one end does.
#[derive(Clone, Debug)]
enum Act {
    Send(usize),
    /// Asks for new keys and changes its own.
    Update,
    /// A record that moves nothing.
    Empty,
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        4 => (1..40_000_usize).prop_map(Act::Send),
        2 => (1..60_usize).prop_map(Act::Send),
        1 => Just(Act::Update),
        1 => Just(Act::Empty),
    ];
    proptest::collection::vec(act, 1..8)
}

/// The wire of these acts, written into buffers of that length, and the content.
fn written(link: &mut Link, acts: &[Act], room: usize) -> (Vec<u8>, Vec<u8>) {
    let (mut wire, mut content) = (Vec::new(), Vec::new());
    for (number, act) in acts.iter().enumerate() {
        match act {
            Act::Send(length) => {
                let bytes: Vec<u8> =
                    (0..*length).map(|at| u8::try_from((at * 7 + number) % 256).unwrap()).collect();
                let mut rest = bytes.as_slice();
                while !rest.is_empty() {
                    let mut out = vec![0; room.max(sealed_bytes(rest.len().min(1 << 14)))];
                    let sealed = link.seal_into(rest, &mut out).unwrap();
                    assert!(sealed.taken > 0 || sealed.written > 0, "neither taken nor written");
                    assert!(sealed.written <= sealed_bytes(sealed.taken) + 400);
                    wire.extend_from_slice(&out[..sealed.written]);
                    rest = &rest[sealed.taken..];
                }
                content.extend_from_slice(&bytes);
            }
            Act::Update => {
                link.update_keys(&mut wire).unwrap();
            }
            Act::Empty => {
                link.send.as_mut().unwrap().seal(&mut wire, record::APPLICATION_DATA, b"").unwrap();
            }
        }
    }
    (wire, content)
}

/// Opens what there is of `wire`; gives the content and what is left.
fn read(link: &mut Link, wire: &mut Vec<u8>, room: usize) -> Vec<u8> {
    let (mut content, mut out) = (Vec::new(), vec![0; room]);
    while let Some(opened) = link.open_record(wire, &mut out).unwrap() {
        match opened.content {
            Content::None => assert!(link.next().unwrap().is_none()),
            Content::Out(length) => content.extend_from_slice(&out[..length]),
            Content::Wire(place) => content.extend_from_slice(&wire[place]),
        }
        wire.drain(..opened.used);
    }
    content
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Content survives every length of both buffers and every portion of the wire, across changes of keys.
    #[test]
    fn content_survives_any_buffers(
        acts in acts(),
        suite in prop_oneof![Just(0x1301_u16), Just(0x1302), Just(0x1303)],
        write_room in 0..70_000_usize,
        read_room in prop_oneof![0..40_usize, 0..40_000_usize],
        portions in proptest::collection::vec(1..30_000_usize, 1..6),
    ) {
        let (mut near, mut far) = (link(suite), link(suite));
        let (wire, content) = written(&mut near, &acts, write_room);
        let (mut rest, mut heard, mut waiting) = (wire.as_slice(), Vec::new(), Vec::new());
        for portion in portions.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (now, later) = rest.split_at((*portion).min(rest.len()));
            waiting.extend_from_slice(now);
            heard.extend(read(&mut far, &mut waiting, read_room));
            rest = later;
        }
        prop_assert!(waiting.is_empty());
        prop_assert_eq!(heard, content);
        // What was asked is answered before anything else is said, in a buffer of any length.
        let asked = acts.iter().filter(|act| matches!(act, Act::Update)).count();
        let (mut answer, _) = written(&mut far, &[Act::Send(3)], 0);
        prop_assert_eq!(read(&mut near, &mut answer, read_room).len(), 3);
        prop_assert_eq!(near.receive.as_ref().unwrap().records(), 1, "{} updates", asked);
    }

    /// Both ways of opening agree on every wire, broken ones too.
    #[test]
    fn both_ways_agree(acts in acts(), broken in proptest::option::of((any::<prop::sample::Index>(), 1..=255_u8))) {
        let (mut wire, _) = written(&mut link(0x1301), &acts, 0);
        if let Some((at, change)) = broken {
            let at = at.index(wire.len());
            wire[at] ^= change;
        }
        let mut plain = link(0x1301);
        plain.feed(&wire);
        let mut expected = Ok(());
        while expected.is_ok() {
            match plain.next() {
                Ok(Some(_)) => {}
                Ok(None) => break,
                Err(error) => expected = Err(error.to_string()),
            }
        }
        for room in [0, 1 << 15] {
            let (mut bulk, mut out, mut heard, mut wire) = (link(0x1301), vec![0; room], Vec::new(), wire.clone());
            let outcome = loop {
                match bulk.open_record(&mut wire, &mut out) {
                    Err(error) => break Err(error.to_string()),
                    Ok(None) => break Ok(()),
                    Ok(Some(opened)) => {
                        match opened.content {
                            Content::None => {}
                            Content::Out(length) => heard.extend_from_slice(&out[..length]),
                            Content::Wire(place) => heard.extend_from_slice(&wire[place]),
                        }
                        wire.drain(..opened.used);
                        if let Err(error) = bulk.next() {
                            break Err(error.to_string());
                        }
                    }
                }
            };
            prop_assert_eq!(&outcome, &expected);
            prop_assert_eq!(&heard, &plain.plaintext);
        }
    }
}

#[test]
fn an_end_is_an_end() {
    let (mut near, mut far) = (link(0x1301), link(0x1301));
    near.write_alert(1, crate::Alert::CloseNotify).unwrap();
    let mut out = [0; 64];
    let sealed = near.seal_into(b"behind", &mut out).unwrap();
    assert_eq!(sealed.taken, 6);
    let first = far.open_record(&mut out, &mut []).unwrap().unwrap();
    assert_eq!(first.content, Content::None);
    assert_eq!(far.phase, Phase::Closed);
    assert!(far.open_record(&mut out[first.used..], &mut []).unwrap().is_none());
}

#[test]
fn what_is_no_sealed_record_is_refused() {
    let mut far = link(0x1301);
    for hostile in
        [&b"HTTP/1.1 200"[..], &[20, 3, 3, 0, 1, 1], &[22, 3, 3, 0, 1, 1], &[23, 3, 3, 0, 3, 1, 1, 1]]
    {
        assert!(far.open_record(&mut hostile.to_vec(), &mut [0; 99]).is_err());
    }
    assert!(far.open_record(&mut [23, 3, 3], &mut []).unwrap().is_none());
    assert!(matches!(Link::new().open_record(&mut [], &mut []), Err(Error::NotOpen)));
    assert!(matches!(Link::new().seal_into(b"x", &mut [0; 99]), Err(Error::NotOpen)));
    far.feed(b"left behind");
    assert!(matches!(far.open_record(&mut [], &mut []), Err(Error::NotOpen)));
}

#[test]
fn a_flood_of_nothing_ends() {
    let (mut near, mut far) = (link(0x1301), link(0x1301));
    let acts = vec![Act::Empty; usize::try_from(MAX_USELESS_RECORDS).unwrap() + 1];
    let (mut wire, _) = written(&mut near, &acts, 0);
    let mut opened = 0;
    let error = loop {
        match far.open_record(&mut wire, &mut [0; 99]) {
            Ok(Some(record)) => drop(wire.drain(..record.used)),
            Ok(None) => panic!("all of them were opened"),
            Err(error) => break error,
        }
        opened += 1;
    };
    assert_eq!(opened, MAX_USELESS_RECORDS);
    assert!(matches!(error, Error::Unexpected(_)));
}

#[test]
fn a_short_buffer_gets_what_fits() {
    let mut near = link(0x1301);
    let bytes = vec![1; 3 << 14];
    assert_eq!(near.seal_into(&bytes, &mut [0; 100]).unwrap(), Sealed { taken: 0, written: 0 });
    let mut out = vec![0; sealed_bytes(2 << 14)];
    let sealed = near.seal_into(&bytes, &mut out).unwrap();
    assert_eq!(sealed, Sealed { taken: 2 << 14, written: out.len() });
}
