//! The handshake: one method a message, in the order in which they come.

use std::time::Duration;

use subtle::ConstantTimeEq as _;

use super::{Client, Event, State};
use crate::{
    Error, Presented,
    codec::{Reader, extension, handshake, vec16},
    decompress,
    hello::Retry,
    message::{self, ServerHello},
    record::{self, MAX_PLAINTEXT_BYTES, Protection},
    schedule::{Handshake, Suite, Transcript},
    shares::Share,
    verify,
};

const ALPN: u16 = 16;
const RECORD_SIZE_LIMIT: u16 = 28;
/// ALPS, before and after its number changed.
const ALPS: [u16; 2] = [0x4469, 0x44cd];
/// Extensions that only a ServerHello may hold (RFC 8446 §4.2).
const NOT_ENCRYPTED: [u16; 4] = [41, 43, 44, 51];
/// The least that RFC 8449 allows, in bytes.
const LEAST_RECORD_SIZE: u16 = 64;

impl Client {
    pub(super) fn read_handshake_message(
        &mut self,
        now: Duration,
        kind: u8,
        whole: &[u8],
    ) -> Result<(), Error> {
        let state = std::mem::replace(&mut self.state, State::Done);
        let body = whole.get(4..).unwrap_or_default();
        match (state, kind) {
            (State::ServerHello { retried }, message::SERVER_HELLO) => {
                return self.read_server_hello(whole, retried);
            }
            (State::EncryptedExtensions, message::ENCRYPTED_EXTENSIONS) => {
                self.read_encrypted_extensions(body)?;
                self.state = if self.facts.resumed { State::Finished } else { State::Certificate };
            }
            (State::Certificate, message::CERTIFICATE) => {
                self.state = State::CertificateVerify { chain: message::read_certificates(body)? };
            }
            (State::Certificate, message::COMPRESSED_CERTIFICATE) => {
                let template = self.draft.template();
                let offered = |method| template.compressions().iter().any(|one| one.0 == method);
                let plain = decompress::certificate(body, offered)?;
                self.state = State::CertificateVerify { chain: message::read_certificates(&plain)? };
            }
            (State::Certificate, message::CERTIFICATE_REQUEST) => {
                return Err(Error::Unexpected("request for a client certificate, of which there is none"));
            }
            (State::CertificateVerify { chain }, message::CERTIFICATE_VERIFY) => {
                self.read_certificate_verify(now, body, &chain)?;
                self.state = State::Finished;
            }
            (State::Finished, message::FINISHED) => return self.read_finished(whole, body),
            _ => return Err(Error::Unexpected("handshake message")),
        }
        self.transcript()?.add(whole);
        Ok(())
    }

    fn transcript(&mut self) -> Result<&mut Transcript, Error> {
        self.transcript.as_mut().ok_or(Error::Crypto("no transcript"))
    }

    fn read_server_hello(&mut self, whole: &[u8], retried: Option<u16>) -> Result<(), Error> {
        let hello = ServerHello::read(whole.get(4..).unwrap_or_default())?;
        self.link.keys_may_change()?;
        let suite = Suite::of(hello.suite)
            .filter(|suite| self.draft.offers_suite(suite.number))
            .ok_or(Error::Illegal("a cipher suite that was not offered"))?;
        if hello.session_id != self.draft.session_id() {
            return Err(Error::Illegal("a session id that is not ours"));
        }
        if retried.is_some_and(|before| before != hello.suite) {
            return Err(Error::Illegal("another cipher suite than before"));
        }
        if hello.is_retry {
            if retried.is_some() {
                return Err(Error::Unexpected("second HelloRetryRequest"));
            }
            return self.retry(whole, &hello, suite);
        }
        let transcript = self.transcript.take();
        let mut transcript = transcript.unwrap_or_else(|| Transcript::new(suite, &self.hello));
        transcript.add(whole);
        self.server_hello = whole.to_vec();
        self.accept_server_hello(&hello, suite, &transcript)?;
        self.transcript = Some(transcript);
        self.state = State::EncryptedExtensions;
        Ok(())
    }

