//! Records: framing and protection (RFC 8446 §5).

use aws_lc_rs::aead::{Aad, LessSafeKey, Nonce, UnboundKey};
use zeroize::Zeroizing;

use crate::{
    Error,
    schedule::{SecretBytes, Suite},
};

pub(crate) const CHANGE_CIPHER_SPEC: u8 = 20;
pub(crate) const ALERT: u8 = 21;
pub(crate) const HANDSHAKE: u8 = 22;
pub(crate) const APPLICATION_DATA: u8 = 23;

/// Bytes of a record's header.
pub(crate) const HEADER_BYTES: usize = 5;
/// Bytes of an AEAD tag; the same in all suites.
pub(crate) const TAG_BYTES: usize = 16;
/// Plaintext bytes of one record.
pub(crate) const MAX_PLAINTEXT_BYTES: usize = 1 << 14;
/// Ciphertext bytes of one record.
pub(crate) const MAX_CIPHERTEXT_BYTES: usize = MAX_PLAINTEXT_BYTES + 256;

/// A record's header.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Header {
    pub(crate) kind: u8,
    pub(crate) length: usize,
}

impl Header {
    /// Reads the header at the start of `bytes`; `None` when it is not whole yet.
    pub(crate) fn read(bytes: &[u8]) -> Result<Option<Self>, Error> {
        let Some(&[kind, major, _minor, high, low]) = bytes.first_chunk::<HEADER_BYTES>() else {
            return Ok(None);
        };
        if !(CHANGE_CIPHER_SPEC..=APPLICATION_DATA).contains(&kind) || major != 3 {
            return Err(Error::Decode("answer, which is not TLS,"));
        }
        let length = usize::from(u16::from_be_bytes([high, low]));
        if length > MAX_CIPHERTEXT_BYTES {
            return Err(Error::TooLong { what: "record", limit: MAX_CIPHERTEXT_BYTES });
        }
        Ok(Some(Self { kind, length }))
    }

    /// Bytes of the whole record.
    pub(crate) const fn total(self) -> usize {
        HEADER_BYTES + self.length
    }
}

/// Writes a record without protection.
pub(crate) fn plain(out: &mut Vec<u8>, kind: u8, version: u16, body: &[u8]) {
    out.push(kind);
    out.extend_from_slice(&version.to_be_bytes());
    out.extend_from_slice(&u16::try_from(body.len()).unwrap_or(u16::MAX).to_be_bytes());
    out.extend_from_slice(body);
}

/// One direction of protection.
pub(crate) struct Protection {
    suite: Suite,
    secret: SecretBytes,
    key: LessSafeKey,
    iv: Zeroizing<[u8; 12]>,
    sequence: u64,
}

impl std::fmt::Debug for Protection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Protection({:?}, record {})", self.suite, self.sequence)
    }
}

impl Protection {
    pub(crate) fn new(suite: Suite, secret: SecretBytes) -> Result<Self, Error> {
        let failed = |_unspecified| Error::Crypto("making record keys");
        let key = suite.expand(&secret, "key", &[], suite.aead.key_len());
        let key = LessSafeKey::new(UnboundKey::new(suite.aead, &key).map_err(failed)?);
        let mut iv = Zeroizing::new([0; 12]);
        iv.copy_from_slice(&suite.expand(&secret, "iv", &[], 12));
        Ok(Self { suite, secret, key, iv, sequence: 0 })
    }

    /// The keys after a KeyUpdate (RFC 8446 §7.2).
    pub(crate) fn updated(&self) -> Result<Self, Error> {
        let secret = self.suite.derive(&self.secret, "traffic upd", &[]);
        Self::new(self.suite, secret)
    }

    /// Records sealed or opened with these keys.
    pub(crate) const fn records(&self) -> u64 {
        self.sequence
    }

    fn nonce(&mut self) -> Result<Nonce, Error> {
        let mut nonce = *self.iv;
        for (byte, part) in nonce.iter_mut().skip(4).zip(self.sequence.to_be_bytes()) {
            *byte ^= part;
        }
        self.sequence = self.sequence.checked_add(1).ok_or(Error::Crypto("too many records"))?;
        Ok(Nonce::assume_unique_for_key(nonce))
    }

    /// Appends one record of `body`, at most [`MAX_PLAINTEXT_BYTES`], sealed in place in `out`.
    pub(crate) fn seal(&mut self, out: &mut Vec<u8>, kind: u8, body: &[u8]) -> Result<(), Error> {
        self.seal_padded(out, kind, body, 0)
    }

    /// The same with that many zeros of padding.
    pub(crate) fn seal_padded(
        &mut self,
        out: &mut Vec<u8>,
        kind: u8,
        body: &[u8],
        padding: usize,
    ) -> Result<(), Error> {
        let length = u16::try_from(body.len() + 1 + padding + TAG_BYTES)
            .map_err(|_source| Error::TooLong { what: "own record", limit: MAX_PLAINTEXT_BYTES })?;
        let [high, low] = length.to_be_bytes();
        let header = [APPLICATION_DATA, 3, 3, high, low];
        out.reserve(HEADER_BYTES + usize::from(length));
        out.extend_from_slice(&header);
        let at = out.len();
        out.extend_from_slice(body);
        out.push(kind);
        out.resize(out.len() + padding, 0);
        let nonce = self.nonce()?;
        let sealed = out.get_mut(at..).unwrap_or_default();
        let tag = self
            .key
            .seal_in_place_separate_tag(nonce, Aad::from(header), sealed)
            .map_err(|_source| Error::Crypto("sealing a record"))?;
        out.extend_from_slice(tag.as_ref());
        Ok(())
    }

