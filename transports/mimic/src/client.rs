//! The connection: bytes in, bytes and events out.

mod handshake;

use std::{collections::VecDeque, fmt, sync::Arc, time::Duration};

use crate::{
    Alert, CertificateVerifier, Error, Random, SessionId, Template, Ticket, Trust,
    hello::{Draft, Resume, Retry},
    link::{Content, Input, Link, Opened, Phase, Sealed},
    message, record,
    schedule::{Handshake, SecretBytes, Suite, Transcript},
};

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

impl Parts {
    pub(crate) const fn new(plaintext: Vec<u8>, undecrypted: Vec<u8>) -> Self {
        Self { plaintext, undecrypted }
    }
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
    resumption: Option<SecretBytes>,
    link: Link,
    events: VecDeque<Event>,
    facts: Facts,
    sent_change_cipher_spec: bool,
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
    /// The handshake is over, well or not.
    Done,
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
        let mut link = Link::new();
        // The first record says TLS 1.0, all later ones 1.2 (RFC 8446 §5.1; browsers do the same).
        record::plain(&mut link.outgoing, record::HANDSHAKE, 0x0301, &hello);
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
            link,
            events: VecDeque::new(),
            facts: Facts::default(),
            sent_change_cipher_spec: false,
        })
    }

    /// Takes what arrived at `now` (time since 1970). Bytes that are not yet a whole record wait inside, at most one
    /// record of them; decrypted bytes wait in [`Self::plaintext`], so read those before handing in more.
    ///
    /// # Errors
    /// Why the connection cannot go on. The alert that is due stands in [`Self::poll_transmit`].
    pub fn handle_input(&mut self, now: Duration, bytes: &[u8]) -> Result<(), Error> {
        if self.link.phase == Phase::Failed {
            return Err(Error::NotOpen);
        }
        self.link.feed(bytes);
        let result = self.read_inputs(now).inspect_err(|error| self.link.fail(error));
        self.link.compact();
        result
    }

    /// Moves what is to be sent into `out`.
    pub fn poll_transmit(&mut self, out: &mut Vec<u8>) {
        out.append(&mut self.link.outgoing);
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
        self.link.is_open()
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
    pub fn open_record(
        &mut self,
        now: Duration,
        wire: &mut [u8],
        out: &mut [u8],
    ) -> Result<Option<Opened>, Error> {
        let was_closed = self.is_closed();
        let opened = self.link.open_record(wire, out).and_then(|opened| {
            if self.is_closed() && !was_closed {
                self.events.push_back(Event::Closed);
            }
            if opened.as_ref().is_some_and(|opened| opened.content == Content::None) {
                self.read_inputs(now)?;
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

    /// Ends our direction (close_notify). What arrives is still read.
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

    /// Whether the peer ended its direction (close_notify).
    pub const fn is_closed(&self) -> bool {
        matches!(self.link.phase, Phase::Closed)
    }

    /// Lets go of what only the handshake needed: keys, hellos, the template. A connection that is open moves bytes as before.
    pub fn forget_handshake(&mut self) {
        if !self.is_open() {
            return;
        }
        self.draft.forget();
        (self.hello, self.server_hello) = (Vec::new(), Vec::new());
        (self.transcript, self.handshake_keys, self.ticket) = (None, None, None);
    }

    /// Takes the connection apart; no alert is sent.
    pub fn into_parts(mut self) -> Parts {
        let undecrypted = self.link.take_undecrypted();
        Parts { plaintext: self.link.plaintext, undecrypted }
    }

    fn read_inputs(&mut self, now: Duration) -> Result<(), Error> {
        while let Some(input) = self.link.next()? {
            match input {
                Input::Closed => self.events.push_back(Event::Closed),
                Input::Message(message::NEW_SESSION_TICKET, whole) if self.link.is_open() => {
                    self.read_ticket(now, whole.get(4..).unwrap_or_default())?;
                }
                Input::Message(kind, whole) => self.read_handshake_message(now, kind, &whole)?,
            }
        }
        Ok(())
    }

    fn read_ticket(&mut self, now: Duration, body: &[u8]) -> Result<(), Error> {
        let suite = Suite::of(self.facts.suite).ok_or(Error::NotOpen)?;
        let resumption = self.resumption.as_ref().ok_or(Error::NotOpen)?;
        let ticket = Ticket::read(body, suite, resumption, now).ok_or(Error::Decode("NewSessionTicket"))?;
        let kept = self.events.iter().filter(|event| matches!(event, Event::Ticket(_))).count();
        if kept < MAX_TICKETS {
            self.events.push_back(Event::Ticket(ticket));
        }
        Ok(())
    }

    fn resume(&self) -> Resume<'_> {
        resume(self.ticket.as_ref(), self.fake_ticket, self.began)
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
