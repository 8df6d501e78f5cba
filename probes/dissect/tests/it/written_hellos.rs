//! Hellos from specs beside the recorded ones of the same clients, and what a stranger's TLS says to them.

use std::collections::BTreeSet;

use commucat_dissect::tls::{
    ClientHello, Transport,
    build::{BuildError, Extension, GREASE, HelloSpec},
    extension, is_grease,
};
use proptest::prelude::*;

use crate::hellos::{RECORDED, read};

fn written(spec: &HelloSpec, seed: u64) -> ClientHello {
    read(&spec.record(seed).unwrap())
}

fn named(spec: HelloSpec) -> HelloSpec {
    spec.with_server_name("www.example.com")
}

#[test]
fn fingerprints_are_those_of_the_clients() {
    let cases = [
        (HelloSpec::chrome_current(), "t13d1517h2_8daaf6152771_cb7bf5808d99"),
        (HelloSpec::chrome_current().resuming(), "t13d1518h2_8daaf6152771_e2d80978ab2e"),
        (HelloSpec::chrome_stale(), "t13d1516h2_8daaf6152771_d8a2da3f94cd"),
        (HelloSpec::firefox(), "t13d1617h2_86a278354501_3cbfd9057e0d"),
        (HelloSpec::curl_like(), "t13d3112h2_e8f1e7e78f70_b26ce05bbdd6"),
    ];
    for (spec, ja4) in cases {
        for seed in 0..8 {
            let hello = written(&named(spec.clone()), seed);
            assert_eq!(hello.ja4(Transport::Tcp), ja4);
            assert_eq!(hello.server_name(), Some("www.example.com"));
        }
    }
}

/// Everything that does not vary between two hellos of one client: each extension with its body, GREASE as one value,
/// and of random parts only the length.
fn fixed_parts(hello: &ClientHello) -> Vec<(u16, Vec<u8>)> {
    let ungrease = |value: u16| if is_grease(value) { GREASE } else { value };
    hello
        .extensions()
        .map(|(kind, body)| {
            let lists: Vec<u8> = body
                .chunks(2)
                .flat_map(|pair| match pair {
                    [high, low] => ungrease(u16::from_be_bytes([*high, *low])).to_be_bytes().to_vec(),
                    odd => odd.to_vec(),
                })
                .collect();
            let body = match kind {
                extension::KEY_SHARE => hello
                    .key_shares()
                    .iter()
                    .flat_map(|(group, key)| [ungrease(*group), u16::try_from(key.len()).unwrap()])
                    .flat_map(u16::to_be_bytes)
                    .collect(),
                // The versions stand behind one byte of length.
                extension::SUPPORTED_VERSIONS => {
                    hello.supported_versions().into_iter().map(ungrease).flat_map(u16::to_be_bytes).collect()
                }
                extension::ENCRYPTED_CLIENT_HELLO => body[..3].to_vec(),
                _ => lists,
            };
            (ungrease(kind), body)
        })
        .collect()
}

#[test]
fn written_hellos_are_the_recorded_ones_but_for_what_is_drawn() {
    let cases = [
        (HelloSpec::chrome_current(), RECORDED[0].1, true),
        (HelloSpec::firefox(), RECORDED[4].1, false),
        (HelloSpec::curl_like(), RECORDED[5].1, false),
    ];
    for (spec, bytes, permuted) in cases {
        let (ours, theirs) = (written(&named(spec), 3), read(bytes));
        let (mut ours_parts, mut theirs_parts) = (fixed_parts(&ours), fixed_parts(&theirs));
        if permuted {
            ours_parts.sort();
            theirs_parts.sort();
        }
        assert_eq!(ours_parts, theirs_parts);
        assert_eq!(ours.cipher_suites[1..], theirs.cipher_suites[1..]);
        assert_eq!(ours.session_id().len(), theirs.session_id().len());
    }
    // Firefox sends one X25519 key twice, Chrome two.
    let halves = |hello: &ClientHello| {
        let shares: Vec<_> =
            hello.key_shares().into_iter().filter(|(group, _key)| !is_grease(*group)).collect();
        shares[0].1.ends_with(shares[1].1)
    };
    assert!(halves(&written(&HelloSpec::firefox(), 1)) && halves(&read(RECORDED[4].1)));
    assert!(!halves(&written(&HelloSpec::chrome_current(), 1)) && !halves(&read(RECORDED[0].1)));
}

