//! Whole handshakes with rustls: every suite and group, retry, tickets, key updates, every portion of input.

use std::sync::Arc;

use commucat_mimic::Template;
use rustls::crypto::aws_lc_rs::{self as provider, cipher_suite as suites, kx_group};

use crate::support::{Pair, Pki};

fn both() -> [Template; 2] {
    [Template::chromium_156().unwrap(), Template::firefox_153().unwrap()]
}

fn exchange(pair: &mut Pair) {
    let up: Vec<u8> = (0..50_000_u32).map(|at| at.to_le_bytes()[0]).collect();
    let mut wire = Vec::new();
    pair.client.seal(&up, &mut wire).unwrap();
    pair.hand_to_server(&wire);
    assert_eq!(pair.server_reads(), up);
    pair.server_writes(&up);
    pair.settle().unwrap();
    assert_eq!(std::mem::take(pair.client.plaintext()), up);
}

#[test]
fn every_suite_and_every_kind_of_key() {
    let pki = [
        Pki::new(&rcgen::PKCS_ECDSA_P256_SHA256),
        Pki::new(&rcgen::PKCS_ECDSA_P384_SHA384),
        Pki::new(&rcgen::PKCS_RSA_SHA256),
    ];
    for (pki, suite) in pki.iter().zip([
        suites::TLS13_AES_128_GCM_SHA256,
        suites::TLS13_AES_256_GCM_SHA384,
        suites::TLS13_CHACHA20_POLY1305_SHA256,
    ]) {
        for template in both() {
            let mut crypto = provider::default_provider();
            crypto.cipher_suites = vec![suite];
            let mut pair = Pair::new(pki.options(template), &Arc::new(pki.server(crypto)), 1);
            pair.settle().unwrap();
            let connected = pair.connected.as_ref().expect("connected");
            assert_eq!(connected.suite, u16::from(suite.suite()));
            assert_eq!(connected.alpn.as_deref(), Some("h2"));
            assert!(!connected.resumed);
            exchange(&mut pair);
        }
    }
}

#[test]
fn every_group_with_a_retry_where_the_hello_has_no_share() {
    let pki = Pki::new(&rcgen::PKCS_ECDSA_P256_SHA256);
    for (group, number) in [
        (kx_group::X25519MLKEM768, 0x11ec),
        (kx_group::X25519, 0x001d),
        (kx_group::SECP256R1, 0x0017),
        (kx_group::SECP384R1, 0x0018),
    ] {
        for template in both() {
            let mut crypto = provider::default_provider();
            crypto.kx_groups = vec![group];
            let mut pair = Pair::new(pki.options(template), &Arc::new(pki.server(crypto)), 2);
            pair.settle().unwrap();
            assert_eq!(pair.connected.as_ref().expect("connected").group, number);
            exchange(&mut pair);
        }
    }
}

#[test]
fn any_portion_of_input() {
    let pki = Pki::new(&rcgen::PKCS_ECDSA_P256_SHA256);
    let config = Arc::new(pki.server(provider::default_provider()));
    for portion in [1, 2, 3, 5, 7, 100, 1000] {
        let mut pair = Pair::new(pki.options(Template::chromium_156().unwrap()), &config, 3);
        pair.portion = portion;
        pair.settle().unwrap();
        exchange(&mut pair);
    }
}

#[test]
fn a_ticket_resumes_once_more() {
    let pki = Pki::new(&rcgen::PKCS_ECDSA_P256_SHA256);
    let mut config = pki.server(provider::default_provider());
    config.ticketer = provider::Ticketer::new().unwrap();
    let config = Arc::new(config);
    let mut first = Pair::new(pki.options(Template::chromium_156().unwrap()), &config, 4);
    first.settle().unwrap();
    let ticket = first.tickets.pop().expect("a ticket");
    let mut options = pki.options(Template::chromium_156().unwrap());
    options.ticket = Some(ticket);
    let mut second = Pair::new(options, &config, 5);
    second.settle().unwrap();
    assert!(second.connected.as_ref().expect("connected").resumed);
    exchange(&mut second);
}

#[test]
fn a_fake_ticket_is_passed_over() {
    let pki = Pki::new(&rcgen::PKCS_ECDSA_P256_SHA256);
    let mut config = pki.server(provider::default_provider());
    config.ticketer = provider::Ticketer::new().unwrap();
    let mut options = pki.options(Template::chromium_156().unwrap());
    options.fake_ticket = true;
    let mut pair = Pair::new(options, &Arc::new(config), 6);
    pair.settle().unwrap();
    assert!(!pair.connected.as_ref().expect("connected").resumed);
    exchange(&mut pair);
}

#[test]
fn keys_are_renewed_when_the_server_asks() {
    let pki = Pki::new(&rcgen::PKCS_ECDSA_P256_SHA256);
    let config = Arc::new(pki.server(provider::default_provider()));
    let mut pair = Pair::new(pki.options(Template::firefox_153().unwrap()), &config, 7);
    pair.settle().unwrap();
    for _ in 0..3 {
        pair.server.refresh_traffic_keys().unwrap();
        pair.settle().unwrap();
        exchange(&mut pair);
    }
}

#[test]
fn both_ends_close_in_order() {
    let pki = Pki::new(&rcgen::PKCS_ECDSA_P256_SHA256);
    let config = Arc::new(pki.server(provider::default_provider()));
    let mut pair = Pair::new(pki.options(Template::chromium_156().unwrap()), &config, 8);
    pair.settle().unwrap();
    pair.server.send_close_notify();
    pair.settle().unwrap();
    assert!(pair.closed);
    let mut wire = Vec::new();
    pair.client.seal(b"still ours", &mut wire).unwrap();
    pair.client.close().unwrap();
    pair.client.poll_transmit(&mut wire);
    pair.hand_to_server(&wire);
    assert_eq!(pair.server_reads(), b"still ours");
}
