//! The pages of the same site that a page links to. Pure; a page is a stranger's, so all of it is bounded.

use std::io::Read;

use brotli_decompressor::{BrotliDecoderParameter, Decompressor};
use ruzstd::decoding::StreamingDecoder;

/// Bytes of a page that are kept, as they come.
const MAX_PAGE_BYTES: usize = 256 << 10;
/// Bytes of it that are looked at, once they are no longer compressed.
const MAX_TEXT_BYTES: u64 = 1 << 20;
/// Bytes that brotli works on at once.
const BROTLI_BUFFER_BYTES: usize = 4096;
/// Longest window of zstd, in bytes: what RFC 8878 §3.1.1.1.2 recommends to support. Brotli's is 16 MiB (RFC 7932 §9.1).
const ZSTD_WINDOW_BYTES: u64 = 8 << 20;
/// Longest path that is followed.
const MAX_PATH_BYTES: usize = 512;
/// Pages of a site that are known at once.
const MAX_PATHS: usize = 64;

/// A page while it comes.
#[derive(Debug, Default)]
pub(super) struct Page(Vec<u8>);

impl Page {
    pub(super) fn take(&mut self, bytes: &[u8]) {
        let room = MAX_PAGE_BYTES.saturating_sub(self.0.len()).min(bytes.len());
        self.0.extend_from_slice(bytes.get(..room).unwrap_or_default());
    }

    /// Adds the paths that it links to and that are not yet known.
    pub(super) fn links(&self, site: &str, known: &mut Vec<String>) {
        let text = self.text();
        let mut rest = text.as_slice();
        while known.len() < MAX_PATHS
            && let Some(at) = find(rest, b"href=\"")
        {
            rest = rest.get(at + b"href=\"".len()..).unwrap_or_default();
            let Some(end) = rest.iter().position(|&byte| byte == b'"') else { return };
            let link = rest.get(..end).and_then(|link| std::str::from_utf8(link).ok());
            let path = link.and_then(|link| path(link, site));
            if let Some(path) = path.filter(|path| !known.contains(path)) {
                known.push(path);
            }
            rest = rest.get(end..).unwrap_or_default();
        }
    }

    /// The text, whatever it is compressed with: the first bytes say that, but for brotli, which has no mark.
    fn text(&self) -> Vec<u8> {
        let bytes = self.0.as_slice();
        let mut text = Vec::new();
        // A page that was cut has an error at its end, and its beginning is read all the same.
        match bytes {
            [0x1f, 0x8b, ..] => read(flate2::read::GzDecoder::new(bytes), &mut text),
            [0x28, 0xb5, 0x2f, 0xfd, ..] => {
                if let Ok(decoder) = StreamingDecoder::new_with_max_window_size(bytes, ZSTD_WINDOW_BYTES) {
                    read(decoder, &mut text);
                }
            }
            [0x78, second, ..] if (0x7800 | u16::from(*second)).is_multiple_of(31) => {
                read(flate2::read::ZlibDecoder::new(bytes), &mut text);
            }
            _ if is_markup(bytes) => text.extend_from_slice(bytes),
            _ => {
                let mut decoder = Decompressor::new(bytes, BROTLI_BUFFER_BYTES);
                // Without the windows of up to 1 GiB that are an extension of the format.
                decoder.set_parameter(BrotliDecoderParameter::BROTLI_DECODER_PARAM_LARGE_WINDOW, 0);
                read(decoder, &mut text);
            }
        }
        text
    }
}

fn read(decoder: impl Read, text: &mut Vec<u8>) {
    decoder.take(MAX_TEXT_BYTES).read_to_end(text).ok();
}

fn is_markup(bytes: &[u8]) -> bool {
    let start = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes).trim_ascii_start();
    start.first() == Some(&b'<')
}

fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    text.windows(what.len()).position(|window| window == what)
}

/// The path of a link within the site. One with a dot is a file or another site: no page.
fn path(link: &str, site: &str) -> Option<String> {
    let own = link.strip_prefix("https://").and_then(|rest| rest.strip_prefix(site));
    let path = own.unwrap_or(link).split('#').next()?.replace("&amp;", "&");
    let fits = path.starts_with('/') && !path.starts_with("//") && path.len() <= MAX_PATH_BYTES;
    (fits && path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'.')).then_some(path)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    const PAGE: &[u8] = br##"<!doctype html><a href="/one">1</a><a href='/no'><a href="/two?a=1&amp;b=2#part">
        <link href="/style.css"><a href="https://www.example.com/three"><a href="//other.example/x">
        <a href="https://other.example/y"><a href="/one"><a href="mailto:a@b"><a href="/a b"><a href="#top"><a href="/open"##;

    fn links(bytes: &[u8]) -> Vec<String> {
        let (mut page, mut known) = (Page::default(), vec!["/".to_owned()]);
        bytes.chunks(7).for_each(|part| page.take(part));
        page.links("www.example.com", &mut known);
        known
    }

    #[test]
    fn links_within_the_site_are_found_however_the_page_is_compressed() {
        let expected = ["/", "/one", "/two?a=1&b=2", "/three"];
        assert_eq!(links(PAGE), expected);
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        gzip.write_all(PAGE).unwrap();
        assert_eq!(links(&gzip.finish().unwrap()), expected);
        let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
        zlib.write_all(PAGE).unwrap();
        assert_eq!(links(&zlib.finish().unwrap()), expected);
        let zstd = ruzstd::encoding::compress_to_vec(PAGE, ruzstd::encoding::CompressionLevel::Fastest);
        assert_eq!(links(&zstd), expected);
        // Brotli with its text stored: a window, one block that is not compressed, an empty last one (RFC 7932 §9.2).
        let short = br#"<a href="/short">"#;
        let length = u8::try_from(short.len() - 1).unwrap();
        // WBITS 16 (0), not last (0), four nibbles (00), the length in 16 bits, uncompressed (1), then bytes.
        let bits = u32::from(length) << 4 | 1 << 20;
        let mut brotli = bits.to_le_bytes()[..3].to_vec();
        brotli.extend_from_slice(short);
        brotli.push(3);
        assert_eq!(links(&brotli), ["/", "/short"]);
    }

    #[test]
    fn a_bomb_and_a_thousand_links_are_bounded() {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        gzip.write_all(&vec![b' '; 64 << 20]).unwrap();
        let mut page = Page::default();
        page.take(&gzip.finish().unwrap());
        assert_eq!(page.text().len() as u64, MAX_TEXT_BYTES);
        let many: String = (0..1000).map(|n| format!("<a href=\"/{n}\">")).collect();
        assert_eq!(links(many.as_bytes()).len(), MAX_PATHS);
        let mut page = Page::default();
        page.take(&vec![b'<'; MAX_PAGE_BYTES * 2]);
        assert_eq!(page.0.len(), MAX_PAGE_BYTES);
        for noise in [&b"\x1f\x8b"[..], b"\x28\xb5\x2f\xfd\x00", b"\x78\x9c", b"", b"\x00\xff\x13"] {
            assert_eq!(links(noise), ["/"]);
        }
    }
}
