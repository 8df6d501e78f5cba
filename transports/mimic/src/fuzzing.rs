//! For `tests/fuzz` alone, no part of the API: what reads a server's bytes, each as a question about any bytes. The
//! answer is whether it keeps its promise.

use std::{error::Error as StdError, sync::Arc, time::Duration};

use crate::{
    CertificateVerifier, Client, ClientOptions, Error, Flight, NoRandomness, Presented, Responder,
    SESSION_ID_AT, SESSION_ID_BYTES, TargetHello, Template, Trust, decompress, record,
};

/// Time since 1970, whatever it is.
const NOW: Duration = Duration::from_secs(1_790_000_000);

/// Bytes of a server that answer a hello end the same however they are cut, and never open a connection.
pub fn answer(data: &[u8]) -> bool {
    let Some((cut, data)) = data.split_first() else { return true };
    let (Ok(mut whole), Ok(mut parts)) = (client(), client()) else { return false };
    let at = data.len() * usize::from(*cut) / 256;
    let (first, second) = data.split_at(at);
    let once = whole.handle_input(NOW, data).map_err(|error| error.to_string());
    let twice = parts.handle_input(NOW, first).and_then(|()| parts.handle_input(NOW, second));
    let (mut said_once, mut said_twice) = (Vec::new(), Vec::new());
    whole.poll_transmit(&mut said_once);
    parts.poll_transmit(&mut said_twice);
    // A second hello draws fresh keys; beside it everything is the same.
    once == twice.map_err(|error| error.to_string())
        && said_once.len() == said_twice.len()
        && !whole.is_open()
        && !parts.is_open()
}

/// Handshake messages of a server, sealed as they must be, never open a connection: its Finished cannot be right.
pub fn flight(data: &[u8]) -> bool {
    let Ok((mut client, mut server)) = meeting() else { return false };
    let mut wire = Vec::new();
    for part in data.chunks(record::MAX_PLAINTEXT_BYTES) {
        if server.seal_as(record::HANDSHAKE, part, &mut wire).is_err() {
            return false;
        }
    }
    let read = client.handle_input(NOW, &wire);
    // An empty alert list or a second one: after an error nothing is read any more.
    !client.is_open() && (read.is_ok() || client.handle_input(NOW, &[]).is_err())
}

/// Records of an open connection: two bytes of kind and length, then content. What is read is what was sealed as data, in
/// order, whether records are opened at once or one by one.
pub fn records(data: &[u8]) -> bool {
    let (Ok(at_once), Ok(stepwise)) = (opened(data, false), opened(data, true)) else { return false };
    let (read, ok) = at_once;
    let (read_by_steps, ok_by_steps) = stepwise;
    ok == ok_by_steps && read == read_by_steps
}

/// A compressed certificate is no longer than allowed, whatever it claims.
pub fn certificate(data: &[u8]) -> bool {
    decompress::certificate(data, |_method| true)
        .map_or(true, |plain| plain.len() <= decompress::MAX_CERTIFICATE_BYTES)
}

/// What a client reads of the script in `data`, and whether all of it was right. An error if the set-up itself failed.
fn opened(data: &[u8], stepwise: bool) -> Result<(Vec<u8>, bool), Error> {
    let (mut client, mut server) = meeting()?;
    let mut wire = Vec::new();
    server.answer(&Flight::new(vec![2000])?, &[7; 100], 0x0807, &|_message| vec![9; 64])?;
    server.poll_transmit(&mut wire);
    // The ServerHello and its change_cipher_spec came with the meeting.
    let hello = record::HEADER_BYTES + server.server_hello().len() + record::HEADER_BYTES + 1;
    client.handle_input(NOW, wire.get(hello..).unwrap_or_default())?;
    wire.clear();
    let mut rest = data;
    while let Some((&[kind, length], more)) = rest.split_first_chunk() {
        let (body, later) = more.split_at(usize::from(length).min(more.len()));
        let kinds = [record::APPLICATION_DATA, record::HANDSHAKE, record::ALERT, kind];
        let kind = kinds.get(usize::from(kind % 4)).copied().unwrap_or(kind);
        server.seal_as(kind, body, &mut wire)?;
        rest = later;
    }
    client.set_stepwise(stepwise);
    let (mut read, mut ok) = (Vec::new(), client.handle_input(NOW, &wire).is_ok());
    while ok && !client.plaintext().is_empty() {
        read.append(client.plaintext());
        ok = client.handle_input(NOW, &[]).is_ok();
    }
    read.append(client.plaintext());
    Ok((read, ok))
}

fn client() -> Result<Client, Error> {
    let options = ClientOptions::new(Template::chromium_156()?, Some("www.example.com"), Arc::new(TakesAll));
    Client::new(options, NOW, &mut counting(1))
}

/// A client that has read a ServerHello, and the server that it came from.
fn meeting() -> Result<(Client, Responder), Error> {
    let mut client = client()?;
    let session_id = client.client_hello().get(SESSION_ID_AT..SESSION_ID_AT + SESSION_ID_BYTES);
    let session_id = session_id.unwrap_or_default().to_vec();
    let target = TargetHello::read(&server_hello(&session_id), &session_id)?;
    let server = Responder::new(client.client_hello(), &target, &mut counting(2))?;
    let mut wire = Vec::new();
    record::plain(&mut wire, record::HANDSHAKE, 0x0303, server.server_hello());
    record::plain(&mut wire, record::CHANGE_CIPHER_SPEC, 0x0303, &[1]);
    client.handle_input(NOW, &wire)?;
    Ok((client, server))
}

/// A ServerHello with AES-128-GCM and room for an X25519 share.
fn server_hello(session_id: &[u8]) -> Vec<u8> {
    let mut body = vec![3, 3];
    body.extend_from_slice(&[0x5a; 32]);
    body.push(32);
    body.extend_from_slice(session_id);
    body.extend_from_slice(&[0x13, 1, 0, 0, 46, 0, 0x2b, 0, 2, 3, 4, 0, 51, 0, 36, 0, 29, 0, 32]);
    body.extend_from_slice(&[0; 32]);
    let mut message = Vec::new();
    crate::codec::handshake(&mut message, crate::message::SERVER_HELLO, |out| out.extend_from_slice(&body));
    message
}

fn counting(mut seed: u8) -> impl FnMut(&mut [u8]) -> Result<(), NoRandomness> {
    move |bytes| {
        for byte in bytes {
            seed = seed.wrapping_mul(5).wrapping_add(13);
            *byte = seed;
        }
        Ok(())
    }
}

/// Takes every certificate and signature: what is asked here is how messages are read.
#[derive(Debug)]
struct TakesAll;

impl CertificateVerifier for TakesAll {
    fn verify(&self, _presented: &Presented<'_>) -> Result<Trust, Box<dyn StdError + Send + Sync>> {
        Ok(Trust::Own)
    }

    fn verify_signature(
        &self,
        _leaf: &[u8],
        _scheme: u16,
        _message: &[u8],
        _signature: &[u8],
    ) -> Result<(), Box<dyn StdError + Send + Sync>> {
        Ok(())
    }

    fn takes_unoffered(&self, _scheme: u16) -> bool {
        true
    }
}
