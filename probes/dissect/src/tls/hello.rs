//! A parsed ClientHello: RFC 8446 §4.1.2, RFC 5246 §7.4.1.2, and RFC 6347 §4.2.1 for DTLS.
//!
//! It owns one copy of the message and remembers where the parts stand, so that a flow table can keep it.

use std::ops::Range;

use super::{CLIENT_HELLO, extension, is_grease};
use crate::bytes::{Reader, u16s};

/// Extensions of one hello that are read; a hello with more is refused. Browsers send fewer than twenty.
pub const MAX_EXTENSIONS: usize = 256;

pub(super) const HANDSHAKE_HEADER_BYTES: usize = 4;
/// message_seq, fragment_offset and fragment_length of DTLS.
const DTLS_HEADER_REST_BYTES: usize = 8;
const HOST_NAME: u8 = 0;

/// A ClientHello.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientHello {
    /// The version field, `0x0303` since TLS 1.2.
    pub legacy_version: u16,
    /// The random bytes.
    pub random: [u8; 32],
    /// Cipher suites in the order sent, GREASE included.
    pub cipher_suites: Vec<u16>,
    message: Vec<u8>,
    session_id: Range<usize>,
    extensions: Vec<(u16, Range<usize>)>,
    whole: bool,
}

impl ClientHello {
    /// Reads a handshake message with its header, as it stands in TLS records and in QUIC CRYPTO frames. `None` for
    /// another message, a cut one, or one whose lengths do not fit.
    pub fn parse(message: &[u8]) -> Option<Self> {
        Self::read(message, Form::Tls).filter(Self::is_whole)
    }

    /// Reads as much as is there. `None` unless that covers the cipher suites.
    pub fn parse_prefix(message: &[u8]) -> Option<Self> {
        Self::read(message, Form::Tls)
    }

    /// Reads a DTLS handshake message that is not fragmented, with its header of twelve bytes.
    pub fn parse_dtls(message: &[u8]) -> Option<Self> {
        Self::read(message, Form::Dtls).filter(Self::is_whole)
    }

    /// Whether the end was there; always true but after a prefix was read.
    pub const fn is_whole(&self) -> bool {
        self.whole
    }

    /// The handshake message with its header, as it was read.
    pub fn message(&self) -> &[u8] {
        &self.message
    }

    /// The session id, 32 bytes from browsers.
    pub fn session_id(&self) -> &[u8] {
        self.part(&self.session_id)
    }

    /// Extensions in the order sent, GREASE included.
    pub fn extensions(&self) -> impl Iterator<Item = (u16, &[u8])> {
        self.extensions.iter().map(|(kind, place)| (*kind, self.part(place)))
    }

    /// The body of the first extension of that kind.
    pub fn extension(&self, kind: u16) -> Option<&[u8]> {
        self.extensions().find_map(|(known, body)| (known == kind).then_some(body))
    }

    /// The host name of server_name (SNI), as sent. `None` without one, or when it is no text.
    pub fn server_name(&self) -> Option<&str> {
        let mut list = Reader::new(Reader::new(self.extension(extension::SERVER_NAME)?).vector16()?);
        loop {
            let (kind, name) = (list.u8()?, list.vector16()?);
            if kind == HOST_NAME {
                return str::from_utf8(name).ok();
            }
        }
    }

    /// The protocols of ALPN in the order sent.
    pub fn alpn(&self) -> impl Iterator<Item = &[u8]> {
        let list = self.extension(extension::ALPN).and_then(|body| Reader::new(body).vector16());
        let mut list = Reader::new(list.unwrap_or_default());
        std::iter::from_fn(move || list.vector8())
    }

    /// The versions of supported_versions, GREASE included; empty without the extension.
    pub fn supported_versions(&self) -> Vec<u16> {
        let body = self.extension(extension::SUPPORTED_VERSIONS);
        body.and_then(|body| Reader::new(body).vector8()).map(|list| u16s(list).collect()).unwrap_or_default()
    }

    /// The highest version offered, GREASE left out.
    pub fn highest_version(&self) -> u16 {
        let offered = self.supported_versions().into_iter().filter(|version| !is_grease(*version));
        // The numbers of DTLS go down as versions go up: 0xfeff, 0xfefd, 0xfefc.
        let dtls = self.legacy_version >> 8 == 0xfe;
        let highest = if dtls { offered.min() } else { offered.max() };
        highest.unwrap_or(self.legacy_version)
    }

