//! The connection: bytes in, bytes and events out.

mod handshake;
mod traffic;

use std::{collections::VecDeque, fmt, sync::Arc, time::Duration};

use crate::{
    Alert, CertificateVerifier, Error, Random, SessionId, Template, Ticket, Trust,
    hello::{Draft, Resume, Retry},
    record::{self, Protection},
    schedule::{Handshake, Transcript},
};

/// Records in a row that move nothing (RFC 8446 allows them; a flood of them is an attack). BoringSSL's number.
const MAX_USELESS_RECORDS: u32 = 32;
/// Bytes of one handshake message, certificates apart.
const MAX_MESSAGE_BYTES: usize = crate::decompress::MAX_CERTIFICATE_BYTES;
/// Tickets kept for the caller; further ones are dropped.
const MAX_TICKETS: usize = 8;

/// What a connection is made with.
#[derive(Debug)]
#[non_exhaustive]
pub struct ClientOptions {
    /// The browser.
    pub template: Template,
    /// The name for server_name; `None` leaves the extension out, as browsers do for addresses.
    pub name: Option<String>,
    /// Who decides about certificates.
    pub verifier: Arc<dyn CertificateVerifier>,
    /// A ticket of the same server, to resume with.
    pub ticket: Option<Ticket>,
    /// Without a ticket, show random bytes of a ticket's shape: a browser that comes back shows one.
    pub fake_ticket: bool,
}

impl ClientOptions {
    /// A connection of this browser to this name.
    pub fn new(template: Template, name: Option<&str>, verifier: Arc<dyn CertificateVerifier>) -> Self {
        Self { template, name: name.map(str::to_owned), verifier, ticket: None, fake_ticket: false }
    }
}

/// What happened.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event {
    /// The handshake is done: bytes may be sealed.
    #[non_exhaustive]
    Connected {
        /// The application protocol.
        alpn: Option<String>,
        /// The cipher suite's number.
        suite: u16,
        /// The group's number.
        group: u16,
        /// Whether a ticket was taken.
        resumed: bool,
        /// What the verifier recognised; `None` when resumed.
        trust: Option<Trust>,
    },
    /// The server gave a ticket.
    Ticket(Ticket),
    /// The server ended its direction (close_notify).
    Closed,
}

/// What is left when a connection is taken apart, for protocols that go on below TLS.
#[derive(Debug)]
#[non_exhaustive]
pub struct Parts {
    /// Bytes that were decrypted and not yet read.
    pub plaintext: Vec<u8>,
    /// Bytes that arrived and were not decrypted.
    pub undecrypted: Vec<u8>,
}

/// A TLS 1.3 client connection.
pub struct Client {
    verifier: Arc<dyn CertificateVerifier>,
    ticket: Option<Ticket>,
    fake_ticket: bool,
    began: Duration,
    draft: Draft,
    hello: Vec<u8>,
    server_hello: Vec<u8>,
    state: State,
    transcript: Option<Transcript>,
    handshake_keys: Option<Handshake>,
    resumption: Option<crate::schedule::SecretBytes>,
    send: Option<Protection>,
    receive: Option<Protection>,
    incoming: Vec<u8>,
    messages: Vec<u8>,
    outgoing: Vec<u8>,
    plaintext: Vec<u8>,
    events: VecDeque<Event>,
    facts: Facts,
    useless_records: u32,
    sent_change_cipher_spec: bool,
    max_fragment: usize,
}

/// Where a connection stands: the message that must come next.
#[derive(Debug)]
enum State {
    ServerHello {
        retried: Option<u16>,
    },
    EncryptedExtensions,
    Certificate,
    CertificateVerify {
        chain: Vec<Vec<u8>>,
    },
    Finished,
    Open,
    /// The server ended its direction; ours may go on.
    Closed,
    Failed,
}

/// What the handshake learnt.
#[derive(Debug, Default)]
struct Facts {
    alpn: Option<String>,
    suite: u16,
    group: u16,
    resumed: bool,
    trust: Option<Trust>,
    alps: bool,
}

impl Client {
    /// Draws a hello, which is the first thing to transmit. `now` is time since 1970.
    ///
    /// # Errors
    /// The template is wrong, or there is no randomness.
    pub fn new(options: ClientOptions, now: Duration, random: &mut dyn Random) -> Result<Self, Error> {
        Self::begin(options, now, random, None)
    }

