//! Requests of HTTP/2 (RFC 9113), the frames that have to be answered, and those that belong to pages. Pure.

use super::fields;
use crate::config::Fingerprint;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
/// SETTINGS and PING: this is the answer.
const ACK: u8 = 1;
/// HEADERS: nothing follows, the field block is whole, a priority stands before it.
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
/// DATA: the first byte says how many of the last ones are none of the page.
const PADDED: u8 = 8;
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

/// What is asked for.
pub(super) struct Request<'a> {
    pub(super) path: &'a str,
    /// The path of the page that linked there.
    pub(super) referer: Option<&'a str>,
    /// Length of a cookie whose only use is its length.
    pub(super) padding: usize,
}

/// Opens streams of one connection.
pub(super) struct Opener<'a> {
    site: &'a str,
    browser: Fingerprint,
    next: u32,
}

impl<'a> Opener<'a> {
    /// Writes the preface, the settings and the window, which a browser sends together with its first request.
    pub(super) fn begin(site: &'a str, browser: Fingerprint, out: &mut Vec<u8>) -> Self {
        out.extend_from_slice(PREFACE);
        let body: Vec<u8> = settings(browser)
            .iter()
            .flat_map(|(id, value)| id.to_be_bytes().into_iter().chain(value.to_be_bytes()))
            .collect();
        frame(out, SETTINGS, 0, 0, &body);
        frame(out, WINDOW_UPDATE, 0, 0, &window(browser).to_be_bytes());
        let (next, ..) = stream(browser);
        Self { site, browser, next }
    }

    pub(super) const fn site(&self) -> &str {
        self.site
    }

    /// Writes a request: its stream.
    pub(super) fn get(&mut self, request: &Request<'_>, out: &mut Vec<u8>) -> u32 {
        let id = self.next;
        self.next += 2;
        let (_, dependence, weight) = stream(self.browser);
        let mut body = dependence.to_be_bytes().to_vec();
        body.push(weight);
        self.field_block(request, &mut body);
        frame(out, HEADERS, END_STREAM | END_HEADERS | PRIORITY, id, &body);
        id
    }

    /// HPACK (RFC 7541): what its static table has is named by number; texts stand as they are, where browsers use its
    /// code.
    fn field_block(&self, request: &Request<'_>, out: &mut Vec<u8>) {
        const METHOD_GET: u8 = 0x82;
        const PATH_ROOT: u8 = 0x84;
        const PATH: u8 = 0x44;
        const SCHEME_HTTPS: u8 = 0x87;
        const AUTHORITY: u8 = 0x41;
        const NEW_NAME: u8 = 0x40;
        let authority = |out: &mut Vec<u8>| {
            out.push(AUTHORITY);
            text(self.site, out);
        };
        let path = |out: &mut Vec<u8>| {
            if request.path == "/" {
                return out.push(PATH_ROOT);
            }
            out.push(PATH);
            text(request.path, out);
        };
        out.push(METHOD_GET);
        match self.browser {
            Fingerprint::Chromium => {
                authority(out);
                out.push(SCHEME_HTTPS);
                path(out);
            }
            Fingerprint::Firefox => {
                path(out);
                authority(out);
                out.push(SCHEME_HTTPS);
            }
        }
        for (name, value) in self.fields(request) {
            out.push(NEW_NAME);
            text(name, out);
            text(&value, out);
        }
    }

    /// The browser's fields; on the way from page to page with where from, and with the cookie.
    fn fields(&self, request: &Request<'_>) -> Vec<(&'static str, String)> {
        let mut all = Vec::new();
        for &(name, value) in fields(self.browser) {
            // Chromium says it before what it can read, Firefox behind.
            let referer = request.referer.map(|path| ("referer", format!("https://{}{path}", self.site)));
            match (name, self.browser) {
                ("sec-fetch-site", _) if request.referer.is_some() => {
                    all.push((name, "same-origin".to_owned()));
                }
                ("accept-encoding", Fingerprint::Chromium) => {
                    all.extend(referer);
                    all.push((name, value.to_owned()));
                }
                ("accept-encoding", Fingerprint::Firefox) => {
                    all.push((name, value.to_owned()));
                    all.extend(referer);
                }
                _ => all.push((name, value.to_owned())),
            }
        }
        if request.padding > 0 {
            all.push(("cookie", format!("padding={}", "0".repeat(request.padding))));
        }
        all
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

/// What a server said that concerns pages.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Event<'a> {
    /// A part of the page of that stream.
    Data(u32, &'a [u8]),
    /// The page of that stream is over, whole or not.
    End(u32),
    /// No further request will be answered.
    Goodbye,
}

/// Follows the frames of a server, and answers those that want an answer.
#[derive(Debug, Default)]
pub(super) struct Frames {
    head: [u8; HEAD_BYTES],
    read: usize,
    /// Bytes of the frame's body that are still to come.
    left: usize,
    /// Bytes at its end that are padding; until the first byte said it, none is known.
    padding: Option<usize>,
    ping: Vec<u8>,
    answered: u32,
}

impl Frames {
    /// Takes bytes of the server and tells what concerns pages: what is to be answered.
    pub(super) fn take(&mut self, mut bytes: &[u8], tell: &mut dyn FnMut(&Event<'_>)) -> Vec<u8> {
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
                    let [high, middle, low, _, flags, ..] = self.head;
                    self.left = u32::from_be_bytes([0, high, middle, low]) as usize;
                    self.padding = (flags & PADDED == 0).then_some(0);
                }
            } else {
                let (part, rest) = bytes.split_at(bytes.len().min(self.left));
                self.left -= part.len();
                self.body(part, tell);
                bytes = rest;
            }
            if self.read == HEAD_BYTES && self.left == 0 {
                self.end(&mut answers, tell);
            }
        }
        answers
    }