    /// The groups of supported_groups, GREASE included.
    pub fn groups(&self) -> Vec<u16> {
        self.list16(extension::SUPPORTED_GROUPS)
    }

    /// The algorithms of signature_algorithms, GREASE included.
    pub fn signature_algorithms(&self) -> Vec<u16> {
        self.list16(extension::SIGNATURE_ALGORITHMS)
    }

    /// Group and key of each share of key_share, GREASE included.
    pub fn key_shares(&self) -> Vec<(u16, &[u8])> {
        let list = self.extension(extension::KEY_SHARE).and_then(|body| Reader::new(body).vector16());
        let mut list = Reader::new(list.unwrap_or_default());
        std::iter::from_fn(|| Some((list.u16()?, list.vector16()?))).collect()
    }

    /// Whether encrypted_client_hello is there. A real one and a GREASE one look the same.
    pub fn ech(&self) -> bool {
        self.extension(extension::ENCRYPTED_CLIENT_HELLO).is_some()
    }

    /// Whether encrypted_server_name is there, the withdrawn draft that came before ECH.
    pub fn esni(&self) -> bool {
        self.extension(extension::ENCRYPTED_SERVER_NAME).is_some()
    }

    /// Whether pre_shared_key is there: the client resumes a session.
    pub fn has_psk(&self) -> bool {
        self.extension(extension::PRE_SHARED_KEY).is_some()
    }

    fn list16(&self, kind: u16) -> Vec<u16> {
        let body = self.extension(kind).and_then(|body| Reader::new(body).vector16());
        body.map(|list| u16s(list).collect()).unwrap_or_default()
    }

    fn part(&self, place: &Range<usize>) -> &[u8] {
        self.message.get(place.clone()).unwrap_or_default()
    }

    /// Reads what is there; `whole` says whether that was all and everything fitted. A prefix that breaks a length of
    /// its own gives `None`.
    fn read(message: &[u8], form: Form) -> Option<Self> {
        let mut reader = Reader::new(message);
        if reader.u8()? != CLIENT_HELLO {
            return None;
        }
        let length = reader.u24()?;
        if form == Form::Dtls {
            reader.take(DTLS_HEADER_REST_BYTES)?;
        }
        let header = message.len() - reader.rest().len();
        let present = length.min(reader.rest().len());
        let whole = present == length;
        let mut reader = Reader::new(reader.take(present)?);
        let at = |reader: &Reader<'_>| header + present - reader.rest().len();

        let legacy_version = reader.u16()?;
        let random = reader.array()?;
        let session_id = reader.vector8()?.len();
        let session_id = at(&reader) - session_id..at(&reader);
        if form == Form::Dtls {
            reader.vector8()?;
        }
        let cipher_suites = reader.vector16()?;
        if cipher_suites.len() % 2 != 0 {
            return None;
        }
        let mut hello = Self {
            legacy_version,
            random,
            cipher_suites: u16s(cipher_suites).collect(),
            message: message.get(..header + present)?.to_vec(),
            session_id,
            extensions: Vec::new(),
            whole,
        };
        let compression = reader.vector8();
        if whole && compression.is_none() {
            return None;
        }
        // SSL 3.0 and TLS 1.0 allow a hello without extensions.
        if compression.is_none() || reader.is_empty() {
            return Some(hello);
        }
        let promised = reader.u16().map(usize::from);
        if whole && promised != Some(reader.rest().len()) {
            return None;
        }
        while !reader.is_empty() {
            let Some((kind, body)) = extension_of(&mut reader) else {
                return (!whole).then_some(hello);
            };
            if hello.extensions.len() == MAX_EXTENSIONS {
                return None;
            }
            let end = at(&reader);
            hello.extensions.push((kind, end - body.len()..end));
        }
        Some(hello)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Tls,
    Dtls,
}

fn extension_of<'a>(reader: &mut Reader<'a>) -> Option<(u16, &'a [u8])> {
    Some((reader.u16()?, reader.vector16()?))
}
