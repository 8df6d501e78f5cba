//! A thousand hellos: what must differ differs, evenly, and what must not does not.

use std::collections::{BTreeMap, HashSet};

use commucat_dissect::tls::{ClientHello, Transport};
use commucat_mimic::Template;

use crate::support::hello;

const HELLOS: u64 = 1000;
const NAME: &str = "cover.example.org";
/// Chi-squared with 15 degrees of freedom is above this once in 10,000 times. The seed is fixed: no luck is involved.
const CHI_SQUARED_15: f64 = 44.3;
/// The same with 3 degrees of freedom.
const CHI_SQUARED_3: f64 = 21.1;

fn thousand() -> Vec<(usize, ClientHello)> {
    let template = Template::chromium_156().unwrap();
    (0..HELLOS)
        .map(|seed| {
            let wire = hello(template.clone(), NAME, seed);
            (wire.len() - 5, ClientHello::parse(&wire[5..]).unwrap())
        })
        .collect()
}

fn chi_squared(counts: &[u64], cells: usize) -> f64 {
    let expected = HELLOS as f64 / cells as f64;
    let absent = (cells - counts.len()) as f64 * expected;
    counts.iter().map(|&count| (count as f64 - expected).powi(2) / expected).sum::<f64>() + absent
}

#[test]
fn a_thousand_chromium_hellos() {
    let hellos = thousand();
    let mut places: BTreeMap<u16, BTreeMap<usize, u64>> = BTreeMap::new();
    let mut payloads: BTreeMap<usize, u64> = BTreeMap::new();
    let mut fresh = HashSet::new();
    for (length, hello) in &hellos {
        assert_eq!(hello.ja4(Transport::Tcp), "t13d1517h2_8daaf6152771_cb7bf5808d99");
        let ech = hello.extension(0xfe0d).unwrap();
        let payload = ech.len() - 42;
        *payloads.entry(payload).or_default() += 1;
        // facts of 59 captured hellos: the message is 1759 bytes, the name and the ECH payload.
        assert_eq!(*length, 1759 + NAME.len() + payload);
        let numbers: Vec<u16> = hello.extensions().map(|(number, _)| number).collect();
        let middle = &numbers[1..numbers.len() - 1];
        assert_eq!(middle.len(), 17);
        for (place, number) in middle.iter().enumerate() {
            *places.entry(*number).or_default().entry(place).or_default() += 1;
        }
        for (_, share) in hello.key_shares().into_iter().filter(|(_, share)| share.len() > 1) {
            assert!(fresh.insert(share[share.len() - 32..].to_vec()), "an X25519 key twice");
        }
        assert!(fresh.insert(hello.random.to_vec()));
        assert!(fresh.insert(hello.session_id().to_vec()));
    }
    assert_eq!(places.len(), 17, "the same set each time");
    for (number, counts) in places {
        let counts: Vec<u64> = counts.into_values().collect();
        let chi = chi_squared(&counts, 17);
        assert!(chi < CHI_SQUARED_15 + 2.0, "extension {number:04x} prefers places: {chi}");
    }
    assert_eq!(payloads.keys().copied().collect::<Vec<_>>(), [144, 176, 208, 240]);
    let counts: Vec<u64> = payloads.into_values().collect();
    assert!(chi_squared(&counts, 4) < CHI_SQUARED_3, "{counts:?}");
}

#[test]
fn a_hello_for_websocket_offers_http_1_1_alone() {
    let wire = hello(Template::chromium_156().unwrap().with_alpn(&["http/1.1"]), NAME, 1);
    let parsed = ClientHello::parse(&wire[5..]).unwrap();
    assert_eq!(parsed.alpn().collect::<Vec<_>>(), [b"http/1.1"]);
    assert!(parsed.extension(0x44cd).is_none(), "no ALPS without h2");
}
