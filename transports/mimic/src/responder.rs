//! The other end: answers a client's hello with another server's ServerHello, of which only the key share is replaced.
//!
//! That is what a bridge needs which hides behind a real site: everything a passer-by can read is the site's own, and
//! the records of the sealed flight have the site's lengths. Who may be answered so is the caller's to decide.

mod flight;

use std::fmt;

use commucat_dissect::tls::ClientHello;
use subtle::ConstantTimeEq as _;

pub use self::flight::{Flight, MAX_FLIGHT_RECORDS};
use crate::{
    Alert, Error, Parts, Random,
    codec::handshake,
    link::{Content, Input, Link, Opened, Phase, Sealed},
    message::{self, ServerHello},
    record::{self, Protection},
    schedule::{Application, Handshake, Suite, Transcript},
    shares::{GROUP_X25519, Server, X25519_MLKEM768},
};

/// CertificateVerify's context string for servers (RFC 8446 §4.4.3).
const CONTEXT: &[u8] = b"TLS 1.3, server CertificateVerify\0";

/// The ServerHello of the site that is imitated.
#[derive(Clone, Debug)]
pub struct TargetHello {
    message: Vec<u8>,
    suite: Suite,
    group: u16,
    share_at: usize,
    share_bytes: usize,
}

impl TargetHello {
    /// Reads a ServerHello handshake message, answering `session_id`.
    ///
    /// # Errors
    /// It is none of TLS 1.3 that can be imitated: a retry, another group than X25519 or X25519MLKEM768.
    pub fn read(message: &[u8], session_id: &[u8]) -> Result<Self, Error> {
        let body = message.get(4..).ok_or(Error::Decode("target's ServerHello"))?;
        let hello = ServerHello::read(body)?;
        if hello.is_retry || hello.psk.is_some() || hello.session_id != session_id {
            return Err(Error::Unexpected("ServerHello of the target: a retry, a resumption or another's"));
        }
        let suite = Suite::of(hello.suite).ok_or(Error::Illegal("an unknown cipher suite of the target"))?;
        let (group, share) = hello.share.ok_or(Error::Illegal("a target without key share"))?;
        let share_bytes = match group {
            GROUP_X25519 => 32,
            X25519_MLKEM768 => 1120,
            _ => return Err(Error::Unexpected("group of the target that cannot be imitated")),
        };
        // The share is a part of the message: its distance from the start is where it is replaced.
        let share_at = (share.as_ptr() as usize).checked_sub(message.as_ptr() as usize);
        let share_at =
            share_at.filter(|_| share.len() == share_bytes).ok_or(Error::Decode("target's key share"))?;
        Ok(Self { message: message.to_vec(), suite, group, share_at, share_bytes })
    }

    /// The group it chose.
    pub const fn group(&self) -> u16 {
        self.group
    }

    /// The cipher suite it chose.
    pub const fn cipher_suite(&self) -> u16 {
        self.suite.number
    }

    /// Bytes of the hash of that suite: 32 or 48. Finished has as many.
    pub fn hash_bytes(&self) -> usize {
        self.suite.hash_bytes()
    }
}

/// The answering end of a connection.
pub struct Responder {
    link: Link,
    server_hello: Vec<u8>,
    transcript: Transcript,
    suite: Suite,
    keys: Option<Handshake>,
    application: Option<Application>,
    flight_sent: bool,
}

impl Responder {
    /// Agrees on keys: takes the target's ServerHello with a key share of our own.
    ///
    /// # Errors
    /// The client's hello has no share of the target's group, or is not whole.
    pub fn new(client_hello: &[u8], target: &TargetHello, random: &mut dyn Random) -> Result<Self, Error> {
        let hello = ClientHello::parse(client_hello).ok_or(Error::Decode("client's hello"))?;
        let share = hello.key_shares().into_iter().find(|(group, _)| *group == target.group);
        let (_, theirs) = share.ok_or(Error::Illegal("a hello without a share of the target's group"))?;
        let Server { public, secret } = Server::answer(target.group, theirs, random)?;
        let mut server_hello = target.message.clone();
        let slot = server_hello.get_mut(target.share_at..target.share_at + target.share_bytes);
        slot.filter(|slot| slot.len() == public.len())
            .ok_or(Error::Decode("target's key share"))?
            .copy_from_slice(&public);
        let mut transcript = Transcript::new(target.suite, client_hello);
        transcript.add(&server_hello);
        let keys = Handshake::new(target.suite, None, &secret, transcript.hash().as_ref());
        let mut link = Link::new();
        link.receive = Some(Protection::new(target.suite, keys.client.clone())?);
        link.send = Some(Protection::new(target.suite, keys.server.clone())?);
        Ok(Self {
            link,
            server_hello,
            transcript,
            suite: target.suite,
            keys: Some(keys),
            application: None,
            flight_sent: false,
        })
    }

