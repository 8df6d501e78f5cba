//! The answering end behind a rustls server as target: our client finishes with us, on records of the target's lengths.

use std::{error::Error as StdError, sync::Arc};

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use commucat_mimic::{
    CertificateVerifier, Client, ClientOptions, Event, Flight, Presented, Responder, TargetHello, Template,
    Trust,
};
use rustls::{ServerConnection, crypto::aws_lc_rs as provider};

use crate::support::{NAME, NOW, Pki, seeded};

const ED25519_SCHEME: u16 = 0x0807;

/// Takes a "certificate" that is an Ed25519 key.
#[derive(Debug)]
struct Raw;

impl CertificateVerifier for Raw {
    fn verify(&self, presented: &Presented<'_>) -> Result<Trust, Box<dyn StdError + Send + Sync>> {
        assert_eq!(presented.server_hello[0], 2);
        Ok(Trust::Own)
    }

    fn verify_signature(
        &self,
        leaf: &[u8],
        scheme: u16,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), Box<dyn StdError + Send + Sync>> {
        assert_eq!(scheme, ED25519_SCHEME);
        UnparsedPublicKey::new(&ED25519, leaf)
            .verify(message, signature)
            .map_err(|_unspecified| "signature".into())
    }

    fn takes_unoffered(&self, scheme: u16) -> bool {
        scheme == ED25519_SCHEME
    }
}

/// The target's ServerHello message and the lengths of its sealed records.
fn ask_target(pki: &Pki, hello: &[u8]) -> (Vec<u8>, Vec<usize>) {
    let mut target = ServerConnection::new(Arc::new(pki.server(provider::default_provider()))).unwrap();
    target.read_tls(&mut &*hello).unwrap();
    target.process_new_packets().unwrap();
    let mut wire = Vec::new();
    while target.wants_write() {
        target.write_tls(&mut wire).unwrap();
    }
    let (mut server_hello, mut lengths) = (Vec::new(), Vec::new());
    let mut rest = wire.as_slice();
    while let [kind, _, _, high, low, ..] = *rest {
        let (record, later) = rest.split_at(5 + usize::from(u16::from_be_bytes([high, low])));
        match kind {
            22 => server_hello = record[5..].to_vec(),
            23 => lengths.push(record.len()),
            _ => {}
        }
        rest = later;
    }
    (server_hello, lengths)
}

fn records(wire: &[u8]) -> Vec<usize> {
    let mut rest = wire;
    let mut found = Vec::new();
    while let [_, _, _, high, low, ..] = *rest {
        let length = 5 + usize::from(u16::from_be_bytes([high, low]));
        found.push(length);
        rest = &rest[length..];
    }
    found
}

fn meet(pki: &Pki, lengths: Option<Vec<usize>>, seed: u64) {
    let options = ClientOptions::new(Template::chromium_156().unwrap(), Some(NAME), Arc::new(Raw));
    let mut client = Client::new(options, NOW, &mut seeded(seed)).unwrap();
    let mut hello = Vec::new();
    client.poll_transmit(&mut hello);
    let (server_hello, target_lengths) = ask_target(pki, &hello);
    let lengths = lengths.unwrap_or(target_lengths);
    let session_id = hello[5 + 39..5 + 71].to_vec();
    let target = TargetHello::read(&server_hello, &session_id).unwrap();
    let mut responder = Responder::new(client.client_hello(), &target, &mut seeded(seed + 1)).unwrap();
    let key = Ed25519KeyPair::from_seed_unchecked(&[3; 32]).unwrap();
    let flight = Flight::new(lengths.clone()).unwrap();
    let sign = |message: &[u8]| key.sign(message).as_ref().to_vec();
    responder.answer(&flight, key.public_key().as_ref(), ED25519_SCHEME, &sign).unwrap();
    responder.imitate_record(250).unwrap();
    let mut wire = Vec::new();
    responder.poll_transmit(&mut wire);
    let mut expected = vec![server_hello.len() + 5, 6];
    expected.extend(&lengths);
    expected.push(250);
    assert_eq!(records(&wire), expected);
    client.handle_input(NOW, &wire).unwrap();
    assert!(matches!(client.poll_event(), Some(Event::Connected { trust: Some(Trust::Own), .. })));
    exchange(&mut client, &mut responder);
}

fn exchange(client: &mut Client, responder: &mut Responder) {
    let mut wire = Vec::new();
    client.seal(b"up", &mut wire).unwrap();
    for byte in wire {
        responder.handle_input(&[byte]).unwrap();
    }
    assert!(responder.is_open());
    assert_eq!(std::mem::take(responder.plaintext()), b"up");
    let mut wire = Vec::new();
    responder.seal(&[9; 40_000], &mut wire).unwrap();
    client.handle_input(NOW, &wire).unwrap();
    assert_eq!(*client.plaintext(), [9; 40_000]);
    client.close().unwrap();
    let mut wire = Vec::new();
    client.poll_transmit(&mut wire);
    responder.handle_input(&wire).unwrap();
    assert!(responder.is_closed());
}

#[test]
fn a_flight_like_the_targets_and_other_cuts_of_it() {
    let pki = Pki::new(&rcgen::PKCS_RSA_SHA256);
    meet(&pki, None, 1);
    // EncryptedExtensions, Certificate, CertificateVerify, Finished, a record each.
    meet(&pki, Some(vec![28, 900, 286, 74]), 2);
    meet(&pki, Some(vec![2000, 700]), 3);
    meet(&pki, Some(vec![600, 23, 23]), 4);
}

#[test]
fn a_target_whose_records_are_too_short_is_refused() {
    let pki = Pki::new(&rcgen::PKCS_ECDSA_P256_SHA256);
    let options = ClientOptions::new(Template::chromium_156().unwrap(), Some(NAME), Arc::new(Raw));
    let mut client = Client::new(options, NOW, &mut seeded(1)).unwrap();
    let mut hello = Vec::new();
    client.poll_transmit(&mut hello);
    let (server_hello, _) = ask_target(&pki, &hello);
    let target = TargetHello::read(&server_hello, &hello[5 + 39..5 + 71]).unwrap();
    assert!(TargetHello::read(&server_hello, &[0; 32]).is_err(), "an answer to somebody else");
    let mut responder = Responder::new(client.client_hello(), &target, &mut seeded(2)).unwrap();
    let flight = Flight::new(vec![100]).unwrap();
    assert!(responder.answer(&flight, &[1; 300], ED25519_SCHEME, &|_| vec![0; 64]).is_err());
    assert!(responder.imitate_record(10).is_err());
}

#[test]
fn a_wrong_finished_ends_it() {
    let pki = Pki::new(&rcgen::PKCS_ECDSA_P256_SHA256);
    let options = ClientOptions::new(Template::firefox_153().unwrap(), Some(NAME), Arc::new(Raw));
    let mut client = Client::new(options, NOW, &mut seeded(1)).unwrap();
    let mut hello = Vec::new();
    client.poll_transmit(&mut hello);
    let (server_hello, lengths) = ask_target(&pki, &hello);
    let target = TargetHello::read(&server_hello, &hello[5 + 39..5 + 71]).unwrap();
    let mut responder = Responder::new(client.client_hello(), &target, &mut seeded(2)).unwrap();
    responder.answer(&Flight::new(lengths).unwrap(), &[1; 32], ED25519_SCHEME, &|_| vec![0; 64]).unwrap();
    let mut garbage = vec![23, 3, 3, 0, 53];
    garbage.extend([7; 53]);
    assert!(responder.handle_input(&garbage).is_err());
    assert!(!responder.is_open());
}