    fn accept_server_hello(
        &mut self,
        hello: &ServerHello<'_>,
        suite: Suite,
        transcript: &Transcript,
    ) -> Result<(), Error> {
        let (group, theirs) = hello.share.ok_or(Error::Illegal("a ServerHello without a key share"))?;
        let share = self.draft.shares.iter().find(|share| share.group() == group);
        let share = share.ok_or(Error::Illegal("a key share of a group without ours"))?;
        let shared = share.agree(theirs)?;
        let psk = match (hello.psk, &self.ticket) {
            (None, _) => None,
            (Some(0), Some(ticket)) if ticket.suite().hash == suite.hash => Some(ticket.psk()),
            (Some(_), _) => return Err(Error::Illegal("a pre-shared key that was not offered")),
        };
        let keys = Handshake::new(suite, psk, &shared, transcript.hash().as_ref());
        self.facts.resumed = psk.is_some();
        self.facts.suite = suite.number;
        self.facts.group = group;
        self.link.receive = Some(Protection::new(suite, keys.server.clone())?);
        self.handshake_keys = Some(keys);
        Ok(())
    }

    /// Answers a HelloRetryRequest as a browser does: the same hello with the one share that was asked for.
    fn retry(&mut self, whole: &[u8], hello: &ServerHello<'_>, suite: Suite) -> Result<(), Error> {
        let retry =
            Retry { group: hello.share.map(|(group, _)| group), cookie: hello.cookie.map(<[u8]>::to_vec) };
        match retry.group {
            Some(group) if self.draft.may_retry_with(group) => {
                // Groups that have no share in a browser's hello are curves, whose keys the library draws.
                let share = Share::generate(group, &mut no_bytes, None)?;
                self.draft.shares = vec![share];
            }
            Some(_) => return Err(Error::Illegal("a retry with a group that it cannot ask for")),
            None if retry.cookie.is_none() => return Err(Error::Illegal("a retry that changes nothing")),
            None => {}
        }
        let mut transcript = Transcript::after_retry(suite, &self.hello)?;
        transcript.add(whole);
        // The binder of a ticket would cover a synthetic message; like most clients, do not resume after a retry.
        self.ticket = None;
        self.hello = self.draft.write(&retry, self.resume());
        transcript.add(&self.hello);
        self.transcript = Some(transcript);
        self.write_change_cipher_spec();
        record::plain(&mut self.link.outgoing, record::HANDSHAKE, 0x0303, &self.hello);
        self.state = State::ServerHello { retried: Some(suite.number) };
        Ok(())
    }

    fn write_change_cipher_spec(&mut self) {
        if !std::mem::replace(&mut self.sent_change_cipher_spec, true) {
            record::plain(&mut self.link.outgoing, record::CHANGE_CIPHER_SPEC, 0x0303, &[1]);
        }
    }

    fn read_encrypted_extensions(&mut self, body: &[u8]) -> Result<(), Error> {
        let mut reader = Reader::new(body);
        let list = reader.vec16().filter(|_| reader.is_empty()).and_then(message::read_extensions);
        for (number, body) in list.ok_or(Error::Decode("EncryptedExtensions"))? {
            if NOT_ENCRYPTED.contains(&number) || !self.draft.offers_extension(number) {
                return Err(Error::Illegal("an extension that it must not send"));
            }
            match number {
                ALPN => self.facts.alpn = Some(self.read_alpn(body)?),
                RECORD_SIZE_LIMIT => self.read_record_size_limit(body)?,
                _ if ALPS.contains(&number) => self.facts.alps = true,
                // Others ask nothing of us: an acknowledged name, groups, trust anchors, ECH configurations.
                _ => {}
            }
        }
        Ok(())
    }

    fn read_alpn(&self, body: &[u8]) -> Result<String, Error> {
        let mut list = Reader::new(body);
        let mut one = Reader::new(list.vec16().filter(|_| list.is_empty()).ok_or(Error::Decode("ALPN"))?);
        let chosen = one.vec8().filter(|_| one.is_empty()).ok_or(Error::Decode("ALPN"))?;
        if !self.draft.offers_protocol(chosen) {
            return Err(Error::Illegal("an application protocol that was not offered"));
        }
        Ok(String::from_utf8_lossy(chosen).into_owned())
    }