    /// The ServerHello with our share, as the client gets it.
    pub fn server_hello(&self) -> &[u8] {
        &self.server_hello
    }

    /// Writes ServerHello, change_cipher_spec and the sealed flight, its records as long as the target's.
    ///
    /// `certificate` is DER; `sign` signs the bytes of CertificateVerify with `scheme`.
    ///
    /// # Errors
    /// What we have to say does not fit in the target's records, or the flight was written before.
    pub fn answer(
        &mut self,
        flight: &Flight,
        certificate: &[u8],
        scheme: u16,
        sign: &dyn Fn(&[u8]) -> Vec<u8>,
    ) -> Result<(), Error> {
        let keys = self.keys.as_ref().ok_or(Error::NotOpen)?;
        if std::mem::replace(&mut self.flight_sent, true) {
            return Err(Error::NotOpen);
        }
        let mut messages = Vec::new();
        for message in [flight::encrypted_extensions(), flight::certificate(certificate)] {
            self.transcript.add(&message);
            messages.push(message);
        }
        let hash = self.transcript.hash();
        let signature = sign(&[&[0x20; 64], CONTEXT, hash.as_ref()].concat());
        let verify = flight::certificate_verify(scheme, &signature);
        self.transcript.add(&verify);
        messages.push(verify);
        let verify_data = self.suite.finished(&keys.server, self.transcript.hash().as_ref());
        let mut finished = Vec::new();
        handshake(&mut finished, message::FINISHED, |out| out.extend_from_slice(&verify_data));
        self.transcript.add(&finished);
        messages.push(finished);
        record::plain(&mut self.link.outgoing, record::HANDSHAKE, 0x0303, &self.server_hello);
        record::plain(&mut self.link.outgoing, record::CHANGE_CIPHER_SPEC, 0x0303, &[1]);
        let send = self.link.send.as_mut().ok_or(Error::NotOpen)?;
        flight.seal(send, &mut self.link.outgoing, &messages)?;
        let application = keys.application(self.transcript.hash().as_ref());
        // What we send from here on, before the client's Finished too, has the application keys.
        self.link.send = Some(Protection::new(self.suite, application.server.clone())?);
        self.application = Some(application);
        Ok(())
    }

    /// Seals a record of any kind with the keys of the moment, for [`crate::fuzzing`].
    pub(crate) fn seal_as(&mut self, kind: u8, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
        self.link.send.as_mut().ok_or(Error::NotOpen)?.seal(out, kind, bytes)
    }

    /// Writes a record that is `bytes` long, header included, and moves nothing: an imitation of a ticket.
    ///
    /// # Errors
    /// The length cannot be a record's, or the flight was not written yet.
    pub fn imitate_record(&mut self, bytes: usize) -> Result<(), Error> {
        let padding = bytes
            .checked_sub(record::HEADER_BYTES + record::TAG_BYTES + 1)
            .filter(|padding| self.application.is_some() && *padding <= record::MAX_PLAINTEXT_BYTES)
            .ok_or(Error::Illegal("a length that no record has"))?;
        let send = self.link.send.as_mut().ok_or(Error::NotOpen)?;
        send.seal_padded(&mut self.link.outgoing, record::APPLICATION_DATA, &[], padding)
    }

    /// Takes what arrived.
    ///
    /// # Errors
    /// Why the connection cannot go on.
    pub fn handle_input(&mut self, bytes: &[u8]) -> Result<(), Error> {
        if self.link.phase == Phase::Failed {
            return Err(Error::NotOpen);
        }
        self.link.feed(bytes);
        let result = self.read_inputs().inspect_err(|error| self.link.fail(error));
        self.link.compact();
        result
    }

    fn read_inputs(&mut self) -> Result<(), Error> {
        while let Some(input) = self.link.next()? {
            match input {
                // Seen by the phase.
                Input::Closed => {}
                Input::Message(message::FINISHED, whole) if self.link.phase == Phase::Handshake => {
                    self.read_finished(&whole)?;
                }
                Input::Message(..) => return Err(Error::Unexpected("handshake message of a client")),
            }
        }
        Ok(())
    }