    /// Writes one record of `body` to the front of `out`, which has room for it: how long it is.
    pub(crate) fn seal_into(&mut self, out: &mut [u8], kind: u8, body: &[u8]) -> Result<usize, Error> {
        let too_long = Error::TooLong { what: "own record", limit: MAX_PLAINTEXT_BYTES };
        let sealed = body.len() + 1 + TAG_BYTES;
        let Ok(length) = u16::try_from(sealed) else { return Err(too_long) };
        let [high, low] = length.to_be_bytes();
        let header = [APPLICATION_DATA, 3, 3, high, low];
        let record = out.get_mut(..HEADER_BYTES + sealed).ok_or(too_long)?;
        let (head, rest) = record.split_at_mut(HEADER_BYTES);
        head.copy_from_slice(&header);
        let (content, end) = rest.split_at_mut(body.len());
        let nonce = self.nonce()?;
        self.key
            .seal_out_of_place_scatter(nonce, Aad::from(header), body, content, &[kind], end)
            .map_err(|_source| Error::Crypto("sealing a record"))?;
        Ok(HEADER_BYTES + sealed)
    }

    /// Opens the record `record` (header included) into `out`, which is as long as what is sealed: content type and length of
    /// the content.
    pub(crate) fn open_into(&mut self, record: &[u8], out: &mut [u8]) -> Result<(u8, usize), Error> {
        let (header, body) = record.split_first_chunk::<HEADER_BYTES>().ok_or(Error::Decode("record"))?;
        let (sealed, tag) = body.split_last_chunk::<TAG_BYTES>().ok_or(Error::BadRecord)?;
        let nonce = self.nonce()?;
        self.key
            .open_separate_gather(nonce, Aad::from(*header), sealed, tag, out)
            .map_err(|_source| Error::BadRecord)?;
        let length = content_bytes(out)?;
        Ok((out.get(length).copied().unwrap_or_default(), length))
    }

    /// Opens the record `record` (header included) in place: its content type and content.
    pub(crate) fn open<'a>(&mut self, record: &'a mut [u8]) -> Result<(u8, &'a mut [u8]), Error> {
        let (header, body) = record.split_first_chunk_mut::<HEADER_BYTES>().ok_or(Error::Decode("record"))?;
        let nonce = self.nonce()?;
        let opened =
            self.key.open_in_place(nonce, Aad::from(*header), body).map_err(|_source| Error::BadRecord)?;
        let (content, kind) = opened.split_at_mut(content_bytes(opened)?);
        let kind = kind.first().copied().unwrap_or_default();
        Ok((kind, content))
    }
}

/// Where the content of an opened record ends: its type stands there, behind that only zeros.
fn content_bytes(opened: &[u8]) -> Result<usize, Error> {
    let end = opened.iter().rposition(|&byte| byte != 0).ok_or(Error::Unexpected("record of zeros"))?;
    if end > MAX_PLAINTEXT_BYTES {
        return Err(Error::TooLong { what: "record", limit: MAX_PLAINTEXT_BYTES });
    }
    Ok(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn protection() -> Protection {
        Protection::new(Suite::of(0x1302).unwrap(), Zeroizing::new(vec![5; 48])).unwrap()
    }

    #[test]
    fn what_is_sealed_opens_once_and_in_order() {
        let (mut sealer, mut opener) = (protection(), protection());
        let mut wire = Vec::new();
        sealer.seal(&mut wire, APPLICATION_DATA, b"first").unwrap();
        let second = wire.len();
        sealer.seal(&mut wire, HANDSHAKE, b"").unwrap();
        assert_eq!(wire[..5], [23, 3, 3, 0, 22]);
        let mut early = wire[second..].to_vec();
        assert!(matches!(protection().open(&mut early), Err(Error::BadRecord)));
        let (first, rest) = wire.split_at_mut(second);
        assert_eq!(opener.open(first).unwrap(), (APPLICATION_DATA, &mut b"first".to_vec()[..]));
        assert_eq!(opener.open(rest).unwrap().0, HANDSHAKE);
        assert_eq!(opener.records(), 2);
    }

    #[test]
    fn an_update_changes_the_keys() {
        let mut wire = Vec::new();
        protection().updated().unwrap().seal(&mut wire, APPLICATION_DATA, b"x").unwrap();
        assert!(protection().open(&mut wire.clone()).is_err());
        assert!(protection().updated().unwrap().open(&mut wire).is_ok());
    }

    #[test]
    fn headers_that_are_not_tls_are_refused() {
        assert!(matches!(Header::read(b"HTTP/1.1"), Err(Error::Decode(_))));
        assert!(matches!(Header::read(&[22, 3, 3, 0x41, 1]), Err(Error::TooLong { .. })));
        assert!(Header::read(&[22, 3, 3, 0]).unwrap().is_none());
    }
}