    /// A part of a frame's body, behind which `left` more bytes of it come.
    fn body(&mut self, mut part: &[u8], tell: &mut dyn FnMut(&Event<'_>)) {
        match self.kind() {
            (PING, flags) if flags & ACK == 0 && self.ping.len() + part.len() <= PING_BYTES => {
                self.ping.extend_from_slice(part);
            }
            (DATA, _) => {
                if self.padding.is_none()
                    && let Some((length, rest)) = part.split_first()
                {
                    self.padding = Some((*length).into());
                    part = rest;
                }
                let page = (part.len() + self.left).saturating_sub(self.padding.unwrap_or_default());
                let page = part.get(..page.min(part.len())).unwrap_or_default();
                if !page.is_empty() {
                    tell(&Event::Data(self.stream(), page));
                }
            }
            _ => {}
        }
    }

    const fn kind(&self) -> (u8, u8) {
        let [_, _, _, kind, flags, ..] = self.head;
        (kind, flags)
    }

    const fn stream(&self) -> u32 {
        let [.., a, b, c, d] = self.head;
        u32::from_be_bytes([a & 0x7f, b, c, d])
    }

    fn end(&mut self, answers: &mut Vec<u8>, tell: &mut dyn FnMut(&Event<'_>)) {
        let ping = std::mem::take(&mut self.ping);
        self.read = 0;
        match self.kind() {
            (DATA | HEADERS, flags) if flags & END_STREAM != 0 => tell(&Event::End(self.stream())),
            (RST_STREAM, _) => tell(&Event::End(self.stream())),
            (GOAWAY, _) => tell(&Event::Goodbye),
            _ if self.answered >= MAX_ANSWERS => {}
            (SETTINGS, flags) if flags & ACK == 0 => {
                frame(answers, SETTINGS, ACK, 0, &[]);
                self.answered += 1;
            }
            (PING, flags) if flags & ACK == 0 && ping.len() == PING_BYTES => {
                frame(answers, PING, ACK, 0, &ping);
                self.answered += 1;
            }
            _ => {}
        }
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
        frame(&mut wire, DATA, 0, 1, &[7; 300]);
        frame(&mut wire, DATA, END_STREAM | PADDED, 3, b"\x02page..");
        frame(&mut wire, DATA, PADDED, 5, &[200]);
        frame(&mut wire, HEADERS, END_STREAM, 5, b"fields");
        frame(&mut wire, GOAWAY, 0, 0, &[0; 8]);
        frame(&mut wire, PING, 0, 0, b"12345678");
        let mut expected = Vec::new();
        frame(&mut expected, SETTINGS, ACK, 0, &[]);
        frame(&mut expected, PING, ACK, 0, b"12345678");
        for size in [1, 5, 100, 1000] {
            let (mut frames, mut one, mut three, mut ends) = (Frames::default(), 0, Vec::new(), Vec::new());
            let mut tell = |event: &Event<'_>| match event {
                Event::Data(1, part) => one += part.len(),
                Event::Data(_, part) => three.extend_from_slice(part),
                Event::End(stream) => ends.push(*stream),
                Event::Goodbye => ends.push(0),
            };
            let answers: Vec<u8> = wire.chunks(size).flat_map(|part| frames.take(part, &mut tell)).collect();
            assert_eq!(answers, expected, "{size}");
            assert_eq!(
                (one, three.as_slice(), ends.as_slice()),
                (300, &b"page"[..], &[3, 5, 0][..]),
                "{size}"
            );
        }
    }

    #[test]
    fn a_flood_of_pings_is_not_answered_for_ever() {
        let mut wire = Vec::new();
        (0..1000).for_each(|_ping| frame(&mut wire, PING, 0, 0, b"12345678"));
        assert_eq!(
            Frames::default().take(&wire, &mut |_event| ()).len(),
            MAX_ANSWERS as usize * (HEAD_BYTES + PING_BYTES)
        );
    }

    #[test]
    fn long_texts_have_long_lengths() {
        let mut out = Vec::new();
        text(&"a".repeat(127 + 300), &mut out);
        assert_eq!(out[..3], [0x7f, 0xac, 0x02]);
        assert_eq!(out.len(), 3 + 427);
    }
}
