//! Reading and writing the vectors of TLS (RFC 8446 §3).

/// A cursor over bytes; every read answers `None` past the end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    pub(crate) fn u8(&mut self) -> Option<u8> {
        self.array().map(|[byte]| byte)
    }

    pub(crate) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    pub(crate) fn u24(&mut self) -> Option<usize> {
        self.array().map(|[a, b, c]| u32::from_be_bytes([0, a, b, c]) as usize)
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    /// A vector with one byte of length.
    pub(crate) fn vec8(&mut self) -> Option<&'a [u8]> {
        let length = self.u8()?;
        self.take(length.into())
    }

    /// A vector with two bytes of length.
    pub(crate) fn vec16(&mut self) -> Option<&'a [u8]> {
        let length = self.u16()?;
        self.take(length.into())
    }

    /// A vector with three bytes of length.
    pub(crate) fn vec24(&mut self) -> Option<&'a [u8]> {
        let length = self.u24()?;
        self.take(length)
    }
}

/// Writes a vector with two bytes of length around what `body` writes.
pub(crate) fn vec16(out: &mut Vec<u8>, body: impl FnOnce(&mut Vec<u8>)) {
    lengthed::<2>(out, body);
}

/// Writes a vector with one byte of length around what `body` writes.
pub(crate) fn vec8(out: &mut Vec<u8>, body: impl FnOnce(&mut Vec<u8>)) {
    lengthed::<1>(out, body);
}

/// Writes a handshake message (RFC 8446 §4): type, three bytes of length, body.
pub(crate) fn handshake(out: &mut Vec<u8>, kind: u8, body: impl FnOnce(&mut Vec<u8>)) {
    out.push(kind);
    lengthed::<3>(out, body);
}

/// Writes an extension: type and body.
pub(crate) fn extension(out: &mut Vec<u8>, kind: u16, body: impl FnOnce(&mut Vec<u8>)) {
    out.extend_from_slice(&kind.to_be_bytes());
    vec16(out, body);
}

fn lengthed<const BYTES: usize>(out: &mut Vec<u8>, body: impl FnOnce(&mut Vec<u8>)) {
    let at = out.len();
    out.extend_from_slice(&[0; BYTES]);
    body(out);
    let length = (out.len() - at - BYTES) as u64;
    for (slot, byte) in out.iter_mut().skip(at).take(BYTES).zip(length.to_be_bytes().iter().skip(8 - BYTES)) {
        *slot = *byte;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let mut out = Vec::new();
        handshake(&mut out, 1, |out| {
            extension(out, 0x44cd, |out| vec16(out, |out| vec8(out, |out| out.extend_from_slice(b"h2"))));
        });
        assert_eq!(out, [1, 0, 0, 9, 0x44, 0xcd, 0, 5, 0, 3, 2, b'h', b'2']);
        let mut reader = Reader::new(&out);
        assert_eq!(reader.u8(), Some(1));
        let mut body = Reader::new(reader.vec24().unwrap());
        assert_eq!((body.u16(), body.vec16().map(<[u8]>::len)), (Some(0x44cd), Some(5)));
        assert!(body.is_empty() && reader.is_empty());
        assert_eq!(reader.u8(), None);
    }
}
