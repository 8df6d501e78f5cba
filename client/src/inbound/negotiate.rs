//! What a local program wants, told by the first bytes it sends. Pure: bytes in, the one next thing to do out.
//!
//! The first byte tells the protocol: 5 is SOCKS5, 4 is SOCKS4, a capital letter begins an HTTP request. Anything
//! else is closed without an answer.

use std::{sync::Arc, time::Instant};

use bytes::{Buf as _, BytesMut};
use commucat_transport_api::{Handshake, HostPort, Step};

use crate::{
    auth::Credentials,
    http::{head::HeadError, request::Request},
    socks::{Reply, v4, v5},
};

/// A SOCKS message that is longer is not read on: 3 + 255 + 255 bytes of password, and room to spare.
const MAX_PENDING_BYTES: usize = 1024;

/// What a finished negotiation found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// A byte stream; the answer is owed in this dialect.
    Connect(Dialect, HostPort),
    /// A datagram association; `from` is where the program says it will send from.
    UdpAssociate { from: HostPort },
    /// A first HTTP request, or why it is none that is served.
    Http(Result<Box<Request>, HeadError>),
}

/// In which protocol an answer is owed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    Socks5,
    Socks4,
}

/// Why a connection is closed before it asked for anything.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NegotiationError {
    #[error("the first byte is of no protocol spoken here")]
    UnknownProtocol,
    #[error("a SOCKS message is too long")]
    TooLong,
    #[error("a SOCKS5 message is malformed")]
    Socks5(#[from] v5::Malformed),
    #[error("a SOCKS4 request is malformed")]
    Socks4(#[from] v4::Malformed),
    #[error("the program offered no way to authenticate that we accept")]
    NoMethod,
    #[error("user name or password are wrong")]
    WrongPassword,
    #[error("SOCKS4 cannot carry the password that this port asks for")]
    PasswordNeeded,
    #[error("SOCKS command {0} is not supported")]
    Command(u8),
}

/// The negotiation of one connection.
#[derive(Debug)]
pub(crate) struct Negotiation {
    credentials: Option<Arc<Credentials>>,
    state: State,
}

#[derive(Debug)]
enum State {
    Sniff,
    Greeting,
    Password,
    Request,
    Socks4,
    Http,
    /// The last answer is out; this is why nothing follows.
    Refused(Option<NegotiationError>),
}

impl Negotiation {
    pub(crate) const fn new(credentials: Option<Arc<Credentials>>) -> Self {
        Self { credentials, state: State::Sniff }
    }

    fn greeting(&mut self, methods: &[u8]) -> (u8, State) {
        let offered = |method| methods.contains(&method);
        match &self.credentials {
            Some(_) if offered(v5::METHOD_PASSWORD) => (v5::METHOD_PASSWORD, State::Password),
            None if offered(v5::METHOD_NONE) => (v5::METHOD_NONE, State::Request),
            // A program that insists on a password where none is asked for may send what it likes.
            None if offered(v5::METHOD_PASSWORD) => (v5::METHOD_PASSWORD, State::Password),
            _ => (v5::METHOD_REFUSED, State::Refused(Some(NegotiationError::NoMethod))),
        }
    }

    fn refuse(&mut self, error: NegotiationError) {
        self.state = State::Refused(Some(error));
    }

    fn step_socks5_request(&mut self, input: &mut BytesMut) -> Result<Step<Wanted>, NegotiationError> {
        let parsed = match v5::request(input) {
            Ok(parsed) => parsed,
            Err(error) => {
                let reply = match error {
                    v5::Malformed::Address(_) => Reply::AddressTypeNotSupported,
                    v5::Malformed::Version | v5::Malformed::Reserved => Reply::GeneralFailure,
                };
                self.refuse(error.into());
                return Ok(Step::Send(v5::reply(reply, None)));
            }
        };
        let Some((request, used)) = parsed else { return need_more(input) };
        input.advance(used);
        match request.command {
            v5::Command::Connect => Ok(Step::Done(Wanted::Connect(Dialect::Socks5, request.address))),
            v5::Command::UdpAssociate => Ok(Step::Done(Wanted::UdpAssociate { from: request.address })),
            v5::Command::Other(command) => {
                self.refuse(NegotiationError::Command(command));
                Ok(Step::Send(v5::reply(Reply::CommandNotSupported, None)))
            }
        }
    }

    fn step_socks4(&mut self, input: &mut BytesMut) -> Result<Step<Wanted>, NegotiationError> {
        if self.credentials.is_some() {
            self.refuse(NegotiationError::PasswordNeeded);
            return Ok(Step::Send(v4::reply(false)));
        }
        match v4::request(input) {
            Ok(None) => need_more(input),
            Ok(Some((target, used))) => {
                input.advance(used);
                Ok(Step::Done(Wanted::Connect(Dialect::Socks4, target)))
            }
            Err(error) => {
                self.refuse(error.into());
                Ok(Step::Send(v4::reply(false)))
            }
        }
    }
}

impl Handshake for Negotiation {
    type Output = Wanted;
    type Error = NegotiationError;

    fn step(&mut self, _now: Instant, input: &mut BytesMut) -> Result<Step<Wanted>, NegotiationError> {
        if matches!(self.state, State::Sniff) {
            self.state = match input.first() {
                None => return Ok(Step::NeedMore),
                Some(&v5::VERSION) => State::Greeting,
                Some(&v4::VERSION) => State::Socks4,
                Some(b'A'..=b'Z') => State::Http,
                Some(_) => return Err(NegotiationError::UnknownProtocol),
            };
        }
        match &mut self.state {
            State::Sniff => Ok(Step::NeedMore),
            State::Greeting => {
                let Some((methods, used)) = v5::greeting(input)? else { return need_more(input) };
                let methods = methods.to_vec();
                input.advance(used);
                let (method, next) = self.greeting(&methods);
                self.state = next;
                Ok(Step::Send(v5::method_reply(method)))
            }
            State::Password => {
                let Some(((user, password), used)) = v5::password(input)? else { return need_more(input) };
                let right = self.credentials.as_ref().is_none_or(|wanted| wanted.matches(user, password));
                input.advance(used);
                self.state = if right {
                    State::Request
                } else {
                    State::Refused(Some(NegotiationError::WrongPassword))
                };
                Ok(Step::Send(v5::password_reply(right)))
            }
            State::Request => self.step_socks5_request(input),
            State::Socks4 => self.step_socks4(input),
            State::Http => Ok(step_http(input)),
            State::Refused(error) => Err(error.take().unwrap_or(NegotiationError::UnknownProtocol)),
        }
    }
}

fn step_http(input: &mut BytesMut) -> Step<Wanted> {
    match Request::parse(input) {
        Ok(None) => Step::NeedMore,
        Ok(Some((request, used))) => {
            input.advance(used);
            Step::Done(Wanted::Http(Ok(Box::new(request))))
        }
        Err(error) => Step::Done(Wanted::Http(Err(error))),
    }
}

fn need_more(input: &BytesMut) -> Result<Step<Wanted>, NegotiationError> {
    if input.len() > MAX_PENDING_BYTES {
        return Err(NegotiationError::TooLong);
    }
    Ok(Step::NeedMore)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Feeds the bytes in pieces of `piece` bytes; gives what was sent and how it ended, with the bytes left over.
    fn run(
        credentials: Option<&str>,
        bytes: &[u8],
        piece: usize,
    ) -> (Vec<u8>, Option<Result<Wanted, NegotiationError>>, Vec<u8>) {
        let credentials = credentials.map(|text| Arc::new(Credentials::parse(text).unwrap()));
        let mut negotiation = Negotiation::new(credentials);
        let (mut sent, mut input) = (Vec::new(), BytesMut::new());
        let mut pieces = bytes.chunks(piece);
        loop {
            match negotiation.step(Instant::now(), &mut input) {
                Ok(Step::Send(bytes)) => sent.extend_from_slice(&bytes),
                Ok(Step::NeedMore) => match pieces.next() {
                    Some(piece) => input.extend_from_slice(piece),
                    None => return (sent, None, input.to_vec()),
                },
                Ok(Step::Done(wanted)) => {
                    pieces.for_each(|piece| input.extend_from_slice(piece));
                    return (sent, Some(Ok(wanted)), input.to_vec());
                }
                Err(error) => return (sent, Some(Err(error)), input.to_vec()),
            }
        }
    }

    #[test]
    fn socks5_in_pieces_of_any_size_leaves_what_follows() {
        let bytes = b"\x05\x01\x00\x05\x01\x00\x01\xc0\x00\x02\x07\x00\x50early";
        for piece in 1..=bytes.len() {
            let (sent, end, rest) = run(None, bytes, piece);
            assert_eq!(sent, [5, 0]);
            let wanted = Wanted::Connect(Dialect::Socks5, "192.0.2.7:80".parse().unwrap());
            assert_eq!(end.unwrap().unwrap(), wanted);
            assert_eq!(rest, b"early");
        }
    }

    #[test]
    fn passwords_are_asked_for_and_checked() {
        let right = b"\x05\x02\x00\x02\x01\x01u\x01p\x05\x03\x00\x01\x00\x00\x00\x00\x00\x00";
        let (sent, end, _) = run(Some("u:p"), right, 3);
        assert_eq!(sent, [5, 2, 1, 0]);
        assert_eq!(end.unwrap().unwrap(), Wanted::UdpAssociate { from: "0.0.0.0:0".parse().unwrap() });

        let (sent, end, _) = run(Some("u:p"), b"\x05\x01\x02\x01\x01u\x01x", 1);
        assert_eq!(sent, [5, 2, 1, 1]);
        assert!(matches!(end, Some(Err(NegotiationError::WrongPassword))));

        let (sent, end, _) = run(Some("u:p"), b"\x05\x01\x00", 1);
        assert_eq!(sent, [5, 0xff]);
        assert!(matches!(end, Some(Err(NegotiationError::NoMethod))));

        let (sent, end, _) = run(Some("u:p"), b"\x04\x01\x00\x50\x01\x01\x01\x01\x00", 9);
        assert_eq!(sent, [0, 0x5b, 0, 0, 0, 0, 0, 0]);
        assert!(matches!(end, Some(Err(NegotiationError::PasswordNeeded))));
    }

    #[test]
    fn what_is_not_served_is_said_before_closing() {
        let (sent, end, _) = run(None, b"\x05\x01\x00\x05\x02\x00\x01\x01\x01\x01\x01\x00\x50", 5);
        assert_eq!(sent[..4], [5, 0, 5, 7]);
        assert!(matches!(end, Some(Err(NegotiationError::Command(2)))));
        let (sent, end, _) = run(None, b"\x05\x01\x00\x05\x01\x00\x09\x00", 5);
        assert_eq!(sent[..4], [5, 0, 5, 8]);
        assert!(matches!(end, Some(Err(NegotiationError::Socks5(_)))));
    }

    #[test]
    fn http_is_recognized_and_garbage_is_closed() {
        let (sent, end, rest) = run(None, b"GET http://a/ HTTP/1.1\r\n\r\nnext", 1);
        assert!(sent.is_empty());
        assert!(matches!(end, Some(Ok(Wanted::Http(Ok(_))))));
        assert_eq!(rest, b"next");
        let (_, end, _) = run(None, &[b'G'; 20_000], 4096);
        assert!(matches!(end, Some(Ok(Wanted::Http(Err(HeadError::TooLong | HeadError::Malformed))))));
        for first in [0_u8, 0x16, b'a', 0xff] {
            let (sent, end, _) = run(None, &[first; 9], 9);
            assert!(sent.is_empty());
            assert!(matches!(end, Some(Err(NegotiationError::UnknownProtocol))));
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic_or_grow_without_end(bytes in proptest::collection::vec(any::<u8>(), 0..3000), first in 4..6_u8) {
            let mut bytes = bytes;
            bytes.insert(0, first);
            let (sent, end, rest) = run(None, &bytes, 700);
            prop_assert!(sent.len() < 64);
            if end.is_none() && first <= 5 { prop_assert!(rest.len() <= MAX_PENDING_BYTES + 700); }
        }
    }
}
