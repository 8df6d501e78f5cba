//! Compressed certificates (RFC 8879). A bomb ends at the length that the server announced, which is bounded.

use std::io::Read as _;

use crate::{Error, codec::Reader};

/// Bytes of a certificate message after decompression.
pub(crate) const MAX_CERTIFICATE_BYTES: usize = 128 << 10;
/// Bytes that brotli works on at once.
const BROTLI_BUFFER_BYTES: usize = 4096;

const ZLIB: u16 = 1;
const BROTLI: u16 = 2;
const ZSTD: u16 = 3;

/// The Certificate message inside a CompressedCertificate message, whose method must be one of `offered`.
pub(crate) fn certificate(body: &[u8], offered: impl Fn(u16) -> bool) -> Result<Vec<u8>, Error> {
    let mut reader = Reader::new(body);
    let mut read = || Some((reader.u16()?, reader.u24()?, reader.vec24()?));
    let (method, length, compressed) = read().ok_or(Error::Decode("CompressedCertificate"))?;
    if !reader.is_empty() {
        return Err(Error::Decode("CompressedCertificate"));
    }
    if !offered(method) {
        return Err(Error::Illegal("a certificate compression that was not offered"));
    }
    if length > MAX_CERTIFICATE_BYTES {
        return Err(Error::TooLong { what: "certificate", limit: MAX_CERTIFICATE_BYTES });
    }
    // One byte more than announced shows that it is longer.
    let most = length as u64 + 1;
    let mut plain = Vec::with_capacity(length);
    let result = match method {
        ZLIB => flate2::read::ZlibDecoder::new(compressed).take(most).read_to_end(&mut plain),
        BROTLI => brotli_decompressor::Decompressor::new(compressed, BROTLI_BUFFER_BYTES)
            .take(most)
            .read_to_end(&mut plain),
        ZSTD => ruzstd::decoding::StreamingDecoder::new(compressed)
            .map_err(std::io::Error::other)
            .and_then(|decoder| decoder.take(most).read_to_end(&mut plain)),
        _ => return Err(Error::Illegal("an unknown certificate compression")),
    };
    if result.is_err() || plain.len() != length {
        return Err(Error::Decode("compressed certificate"));
    }
    Ok(plain)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;
    use crate::codec::vec16;

    fn zlib(plain: &[u8], announced: usize) -> Vec<u8> {
        let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(plain).unwrap();
        let compressed = encoder.finish().unwrap();
        let mut body = vec![0, 1];
        body.extend_from_slice(&u32::try_from(announced).unwrap().to_be_bytes()[1..]);
        body.push(0);
        vec16(&mut body, |out| out.extend_from_slice(&compressed));
        body
    }

    #[test]
    fn a_certificate_is_read_back() {
        let plain = vec![42; 3000];
        assert_eq!(certificate(&zlib(&plain, 3000), |method| method == 1).unwrap(), plain);
        assert!(certificate(&zlib(&plain, 3000), |method| method == 2).is_err(), "not offered");
    }

    #[test]
    fn a_bomb_ends_at_what_was_announced() {
        let bomb = vec![0; 8 << 20];
        assert!(matches!(certificate(&zlib(&bomb, 3000), |_| true), Err(Error::Decode(_))));
        assert!(matches!(certificate(&zlib(&bomb, 8 << 20), |_| true), Err(Error::TooLong { .. })));
        assert!(certificate(&zlib(b"short", 3000), |_| true).is_err());
    }
}
