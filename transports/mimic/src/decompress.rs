//! Compressed certificates (RFC 8879). A bomb ends at the length that the server announced, which is bounded.

use std::io::Read as _;

use brotli_decompressor::{BrotliDecoderParameter, Decompressor};
use ruzstd::decoding::StreamingDecoder;

use crate::{Error, codec::Reader};

/// Bytes of a certificate message after decompression.
pub(crate) const MAX_CERTIFICATE_BYTES: usize = 128 << 10;
/// Bytes that brotli works on at once.
const BROTLI_BUFFER_BYTES: usize = 4096;
/// Bytes of the longest window that zstd may ask for: what RFC 8878 §3.1.1.1.2 recommends to support. Brotli's is 16 MiB
/// (RFC 7932 §9.1). Both are memory that a server's first bytes make us take.
const ZSTD_WINDOW_BYTES: u64 = 8 << 20;

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
        BROTLI => brotli(compressed).take(most).read_to_end(&mut plain),
        ZSTD => StreamingDecoder::new_with_max_window_size(compressed, ZSTD_WINDOW_BYTES)
            .map_err(std::io::Error::other)
            .and_then(|decoder| decoder.take(most).read_to_end(&mut plain)),
        _ => return Err(Error::Illegal("an unknown certificate compression")),
    };
    if result.is_err() || plain.len() != length {
        return Err(Error::Decode("compressed certificate"));
    }
    Ok(plain)
}

/// Without the windows of up to 1 GiB that are an extension of the format.
fn brotli(compressed: &[u8]) -> Decompressor<&[u8]> {
    let mut decoder = Decompressor::new(compressed, BROTLI_BUFFER_BYTES);
    decoder.set_parameter(BrotliDecoderParameter::BROTLI_DECODER_PARAM_LARGE_WINDOW, 0);
    decoder
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;
    use crate::codec::vec16;

    fn zlib(plain: &[u8], announced: usize) -> Vec<u8> {
        let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(plain).unwrap();
        message(ZLIB, announced, &encoder.finish().unwrap())
    }

    fn message(method: u16, announced: usize, compressed: &[u8]) -> Vec<u8> {
        let mut body = method.to_be_bytes().to_vec();
        body.extend_from_slice(&u32::try_from(announced).unwrap().to_be_bytes()[1..]);
        body.push(0);
        vec16(&mut body, |out| out.extend_from_slice(compressed));
        body
    }

    /// A brotli stream of one uncompressed block, its window as these bits (lowest first).
    fn stored_brotli(window: &[u8], content: &[u8]) -> Vec<u8> {
        let length = u16::try_from(content.len() - 1).unwrap();
        let mut bits = window.to_vec();
        // Not the last block, four nibbles of length, the length, uncompressed.
        bits.extend([0, 0, 0]);
        bits.extend((0..16).map(|bit| u8::try_from(length >> bit & 1).unwrap()));
        bits.push(1);
        let byte = |bits: &[u8]| bits.iter().rev().fold(0, |byte, bit| byte << 1 | bit);
        let mut stream: Vec<u8> = bits.chunks(8).map(byte).collect();
        stream.extend_from_slice(content);
        // The last block, empty.
        stream.push(3);
        stream
    }

    #[test]
    fn windows_are_bounded() {
        let content = [42; 300];
        let taken =
            |method, compressed: &[u8]| certificate(&message(method, content.len(), compressed), |_| true);
        let largest = stored_brotli(&[1, 1, 1, 1], &content);
        assert_eq!(taken(BROTLI, &largest).unwrap(), content);
        let gigabyte = stored_brotli(&[1, 0, 0, 0, 1, 0, 0, 0, 0, 1, 1, 1, 1, 0], &content);
        assert!(taken(BROTLI, &gigabyte).is_err());
        for (window, fits) in [(0x68, true), (0x70, false)] {
            // The window's logarithm less ten, above three bits of mantissa; then the last block, stored.
            let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0, window];
            let head = u32::try_from(content.len()).unwrap() << 3 | 1;
            frame.extend_from_slice(&head.to_le_bytes()[..3]);
            frame.extend_from_slice(&content);
            assert_eq!(taken(ZSTD, &frame).is_ok(), fits, "{window:x}");
        }
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