    fn read_record_size_limit(&mut self, body: &[u8]) -> Result<(), Error> {
        let limit = Reader::new(body).u16().ok_or(Error::Decode("record_size_limit"))?;
        if !self.draft.template().offers_record_size_limit() || limit < LEAST_RECORD_SIZE {
            return Err(Error::Illegal("a record size limit out of range"));
        }
        // The limit counts the content type.
        self.link.max_fragment = usize::from(limit - 1).min(MAX_PLAINTEXT_BYTES);
        Ok(())
    }

    fn read_certificate_verify(
        &mut self,
        now: Duration,
        body: &[u8],
        chain: &[Vec<u8>],
    ) -> Result<(), Error> {
        let (scheme, signature) = message::read_verify(body)?;
        if !self.draft.offers_scheme(scheme) && !self.verifier.takes_unoffered(scheme) {
            return Err(Error::Illegal("a signature scheme that was not offered"));
        }
        let leaf = chain.first().ok_or(Error::Decode("Certificate"))?;
        let presented = Presented {
            chain,
            name: self.draft.name(),
            now,
            client_hello: &self.hello,
            server_hello: &self.server_hello,
        };
        let trust = self.verifier.verify(&presented).map_err(Error::Certificate)?;
        let hash = self.transcript.as_ref().ok_or(Error::Crypto("no transcript"))?.hash();
        verify::handshake_signature(&*self.verifier, leaf, scheme, hash.as_ref(), signature)?;
        self.facts.trust = Some(trust);
        Ok(())
    }

    fn read_finished(&mut self, whole: &[u8], body: &[u8]) -> Result<(), Error> {
        self.link.keys_may_change()?;
        let keys = self.handshake_keys.take().ok_or(Error::Crypto("no handshake keys"))?;
        let transcript = self.transcript()?;
        let expected = keys.suite.finished(&keys.server, transcript.hash().as_ref());
        if !bool::from(expected.ct_eq(body)) {
            return Err(Error::BadSignature("Finished"));
        }
        transcript.add(whole);
        let application = keys.application(transcript.hash().as_ref());
        self.write_second_flight(&keys)?;
        let resumption_hash = self.transcript()?.hash();
        self.resumption = Some(application.resumption(keys.suite, resumption_hash.as_ref()));
        self.link.receive = Some(Protection::new(keys.suite, application.server)?);
        self.link.send = Some(Protection::new(keys.suite, application.client)?);
        self.link.open();
        self.transcript = None;
        self.events.push_back(Event::Connected {
            alpn: self.facts.alpn.clone(),
            suite: self.facts.suite,
            group: self.facts.group,
            resumed: self.facts.resumed,
            trust: self.facts.trust,
        });
        Ok(())
    }

    /// change_cipher_spec and Finished together, as browsers write them; before them our settings when ALPS was agreed.
    fn write_second_flight(&mut self, keys: &Handshake) -> Result<(), Error> {
        self.write_change_cipher_spec();
        let mut send = Protection::new(keys.suite, keys.client.clone())?;
        if self.facts.alps {
            let number = ALPS.into_iter().find(|number| self.draft.offers_extension(*number));
            let mut settings = Vec::new();
            handshake(&mut settings, message::ENCRYPTED_EXTENSIONS, |out| {
                vec16(out, |out| extension(out, number.unwrap_or_default(), |_| {}));
            });
            self.transcript()?.add(&settings);
            send.seal(&mut self.link.outgoing, record::HANDSHAKE, &settings)?;
        }
        let verify_data = keys.suite.finished(&keys.client, self.transcript()?.hash().as_ref());
        let mut finished = Vec::new();
        handshake(&mut finished, message::FINISHED, |out| out.extend_from_slice(&verify_data));
        self.transcript()?.add(&finished);
        send.seal(&mut self.link.outgoing, record::HANDSHAKE, &finished)
    }
}

/// For keys that do not come from the caller's randomness.
#[allow(clippy::unnecessary_wraps, reason = "the shape of a source of randomness")]
fn no_bytes(_bytes: &mut [u8]) -> Result<(), crate::NoRandomness> {
    Err(crate::NoRandomness)
}
