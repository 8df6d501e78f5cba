//! The server's handshake messages (RFC 8446 §4), read.

use crate::{Error, codec::Reader};

pub(crate) const CLIENT_HELLO: u8 = 1;
pub(crate) const SERVER_HELLO: u8 = 2;
pub(crate) const NEW_SESSION_TICKET: u8 = 4;
pub(crate) const ENCRYPTED_EXTENSIONS: u8 = 8;
pub(crate) const CERTIFICATE: u8 = 11;
pub(crate) const CERTIFICATE_REQUEST: u8 = 13;
pub(crate) const CERTIFICATE_VERIFY: u8 = 15;
pub(crate) const FINISHED: u8 = 20;
pub(crate) const KEY_UPDATE: u8 = 24;
pub(crate) const COMPRESSED_CERTIFICATE: u8 = 25;

/// Certificates of a chain.
const MAX_CERTIFICATES: usize = 16;

/// The random that makes a ServerHello a HelloRetryRequest (RFC 8446 §4.1.3).
const RETRY_RANDOM: [u8; 32] = [
    0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91, 0xc2,
    0xa2, 0x11, 0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c,
];

/// A ServerHello or HelloRetryRequest.
#[derive(Debug)]
pub(crate) struct ServerHello<'a> {
    pub(crate) is_retry: bool,
    pub(crate) session_id: &'a [u8],
    pub(crate) suite: u16,
    /// The group, and the share; a retry names the group alone.
    pub(crate) share: Option<(u16, &'a [u8])>,
    pub(crate) cookie: Option<&'a [u8]>,
    pub(crate) psk: Option<u16>,
}

impl<'a> ServerHello<'a> {
    pub(crate) fn read(body: &'a [u8]) -> Result<Self, Error> {
        let mut reader = Reader::new(body);
        let mut head = || {
            let version = reader.u16()?;
            let random: [u8; 32] = reader.array()?;
            let session_id = reader.vec8()?;
            let suite = reader.u16()?;
            let compression = reader.u8()?;
            // TLS 1.2 servers may leave the extensions out.
            let extensions = if reader.is_empty() { &[] } else { reader.vec16()? };
            Some((version, random, session_id, suite, compression, extensions))
        };
        let (version, random, session_id, suite, compression, extensions) =
            head().ok_or(Error::Decode("ServerHello"))?;
        let is_retry = random == RETRY_RANDOM;
        let mut hello = Self { is_retry, session_id, suite, share: None, cookie: None, psk: None };
        let mut chosen = version;
        for (number, body) in read_extensions(extensions).ok_or(Error::Decode("ServerHello"))? {
            hello.read_extension(number, body, &mut chosen)?;
        }
        if chosen != 0x0304 {
            return Err(Error::ServerChoseOldVersion(chosen));
        }
        if version != 0x0303 || compression != 0 {
            return Err(Error::Illegal("a ServerHello with an old version or compression"));
        }
        Ok(hello)
    }

    fn read_extension(&mut self, number: u16, body: &'a [u8], version: &mut u16) -> Result<(), Error> {
        let bad = Error::Decode("ServerHello extension");
        let mut reader = Reader::new(body);
        match number {
            43 => *version = reader.u16().ok_or(bad)?,
            51 if self.is_retry => self.share = Some((reader.u16().ok_or(bad)?, &[])),
            51 => {
                let mut share = || Some((reader.u16()?, reader.vec16()?));
                self.share = Some(share().ok_or(bad)?);
            }
            44 if self.is_retry => self.cookie = Some(reader.vec16().ok_or(bad)?),
            41 if !self.is_retry => self.psk = Some(reader.u16().ok_or(bad)?),
            // Those of TLS 1.2 are not looked at here: such a ServerHello is refused for its version.
            _ => {}
        }
        Ok(())
    }
}

/// The extensions of a vector, each once.
pub(crate) fn read_extensions(bytes: &[u8]) -> Option<Vec<(u16, &[u8])>> {
    let mut reader = Reader::new(bytes);
    let mut found: Vec<(u16, &[u8])> = Vec::new();
    while !reader.is_empty() {
        let number = reader.u16()?;
        let body = reader.vec16()?;
        if found.iter().any(|(known, _)| *known == number) {
            return None;
        }
        found.push((number, body));
    }
    Some(found)
}

/// The certificates of a Certificate message, leaf first.
pub(crate) fn read_certificates(body: &[u8]) -> Result<Vec<Vec<u8>>, Error> {
    let mut reader = Reader::new(body);
    let mut read = || {
        let context = reader.vec8()?;
        let list = reader.vec24()?;
        (context.is_empty() && reader.is_empty()).then_some(list)
    };
    let mut list = Reader::new(read().ok_or(Error::Decode("Certificate"))?);
    let mut found = Vec::new();
    while !list.is_empty() {
        let mut entry = || Some((list.vec24()?, list.vec16()?));
        let (certificate, extensions) = entry().ok_or(Error::Decode("Certificate"))?;
        let extensions = read_extensions(extensions).ok_or(Error::Decode("Certificate"))?;
        if extensions.iter().any(|(number, _)| *number == DELEGATED_CREDENTIAL) {
            return Err(Error::Unexpected("delegated credential, which is not supported"));
        }
        found.push(certificate.to_vec());
        if found.len() > MAX_CERTIFICATES {
            return Err(Error::TooLong { what: "certificate chain", limit: MAX_CERTIFICATES });
        }
    }
    if found.is_empty() { Err(Error::Decode("empty Certificate")) } else { Ok(found) }
}

/// delegated_credentials (RFC 9345): some templates offer it, no server in the open is known to answer it unasked.
const DELEGATED_CREDENTIAL: u16 = 34;

/// A CertificateVerify: scheme and signature.
pub(crate) fn read_verify(body: &[u8]) -> Result<(u16, &[u8]), Error> {
    let mut reader = Reader::new(body);
    let mut read = || Some((reader.u16()?, reader.vec16()?));
    let read = read().ok_or(Error::Decode("CertificateVerify"))?;
    if reader.is_empty() { Ok(read) } else { Err(Error::Decode("CertificateVerify")) }
}

/// Takes the first whole message off `buffer`: its type, and the whole message with its header.
pub(crate) fn next(buffer: &[u8], limit: usize) -> Result<Option<(u8, usize)>, Error> {
    let mut reader = Reader::new(buffer);
    let (Some(kind), Some(length)) = (reader.u8(), reader.u24()) else {
        return Ok(None);
    };
    if length > limit {
        return Err(Error::TooLong { what: "handshake message", limit });
    }
    Ok((buffer.len() >= 4 + length).then_some((kind, 4 + length)))
}
