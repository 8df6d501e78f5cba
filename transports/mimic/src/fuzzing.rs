//! For `tests/fuzz` alone, no part of the API: what reads a server's bytes, each as a question about any bytes. The
//! answer is whether it keeps its promise.

use std::{error::Error as StdError, sync::Arc, time::Duration};

use crate::{
    CertificateVerifier, Client, ClientOptions, Content, Error, Flight, MAX_RECORD_BYTES, NoRandomness,
    Presented, Responder, SESSION_ID_AT, SESSION_ID_BYTES, TargetHello, Template, Trust, decompress, record,
};

/// From this kind on the content of a script is no record's, but bytes of the wire.
const AS_THEY_ARE: u8 = 0x80;
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

/// Records of an open connection: two bytes of kind and length, then content; with the highest bit of the kind the content
/// is on the wire as it is. What is read is the same in whichever way records are opened; the last byte chooses the other way.
pub fn records(data: &[u8]) -> bool {
    let other = match data.last().map_or(0, |byte| byte % 4) {
        0 => Way::Stepwise,
        1 => Way::Into(0),
        2 => Way::Into(100),
        _ => Way::Into(MAX_RECORD_BYTES),
    };
    let (Ok(read), Ok(again)) = (opened(data, Way::AtOnce), opened(data, other)) else { return false };
    read == again
}

/// How records are opened.
#[derive(Clone, Copy, Debug)]
enum Way {
    AtOnce,
    /// With a stop behind each that held bytes.
    Stepwise,
    /// One by one into a buffer of so many bytes, or in place.
    Into(usize),
}

/// A compressed certificate is no longer than allowed, whatever it claims.
pub fn certificate(data: &[u8]) -> bool {
    decompress::certificate(data, |_method| true)
        .map_or(true, |plain| plain.len() <= decompress::MAX_CERTIFICATE_BYTES)
}

/// What a client reads of the script in `data`, and whether all of it was right. An error if the set-up itself failed.
fn opened(data: &[u8], way: Way) -> Result<(Vec<u8>, bool), Error> {
    let (mut client, mut server) = meeting()?;
    let mut wire = Vec::new();
    server.answer(&Flight::new(vec![2000])?, &[7; 100], 0x0807, &|_message| vec![9; 64])?;
    server.poll_transmit(&mut wire);
    // The ServerHello and its change_cipher_spec came with the meeting.
    let hello = record::HEADER_BYTES + server.server_hello().len() + record::HEADER_BYTES + 1;
    client.handle_input(NOW, wire.get(hello..).unwrap_or_default())?;
    wire.clear();
    seal(data, &mut server, &mut wire)?;
    if let Way::Into(room) = way {
        return Ok(opened_into(&mut client, &mut wire, room));
    }
    client.set_stepwise(matches!(way, Way::Stepwise));
    let (mut read, mut ok) = (Vec::new(), client.handle_input(NOW, &wire).is_ok());
    while ok && !client.plaintext().is_empty() {
        read.append(client.plaintext());
        ok = client.handle_input(NOW, &[]).is_ok();
    }
    read.append(client.plaintext());
    Ok((read, ok))
}

/// The records that a script asks for.
fn seal(script: &[u8], server: &mut Responder, wire: &mut Vec<u8>) -> Result<(), Error> {
    let mut rest = script;
    while let Some((&[kind, length], more)) = rest.split_first_chunk() {
        let length = usize::from(length) << (kind >> 4 & 7);
        let (body, later) = more.split_at(length.min(more.len()));
        let kinds = [record::APPLICATION_DATA, record::HANDSHAKE, record::ALERT, kind];
        let content = kinds.get(usize::from(kind % 4)).copied().unwrap_or(kind);
        match kind {
            ..AS_THEY_ARE => server.seal_as(content, body, wire)?,
            AS_THEY_ARE.. => wire.extend_from_slice(body),
        }
        rest = later;
    }
    Ok(())
}

/// The same as records are opened in bulk.
fn opened_into(client: &mut Client, mut wire: &mut [u8], room: usize) -> (Vec<u8>, bool) {
    let (mut read, mut out) = (Vec::new(), vec![0; room]);
    loop {
        let opened = match client.open_record(NOW, wire, &mut out) {
            Ok(Some(opened)) => opened,
            Ok(None) => return (read, true),
            Err(_error) => return (read, false),
        };
        match opened.content {
            Content::None => {}
            Content::Out(length) => read.extend_from_slice(out.get(..length).unwrap_or_default()),
            Content::Wire(place) => read.extend_from_slice(wire.get(place).unwrap_or_default()),
        }
        wire = wire.get_mut(opened.used..).unwrap_or_default();
    }
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