    fn read_finished(&mut self, whole: &[u8]) -> Result<(), Error> {
        self.link.keys_may_change()?;
        let keys = self.keys.take().ok_or(Error::NotOpen)?;
        let application = self.application.as_ref().ok_or(Error::Unexpected("Finished before our flight"))?;
        let expected = keys.suite.finished(&keys.client, self.transcript.hash().as_ref());
        if !bool::from(expected.ct_eq(whole.get(4..).unwrap_or_default())) {
            return Err(Error::BadSignature("Finished"));
        }
        self.link.receive = Some(Protection::new(self.suite, application.client.clone())?);
        self.link.open();
        Ok(())
    }

    /// Whether the client's Finished arrived: bytes move now.
    pub const fn is_open(&self) -> bool {
        self.link.is_open()
    }

    /// Whether the client ended its direction.
    pub const fn is_closed(&self) -> bool {
        matches!(self.link.phase, Phase::Closed)
    }

    /// Moves what is to be sent into `out`.
    pub fn poll_transmit(&mut self, out: &mut Vec<u8>) {
        out.append(&mut self.link.outgoing);
    }

    /// Decrypted bytes; take them out.
    pub const fn plaintext(&mut self) -> &mut Vec<u8> {
        &mut self.link.plaintext
    }

    /// Appends records of `bytes` to `out`.
    ///
    /// # Errors
    /// [`Error::NotOpen`] before the handshake is done.
    pub fn seal(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
        self.link.seal(bytes, out)
    }

    /// Opens the first record of `wire` into `out`, or in place where `out` is too short for it (its sealed length counts);
    /// `None` when it is not whole, or when the peer ended its direction. For bulk: nothing is copied. What arrived through
    /// [`Self::handle_input`] must have been taken out with [`Self::take_undecrypted`] before.
    ///
    /// # Errors
    /// Why the connection cannot go on; [`Error::NotOpen`] before the handshake is done.
    pub fn open_record(&mut self, wire: &mut [u8], out: &mut [u8]) -> Result<Option<Opened>, Error> {
        let opened = self.link.open_record(wire, out).and_then(|opened| {
            if opened.as_ref().is_some_and(|opened| opened.content == Content::None) {
                self.read_inputs()?;
            }
            Ok(opened)
        });
        opened.inspect_err(|error| self.link.fail(error))
    }

    /// Seals a beginning of `bytes` into `out`: as many records as fit ([`sealed_bytes`](crate::sealed_bytes)), behind what is
    /// to be sent on our own account.
    ///
    /// # Errors
    /// [`Error::NotOpen`] before the handshake is done.
    pub fn seal_into(&mut self, bytes: &[u8], out: &mut [u8]) -> Result<Sealed, Error> {
        self.link.seal_into(bytes, out)
    }

    /// Moves what is to be sent into `out` as far as it fits: how many bytes.
    pub fn transmit_into(&mut self, out: &mut [u8]) -> usize {
        self.link.transmit_into(out)
    }

    /// Changes our keys and asks the peer to change its own (RFC 8446 §4.6.3); appends the record to `out`.
    ///
    /// # Errors
    /// [`Error::NotOpen`] before the handshake is done.
    pub fn update_keys(&mut self, out: &mut Vec<u8>) -> Result<(), Error> {
        self.link.update_keys(out)
    }

    /// Ends our direction (close_notify).
    ///
    /// # Errors
    /// [`Error::NotOpen`] before the handshake is done.
    pub fn close(&mut self) -> Result<(), Error> {
        if !self.is_open() {
            return Err(Error::NotOpen);
        }
        self.link.write_alert(1, Alert::CloseNotify)
    }

    /// Whether to stop opening records behind each one that held bytes. What arrived after it waits undecrypted until its
    /// bytes were taken and [`Self::handle_input`] is called again, with none if there are none: for protocols whose
    /// peer may go on below TLS ([`Self::take_undecrypted`]).
    pub const fn set_stepwise(&mut self, stepwise: bool) {
        self.link.stepwise = stepwise;
    }

    /// Takes the bytes that arrived and were not decrypted; the peer's direction goes on below TLS.
    pub fn take_undecrypted(&mut self) -> Vec<u8> {
        self.link.take_undecrypted()
    }

    /// Lets go of what only the handshake needed. A connection that is open moves bytes as before.
    pub fn forget_handshake(&mut self) {
        if self.is_open() {
            self.server_hello = Vec::new();
            self.application = None;
        }
    }

    /// Takes the connection apart; no alert is sent.
    pub fn into_parts(mut self) -> Parts {
        let undecrypted = self.link.take_undecrypted();
        Parts::new(self.link.plaintext, undecrypted)
    }
}

impl fmt::Debug for Responder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Responder")
            .field("suite", &self.suite)
            .field("phase", &self.link.phase)
            .finish_non_exhaustive()
    }
}
