//! Bytes of a server read as TLS records (RFC 8446 §5): which records, which hello, which alert.

use serde::Serialize;

use crate::tls::SessionFacts;

/// Most records that are told of one answer.
const MAX_RECORDS: usize = 64;
const HEADER_BYTES: usize = 5;
const HANDSHAKE: u8 = 22;
const SERVER_HELLO: u8 = 2;
/// The random that makes a server hello a retry request (RFC 8446 §4.1.3), its first bytes.
const RETRY_RANDOM: [u8; 8] = [0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11];
const SUPPORTED_VERSIONS: u16 = 43;
const KEY_SHARE: u16 = 51;

/// One record as it stood on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct RecordFact {
    /// Content type: 20 change cipher spec, 21 alert, 22 handshake, 23 application data.
    pub kind: u8,
    /// Bytes after its header.
    pub length: u16,
}

/// What a server hello chose.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ServerHelloFacts {
    /// The version that holds: of the extension where there is one.
    pub version: u16,
    /// The cipher suite.
    pub cipher: u16,
    /// The group of the key share (TLS 1.3).
    pub group: Option<u16>,
    /// Extension types, in their order.
    pub extensions: Vec<u16>,
    /// Bytes of the session id.
    pub session_id_length: u8,
    /// It asks for another hello.
    pub retry: bool,
}

/// What an answer says as TLS.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct TlsFacts {
    /// The records, at most 64.
    pub records: Vec<RecordFact>,
    /// Level and description of an alert (RFC 8446 §6): in the clear, or as our TLS client opened it.
    pub alert: Option<(u8, u8)>,
    /// The server's hello.
    pub hello: Option<ServerHelloFacts>,
    /// What the handshake gave, when the probe finished one.
    pub session: Option<SessionFacts>,
}

impl TlsFacts {
    /// Content type of an alert.
    pub const ALERT: u8 = 21;

    /// Reads an answer; `None` when its first bytes are no record header.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let mut facts = Self::default();
        let mut rest = bytes;
        while let Some((record, body, after)) = record(rest) {
            if facts.records.len() == MAX_RECORDS {
                break;
            }
            match (record.kind, body) {
                (Self::ALERT, [level, description]) => facts.alert = Some((*level, *description)),
                (HANDSHAKE, body) if facts.hello.is_none() => facts.hello = hello(body),
                _ => {}
            }
            facts.records.push(record);
            rest = after;
        }
        (!facts.records.is_empty()).then_some(facts)
    }
}

/// The record at the front, its body as far as it came, and what follows.
fn record(bytes: &[u8]) -> Option<(RecordFact, &[u8], &[u8])> {
    let (header, rest) = bytes.split_first_chunk::<HEADER_BYTES>()?;
    let [kind @ 20..=24, 3, 0..=4, high, low] = *header else { return None };
    let length = u16::from_be_bytes([high, low]);
    let end = usize::from(length).min(rest.len());
    let (body, after) = rest.split_at_checked(end)?;
    Some((RecordFact { kind, length }, body, after))
}

fn hello(message: &[u8]) -> Option<ServerHelloFacts> {
    let mut reader = Reader(message);
    if reader.u8()? != SERVER_HELLO {
        return None;
    }
    reader.take(3)?;
    let legacy = reader.u16()?;
    let random = reader.take(32)?;
    let session_id_length = reader.u8()?;
    reader.take(usize::from(session_id_length))?;
    let cipher = reader.u16()?;
    reader.u8()?;
    let mut facts = ServerHelloFacts {
        version: legacy,
        cipher,
        group: None,
        extensions: Vec::new(),
        session_id_length,
        retry: random.starts_with(&RETRY_RANDOM),
    };
    // A TLS 1.2 server may leave out the extensions altogether.
    let Some(length) = reader.u16() else { return Some(facts) };
    let mut extensions = Reader(reader.take(usize::from(length))?);
    while let Some(kind) = extensions.u16() {
        let length = usize::from(extensions.u16()?);
        let body = extensions.take(length)?;
        facts.extensions.push(kind);
        match kind {
            SUPPORTED_VERSIONS => facts.version = Reader(body).u16()?,
            KEY_SHARE => facts.group = Reader(body).u16(),
            _ => {}
        }
    }
    Some(facts)
}

/// Reads big-endian fields from the front.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn u8(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    fn u16(&mut self) -> Option<u16> {
        Some(u16::from_be_bytes(*self.take(2)?.first_chunk()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The server hello of RFC 8448 §3 (simple 1-RTT handshake), in its record.
    const HELLO: &str = "160303005a020000560303a6af06a4121860dc5e6e60249cd34c95930c8ac5cb1434dac155772ed3e2692\
                         800130100002e00330024001d0020c9828876112095fe66762bdbf7c672e156d6cc253b833df1dd69b1b0\
                         4e751f0f002b00020304";

    fn unhex(text: &str) -> Vec<u8> {
        let digits: Vec<u32> = text.chars().filter_map(|c| c.to_digit(16)).collect();
        digits.chunks(2).map(|pair| u8::try_from(pair[0] * 16 + pair[1]).unwrap()).collect()
    }

    #[test]
    fn the_hello_of_rfc_8448_reads() {
        let facts = TlsFacts::read(&unhex(HELLO)).unwrap();
        let expected = ServerHelloFacts {
            version: 0x0304,
            cipher: 0x1301,
            group: Some(0x001d),
            extensions: vec![51, 43],
            session_id_length: 0,
            retry: false,
        };
        assert_eq!(facts.hello, Some(expected));
        assert_eq!(facts.records, [RecordFact { kind: 22, length: 90 }]);
    }

    #[test]
    fn an_alert_reads_and_other_bytes_do_not() {
        let facts = TlsFacts::read(&[21, 3, 1, 0, 2, 2, 70]).unwrap();
        assert_eq!(facts.alert, Some((2, 70)));
        assert_eq!(TlsFacts::read(b"HTTP/1.1 400"), None);
        assert_eq!(TlsFacts::read(&[]), None);
    }

    #[test]
    fn every_cut_of_a_flight_is_read_without_harm() {
        let mut bytes = unhex(HELLO);
        bytes.extend([20, 3, 3, 0, 1, 1, 23, 3, 3, 0xff, 0xff, 0]);
        for cut in 0..bytes.len() {
            let facts = TlsFacts::read(&bytes[..cut]);
            assert_eq!(facts.is_some(), cut >= HEADER_BYTES, "{cut}");
        }
    }
}