    /// The same with a session id of the caller's making. A ticket of `options` is not used: its binder would cover the
    /// session id.
    ///
    /// # Errors
    /// As [`Self::new`], or what `session_id` answers.
    pub fn with_session_id(
        mut options: ClientOptions,
        now: Duration,
        random: &mut dyn Random,
        session_id: &mut dyn SessionId,
    ) -> Result<Self, Error> {
        options.ticket = None;
        Self::begin(options, now, random, Some(session_id))
    }

    fn begin(
        options: ClientOptions,
        now: Duration,
        random: &mut dyn Random,
        session_id: Option<&mut dyn SessionId>,
    ) -> Result<Self, Error> {
        options.template.validate()?;
        let mut draft = Draft::new(options.template, options.name, random)?;
        let ticket = options.ticket.filter(|ticket| ticket.is_alive(now));
        let resume = resume(ticket.as_ref(), options.fake_ticket, now);
        if let Some(maker) = session_id {
            draft.seal(maker, resume)?;
        }
        let hello = draft.write(&Retry::default(), resume);
        let mut outgoing = Vec::with_capacity(hello.len() + record::HEADER_BYTES);
        // The first record says TLS 1.0, all later ones 1.2 (RFC 8446 §5.1; browsers do the same).
        record::plain(&mut outgoing, record::HANDSHAKE, 0x0301, &hello);
        Ok(Self {
            verifier: options.verifier,
            ticket,
            fake_ticket: options.fake_ticket,
            began: now,
            draft,
            hello,
            server_hello: Vec::new(),
            state: State::ServerHello { retried: None },
            transcript: None,
            handshake_keys: None,
            resumption: None,
            send: None,
            receive: None,
            incoming: Vec::new(),
            messages: Vec::new(),
            outgoing,
            plaintext: Vec::new(),
            events: VecDeque::new(),
            facts: Facts::default(),
            useless_records: 0,
            sent_change_cipher_spec: false,
            max_fragment: record::MAX_PLAINTEXT_BYTES,
        })
    }

    /// Takes what arrived at `now` (time since 1970). Bytes that are not yet a whole record wait inside, at most one
    /// record of them; decrypted bytes wait in [`Self::plaintext`], so read those before handing in more.
    ///
    /// # Errors
    /// Why the connection cannot go on. The alert that is due stands in [`Self::poll_transmit`].
    pub fn handle_input(&mut self, now: Duration, bytes: &[u8]) -> Result<(), Error> {
        if matches!(self.state, State::Failed) {
            return Err(Error::NotOpen);
        }
        self.incoming.extend_from_slice(bytes);
        self.read_records(now).inspect_err(|error| self.fail(error))
    }

    /// Moves what is to be sent into `out`.
    pub fn poll_transmit(&mut self, out: &mut Vec<u8>) {
        out.append(&mut self.outgoing);
    }

    /// The next event.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// The ClientHello message as it was sent last, without a record's header.
    pub fn client_hello(&self) -> &[u8] {
        &self.hello
    }

    /// The ServerHello message, once it arrived.
    pub fn server_hello(&self) -> &[u8] {
        &self.server_hello
    }

    /// Whether bytes may be sealed.
    pub const fn is_open(&self) -> bool {
        matches!(self.state, State::Open | State::Closed)
    }

    /// Decrypted bytes; take them out.
    pub const fn plaintext(&mut self) -> &mut Vec<u8> {
        &mut self.plaintext
    }

    /// Takes the connection apart; no alert is sent.
    pub fn into_parts(self) -> Parts {
        Parts { plaintext: self.plaintext, undecrypted: self.incoming }
    }

    fn resume(&self) -> Resume<'_> {
        resume(self.ticket.as_ref(), self.fake_ticket, self.began)
    }

    fn fail(&mut self, error: &Error) {
        self.state = State::Failed;
        let Some(alert) = error.alert() else { return };
        // The connection is over either way: an alert that cannot be sealed is not sent.
        self.write_alert(2, alert).ok();
    }

    fn write_alert(&mut self, level: u8, alert: Alert) -> Result<(), Error> {
        let body = [level, alert as u8];
        match &mut self.send {
            Some(send) => send.seal(&mut self.outgoing, record::ALERT, &body),
            None => {
                record::plain(&mut self.outgoing, record::ALERT, 0x0303, &body);
                Ok(())
            }
        }
    }
}

const fn resume(ticket: Option<&Ticket>, fake: bool, now: Duration) -> Resume<'_> {
    match ticket {
        Some(ticket) => Resume::With(ticket, now),
        None if fake => Resume::Fake,
        None => Resume::No,
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("facts", &self.facts)
            .field("open", &self.is_open())
            .finish_non_exhaustive()
    }
}