#[test]
fn chrome_has_its_length_and_permutes() {
    let mut orders = BTreeSet::new();
    let mut lengths = BTreeSet::new();
    for seed in 0..64 {
        let hello = written(&named(HelloSpec::chrome_current()), seed);
        let payload = hello.extension(extension::ENCRYPTED_CLIENT_HELLO).unwrap().len() - 42;
        lengths.insert(payload);
        assert_eq!(hello.message().len(), 1759 + "www.example.com".len() + payload);
        let kinds: Vec<_> = hello.extensions().map(|(kind, _body)| kind).collect();
        assert!(
            is_grease(kinds[0]) && is_grease(kinds[kinds.len() - 1]) && kinds[0] != kinds[kinds.len() - 1]
        );
        assert_eq!(hello.groups()[0], hello.key_shares()[0].0);
        orders.insert(kinds[1..kinds.len() - 1].to_vec());
    }
    assert_eq!(orders.len(), 64);
    assert_eq!(lengths.into_iter().collect::<Vec<_>>(), [144, 176, 208, 240]);
}

#[test]
fn what_is_asked_for_is_there() {
    let spec = HelloSpec::chrome_stale();
    assert_eq!(written(&spec, 1).server_name(), None);
    assert!(written(&spec, 1).ja4(Transport::Tcp).starts_with("t13i1515h2_"));
    assert_eq!(spec.message(1), spec.message(1));
    assert_ne!(spec.message(1), spec.message(2));
    let esni = Extension::Raw(extension::ENCRYPTED_SERVER_NAME, vec![0; 64]);
    let hello = written(&spec.resuming().with_alpn(&[b"http/1.1"]).with_extension(esni), 1);
    assert!(hello.esni() && hello.has_psk() && hello.ech());
    assert_eq!(hello.alpn().collect::<Vec<_>>(), [b"http/1.1"]);
    // pre_shared_key is the last extension, as RFC 8446 asks.
    assert_eq!(hello.extensions().last().unwrap().0, extension::PRE_SHARED_KEY);
    let quic = ClientHello::parse(&HelloSpec::quic(vec![1, 2, 3]).message(1).unwrap()).unwrap();
    assert_eq!(quic.extension(extension::QUIC_TRANSPORT_PARAMETERS), Some(&[1, 2, 3][..]));
    assert_eq!(quic.session_id(), b"");
}

#[test]
fn what_cannot_be_written_says_so() {
    let long = HelloSpec::firefox().with_server_name(&"a".repeat(70_000));
    assert_eq!(long.message(1), Err(BuildError::TooLong("the server name")));
    let long = HelloSpec::firefox().with_alpn(&[&[b'a'; 256]]);
    assert_eq!(long.message(1), Err(BuildError::TooLong("a protocol name")));
    let mut group = HelloSpec::curl_like();
    group.extensions = vec![Extension::KeyShares { groups: vec![0x0100], one_x25519: false }];
    assert_eq!(group.message(1), Err(BuildError::Group(0x0100)));
}

proptest! {
    #[test]
    fn any_spec_comes_back(
        name in proptest::option::of("[a-z.]{1,80}"), seed: u64, shuffle: bool, session_id: bool,
        suites in prop::collection::vec(any::<u16>(), 1..40),
        raw in prop::collection::vec((100_u16..20_000, prop::collection::vec(any::<u8>(), 0..60)), 0..12),
    ) {
        let mut extensions: Vec<_> = raw.iter().map(|(kind, body)| Extension::Raw(*kind, body.clone())).collect();
        extensions.push(Extension::ServerName);
        let spec = HelloSpec { server_name: name.clone(), cipher_suites: suites.clone(), extensions, shuffle, session_id };
        let hello = written(&spec, seed);
        prop_assert_eq!(hello.server_name(), name.as_deref());
        prop_assert_eq!(hello.cipher_suites.len(), suites.len());
        let sort = |mut parts: Vec<(u16, Vec<u8>)>| { parts.sort(); parts };
        let seen = hello.extensions().filter(|(kind, _body)| *kind != 0).map(|(kind, body)| (kind, body.to_vec()));
        prop_assert_eq!(sort(seen.collect()), sort(raw));
    }
}
