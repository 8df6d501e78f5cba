//! One request of HTTP/2 (RFC 9113), and the frames that have to be answered. Pure.

use super::fields;
use crate::config::Fingerprint;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const WINDOW_UPDATE: u8 = 8;
/// SETTINGS and PING: this is the answer.
const ACK: u8 = 1;
/// HEADERS: nothing follows, the field block is whole, a priority stands before it.
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const PRIORITY: u8 = 0x20;
/// Bytes of a frame's head.
const HEAD_BYTES: usize = 9;
const PING_BYTES: usize = 8;
/// Settings and pings that are answered in one visit; further ones are passed over.
const MAX_ANSWERS: u32 = 16;

/// What a browser says of its connection (RFC 9113 §6.5.2): table size, push, window, frame or list size.
const fn settings(browser: Fingerprint) -> &'static [(u16, u32)] {
    match browser {
        Fingerprint::Chromium => &[(1, 65_536), (2, 0), (4, 6_291_456), (6, 262_144)],
        Fingerprint::Firefox => &[(1, 65_536), (2, 0), (4, 131_072), (5, 16_384)],
    }
}

/// By how much a browser widens the connection's window.
const fn window(browser: Fingerprint) -> u32 {
    match browser {
        Fingerprint::Chromium => 15_663_105,
        Fingerprint::Firefox => 12_517_377,
    }
}

/// The stream of the first request, and its priority: dependence (with the exclusive bit) and weight less one.
const fn stream(browser: Fingerprint) -> (u32, u32, u8) {
    match browser {
        Fingerprint::Chromium => (1, 0x8000_0000, 255),
        Fingerprint::Firefox => (3, 0, 41),
    }
}

/// Preface, settings, window and the request for the page, as a browser sends them together.
pub(super) fn request(site: &str, browser: Fingerprint) -> Vec<u8> {
    let mut out = PREFACE.to_vec();
    let body: Vec<u8> = settings(browser)
        .iter()
        .flat_map(|(id, value)| id.to_be_bytes().into_iter().chain(value.to_be_bytes()))
        .collect();
    frame(&mut out, SETTINGS, 0, 0, &body);
    frame(&mut out, WINDOW_UPDATE, 0, 0, &window(browser).to_be_bytes());
    let (id, dependence, weight) = stream(browser);
    let mut body = dependence.to_be_bytes().to_vec();
    body.push(weight);
    field_block(site, browser, &mut body);
    frame(&mut out, HEADERS, END_STREAM | END_HEADERS | PRIORITY, id, &body);
    out
}

/// HPACK (RFC 7541): what its static table has is named by number; texts stand as they are, where browsers use its code.
fn field_block(site: &str, browser: Fingerprint, out: &mut Vec<u8>) {
    const METHOD_GET: u8 = 0x82;
    const PATH_ROOT: u8 = 0x84;
    const SCHEME_HTTPS: u8 = 0x87;
    const AUTHORITY: u8 = 0x41;
    const NEW_NAME: u8 = 0x40;
    let authority = |out: &mut Vec<u8>| {
        out.push(AUTHORITY);
        text(site, out);
    };
    out.push(METHOD_GET);
    match browser {
        Fingerprint::Chromium => {
            authority(out);
            out.extend_from_slice(&[SCHEME_HTTPS, PATH_ROOT]);
        }
        Fingerprint::Firefox => {
            out.push(PATH_ROOT);
            authority(out);
            out.push(SCHEME_HTTPS);
        }
    }
    for (name, value) in fields(browser) {
        out.push(NEW_NAME);
        text(name, out);
        text(value, out);
    }
}

/// A length with a prefix of seven bits, and the text.
fn text(text: &str, out: &mut Vec<u8>) {
    const PREFIX: usize = 127;
    let bytes = text.as_bytes();
    if bytes.len() < PREFIX {
        out.push(u8::try_from(bytes.len()).unwrap_or_default());
    } else {
        out.push(0x7f);
        let mut rest = bytes.len() - PREFIX;
        while rest >= 128 {
            out.push(u8::try_from(rest % 128).unwrap_or_default() | 0x80);
            rest /= 128;
        }
        out.push(u8::try_from(rest).unwrap_or_default());
    }
    out.extend_from_slice(bytes);
}

