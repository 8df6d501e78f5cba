//! What requests and responses share: header fields, the hop-by-hop ones, and the framing of the body.

use super::body::Framing;

/// Longest head of a request or response, in bytes.
pub(crate) const MAX_HEAD_BYTES: usize = 16 * 1024;
/// Most header fields in a head.
pub(crate) const MAX_FIELDS: usize = 100;

/// Fields that end at the next hop (RFC 9110 §7.6.1). Transfer-Encoding is one too, but bodies are passed on in the
/// framing they came in, so it goes with them.
const HOP_BY_HOP: [&str; 7] = [
    "connection",
    "proxy-connection",
    "keep-alive",
    "te",
    "upgrade",
    "proxy-authenticate",
    "proxy-authorization",
];
/// Fields that a `Connection` header may not take away: without them the message would mean something else.
const PROTECTED: [&str; 3] = ["transfer-encoding", "content-length", "host"];

/// Why bytes are no head that we pass on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum HeadError {
    #[error("the head is longer than {MAX_HEAD_BYTES} bytes")]
    TooLong,
    #[error("the head is malformed")]
    Malformed,
    #[error("the request target is none that a proxy serves")]
    Target,
    #[error("the length of the body is ambiguous")]
    Framing,
}

/// Header fields in the order they came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Fields(Vec<(String, Vec<u8>)>);

impl Fields {
    pub(crate) fn from_parsed(parsed: &[httparse::Header<'_>]) -> Self {
        Self(parsed.iter().map(|field| (field.name.to_owned(), field.value.to_vec())).collect())
    }

    /// The values of all fields of this name.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        self.0.iter().filter(move |(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| &**value)
    }

    /// The comma-separated members of all fields of this name.
    pub(crate) fn list<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        self.all(name).flat_map(|value| value.split(|byte| *byte == b',')).map(<[u8]>::trim_ascii)
    }

    pub(crate) fn lists(&self, name: &str, member: &str) -> bool {
        self.list(name).any(|found| found.eq_ignore_ascii_case(member.as_bytes()))
    }

    /// Whether the connection should stay open after this message (RFC 9112 §9.3).
    pub(crate) fn keeps_alive(&self, minor: u8) -> bool {
        let says = |member| self.lists("connection", member) || self.lists("proxy-connection", member);
        if minor == 0 { says("keep-alive") && !says("close") } else { !says("close") }
    }

    /// Writes all fields but those that end here and those `skip` names.
    pub(crate) fn write_end_to_end(&self, skip: &[&str], out: &mut Vec<u8>) {
        for (name, value) in &self.0 {
            if !self.ends_here(name) && !skip.iter().any(|skipped| name.eq_ignore_ascii_case(skipped)) {
                write_field(name, value, out);
            }
        }
    }

    fn ends_here(&self, name: &str) -> bool {
        let named = |list: &[&str]| list.iter().any(|listed| name.eq_ignore_ascii_case(listed));
        named(&HOP_BY_HOP) || (self.lists("connection", name) && !named(&PROTECTED))
    }

    /// How the body is delimited, as far as the fields say (RFC 9112 §6.3); `None` when they say nothing. What could
    /// be read in two ways is refused: that is how requests are smuggled.
    pub(crate) fn framing(&self) -> Result<Option<Framing>, HeadError> {
        let mut encodings = self.list("transfer-encoding").peekable();
        if encodings.peek().is_some() {
            let only = encodings.next().unwrap_or_default();
            if encodings.next().is_some() || !only.eq_ignore_ascii_case(b"chunked") {
                return Err(HeadError::Framing);
            }
            return Ok(Some(Framing::Chunked));
        }
        let mut length = None;
        for value in self.list("content-length") {
            let digits = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
            let text = str::from_utf8(value).map_err(|_no_text| HeadError::Framing)?;
            let parsed = text.parse::<u64>().map_err(|_no_number| HeadError::Framing)?;
            if !digits || length.is_some_and(|earlier| earlier != parsed) {
                return Err(HeadError::Framing);
            }
            length = Some(parsed);
        }
        Ok(length.map(Framing::Length))
    }
}

pub(crate) fn write_field(name: &str, value: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(list: &[(&str, &str)]) -> Fields {
        Fields(list.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec())).collect())
    }

    #[test]
    fn fields_of_this_hop_end_here() {
        let head = fields(&[
            ("Host", "a"),
            ("Connection", "X-Secret, close, host"),
            ("x-secret", "1"),
            ("Proxy-Authorization", "Basic x"),
            ("Keep-Alive", "3"),
            ("TE", "trailers"),
            ("Upgrade", "h2c"),
            ("Accept", "*/*"),
            ("Transfer-Encoding", "chunked"),
        ]);
        let mut out = Vec::new();
        head.write_end_to_end(&[], &mut out);
        assert_eq!(out, b"Host: a\r\nAccept: */*\r\nTransfer-Encoding: chunked\r\n");
        assert!(!head.keeps_alive(1));
    }

    #[test]
    fn a_body_of_two_lengths_is_refused() {
        let framing = |list: &[(&str, &str)]| fields(list).framing();
        assert_eq!(framing(&[]), Ok(None));
        assert_eq!(framing(&[("content-length", "7")]), Ok(Some(Framing::Length(7))));
        assert_eq!(framing(&[("content-length", "7, 7")]), Ok(Some(Framing::Length(7))));
        assert_eq!(framing(&[("content-length", "7"), ("Content-Length", "8")]), Err(HeadError::Framing));
        for bad in ["+7", "-1", "", "0x7", "7 7", "99999999999999999999"] {
            assert_eq!(framing(&[("content-length", bad)]), Err(HeadError::Framing), "{bad}");
        }
        assert_eq!(framing(&[("transfer-encoding", "Chunked")]), Ok(Some(Framing::Chunked)));
        assert_eq!(framing(&[("transfer-encoding", "gzip, chunked")]), Err(HeadError::Framing));
        assert_eq!(framing(&[("transfer-encoding", "identity")]), Err(HeadError::Framing));
    }

    #[test]
    fn persistence_follows_the_version() {
        assert!(fields(&[]).keeps_alive(1));
        assert!(!fields(&[]).keeps_alive(0));
        assert!(fields(&[("Connection", "Keep-Alive")]).keeps_alive(0));
        assert!(!fields(&[("Proxy-Connection", "close")]).keeps_alive(1));
    }
}
