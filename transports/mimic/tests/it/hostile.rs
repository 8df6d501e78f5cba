//! Servers that are wrong, and bytes that are no server's.

use std::sync::Arc;

use commucat_mimic::{Client, Error, Template};
use proptest::prelude::*;
use rustls::{ServerConfig, crypto::aws_lc_rs as provider};

use crate::support::{NOW, Pair, Pki, seeded};

fn chromium() -> Template {
    Template::chromium_156().unwrap()
}

#[test]
fn a_certificate_of_another_root_is_refused_with_an_alert() {
    let (ours, theirs) = (Pki::new(&rcgen::PKCS_ECDSA_P256_SHA256), Pki::new(&rcgen::PKCS_ECDSA_P256_SHA256));
    let config = Arc::new(theirs.server(provider::default_provider()));
    let mut pair = Pair::new(ours.options(chromium()), &config, 1);
    let error = pair.settle().unwrap_err();
    assert!(matches!(error, Error::Certificate(_)), "{error}");
    let mut wire = Vec::new();
    pair.client.poll_transmit(&mut wire);
    assert!(!wire.is_empty(), "an alert is due");
    assert!(pair.client.handle_input(NOW, &[0]).is_err(), "it is over");
}

#[test]
fn a_certificate_of_another_name_is_refused() {
    let pki = Pki::new(&rcgen::PKCS_ECDSA_P256_SHA256);
    let mut options = pki.options(chromium());
    options.name = Some("other.example".to_owned());
    let mut pair = Pair::new(options, &Arc::new(pki.server(provider::default_provider())), 1);
    assert!(matches!(pair.settle(), Err(Error::Certificate(_))));
}

#[test]
fn a_server_of_tls_1_2_is_named() {
    let pki = Pki::new(&rcgen::PKCS_ECDSA_P256_SHA256);
    let config = ServerConfig::builder_with_provider(Arc::new(provider::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS12])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(pki.chain.clone(), pki.key.clone_key())
        .unwrap();
    let mut pair = Pair::new(pki.options(chromium()), &Arc::new(config), 1);
    let error = pair.settle().unwrap_err();
    assert!(matches!(error, Error::ServerChoseOldVersion(0x0303)), "{error}");
}

#[test]
fn an_alert_is_handed_on() {
    let pki = Pki::new(&rcgen::PKCS_ECDSA_P256_SHA256);
    let mut config = pki.server(provider::default_provider());
    config.alpn_protocols = vec![b"something-else".to_vec()];
    let mut pair = Pair::new(pki.options(chromium()), &Arc::new(config), 1);
    assert!(matches!(pair.settle(), Err(Error::PeerAlert(120))), "no_application_protocol");
}

/// A good flight of a server for a client of that seed.
fn flight(pki: &Pki, seed: u64) -> (Client, Vec<u8>) {
    let config = Arc::new(pki.server(provider::default_provider()));
    let mut pair = Pair::new(pki.options(chromium()), &config, seed);
    let mut wire = Vec::new();
    pair.client.poll_transmit(&mut wire);
    pair.hand_to_server(&wire);
    let mut back = Vec::new();
    while pair.server.wants_write() {
        pair.server.write_tls(&mut back).unwrap();
    }
    (pair.client, back)
}

#[test]
fn every_changed_byte_of_a_flight_is_noticed() {
    let pki = Pki::new(&rcgen::PKCS_ECDSA_P256_SHA256);
    let length = flight(&pki, 9).1.len();
    for at in (0..length).step_by(37) {
        let (mut client, mut back) = flight(&pki, 9);
        let at = at.min(back.len() - 1);
        back[at] ^= 0x55;
        let result = client.handle_input(NOW, &back);
        // The legacy version and the minor version of records mean nothing; everything else must break it.
        assert!(result.is_err() || !client.is_open() || minor_version(&back, at), "byte {at}");
    }
}

fn minor_version(flight: &[u8], at: usize) -> bool {
    let mut start = 0;
    while start + 5 <= flight.len() {
        if at == start + 2 {
            return true;
        }
        start += 5 + usize::from(u16::from_be_bytes([flight[start + 3], flight[start + 4]]));
    }
    false
}

#[test]
fn a_flood_of_change_cipher_specs_ends() {
    let pki = Pki::new(&rcgen::PKCS_ECDSA_P256_SHA256);
    let mut client = Client::new(pki.options(chromium()), NOW, &mut seeded(1)).unwrap();
    let flood = [20, 3, 3, 0, 1, 1].repeat(1000);
    assert!(matches!(client.handle_input(NOW, &flood), Err(Error::Unexpected(_))));
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
        let pki = Pki::new(&rcgen::PKCS_ECDSA_P256_SHA256);
        let mut client = Client::new(pki.options(chromium()), NOW, &mut seeded(1)).unwrap();
        client.handle_input(NOW, &bytes).ok();
        prop_assert!(!client.is_open());
    }
}