fn frame(out: &mut Vec<u8>, kind: u8, flags: u8, stream: u32, body: &[u8]) {
    let [_, high, middle, low] = u32::try_from(body.len()).unwrap_or_default().to_be_bytes();
    out.extend_from_slice(&[high, middle, low, kind, flags]);
    out.extend_from_slice(&stream.to_be_bytes());
    out.extend_from_slice(body);
}

/// Follows the frames of a server, and answers those that want an answer.
#[derive(Debug, Default)]
pub(super) struct Frames {
    head: [u8; HEAD_BYTES],
    read: usize,
    /// Bytes of the frame's body that are still to come.
    left: usize,
    ping: Vec<u8>,
    answered: u32,
}

impl Frames {
    /// Takes bytes of the server: what is to be answered.
    pub(super) fn take(&mut self, mut bytes: &[u8]) -> Vec<u8> {
        let mut answers = Vec::new();
        while !bytes.is_empty() {
            if self.read < HEAD_BYTES {
                let (part, rest) = bytes.split_at(bytes.len().min(HEAD_BYTES - self.read));
                for (slot, byte) in self.head.iter_mut().skip(self.read).zip(part) {
                    *slot = *byte;
                }
                self.read += part.len();
                bytes = rest;
                if self.read == HEAD_BYTES {
                    let [high, middle, low, ..] = self.head;
                    self.left = u32::from_be_bytes([0, high, middle, low]) as usize;
                }
            } else {
                let (part, rest) = bytes.split_at(bytes.len().min(self.left));
                self.left -= part.len();
                if self.kind() == (PING, 0) && self.ping.len() + part.len() <= PING_BYTES {
                    self.ping.extend_from_slice(part);
                }
                bytes = rest;
            }
            if self.read == HEAD_BYTES && self.left == 0 {
                self.end(&mut answers);
            }
        }
        answers
    }

    const fn kind(&self) -> (u8, u8) {
        let [_, _, _, kind, flags, ..] = self.head;
        (kind, flags & ACK)
    }

    fn end(&mut self, answers: &mut Vec<u8>) {
        let ping = std::mem::take(&mut self.ping);
        self.read = 0;
        if self.answered >= MAX_ANSWERS {
            return;
        }
        match self.kind() {
            (SETTINGS, 0) => frame(answers, SETTINGS, ACK, 0, &[]),
            (PING, 0) if ping.len() == PING_BYTES => frame(answers, PING, ACK, 0, &ping),
            _ => return,
        }
        self.answered += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_wants_an_answer_is_answered_however_it_is_cut() {
        let mut wire = Vec::new();
        frame(&mut wire, SETTINGS, 0, 0, &[0, 3, 0, 0, 0, 100]);
        frame(&mut wire, SETTINGS, ACK, 0, &[]);
        frame(&mut wire, 0, 0, 1, &[7; 300]);
        frame(&mut wire, PING, 0, 0, b"12345678");
        let mut expected = Vec::new();
        frame(&mut expected, SETTINGS, ACK, 0, &[]);
        frame(&mut expected, PING, ACK, 0, b"12345678");
        for size in [1, 5, 100, 1000] {
            let mut frames = Frames::default();
            let answers: Vec<u8> = wire.chunks(size).flat_map(|part| frames.take(part)).collect();
            assert_eq!(answers, expected, "{size}");
        }
    }

    #[test]
    fn a_flood_of_pings_is_not_answered_for_ever() {
        let mut wire = Vec::new();
        (0..1000).for_each(|_ping| frame(&mut wire, PING, 0, 0, b"12345678"));
        assert_eq!(Frames::default().take(&wire).len(), MAX_ANSWERS as usize * (HEAD_BYTES + PING_BYTES));
    }

    #[test]
    fn long_texts_have_long_lengths() {
        let mut out = Vec::new();
        text(&"a".repeat(127 + 300), &mut out);
        assert_eq!(out[..3], [0x7f, 0xac, 0x02]);
        assert_eq!(out.len(), 3 + 427);
    }
}
