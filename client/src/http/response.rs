//! Responses of origin servers on their way back.

use super::{
    body::Framing,
    head::{Fields, HeadError, MAX_FIELDS, MAX_HEAD_BYTES},
};

/// The head of a response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) framing: Framing,
    /// Whether the server keeps its connection open.
    pub(crate) keeps_alive: bool,
    minor: u8,
    reason: String,
    fields: Fields,
}

impl Response {
    /// Reads the head of a response to a request of that method; gives it with its length, `None` while incomplete.
    pub(crate) fn parse(input: &[u8], method: &str) -> Result<Option<(Self, usize)>, HeadError> {
        let window = input.get(..MAX_HEAD_BYTES).unwrap_or(input);
        let mut parsed = [httparse::EMPTY_HEADER; MAX_FIELDS];
        let mut response = httparse::Response::new(&mut parsed);
        let used = match response.parse(window) {
            Ok(httparse::Status::Complete(used)) => used,
            Ok(httparse::Status::Partial) if input.len() >= MAX_HEAD_BYTES => return Err(HeadError::TooLong),
            Ok(httparse::Status::Partial) => return Ok(None),
            Err(httparse::Error::TooManyHeaders) => return Err(HeadError::TooLong),
            Err(_malformed) => return Err(HeadError::Malformed),
        };
        let (Some(status), Some(minor)) = (response.code, response.version) else {
            return Err(HeadError::Malformed);
        };
        let reason = response.reason.unwrap_or_default().to_owned();
        let fields = Fields::from_parsed(response.headers);
        let framing = framing(status, method, &fields)?;
        let keeps_alive = fields.keeps_alive(minor) && framing != Framing::UntilClose;
        Ok(Some((Self { status, framing, keeps_alive, minor, reason, fields }, used)))
    }

    /// Whether another response to the same request follows.
    pub(crate) const fn interim(&self) -> bool {
        self.status >= 100 && self.status < 200 && self.status != 101
    }

    /// The head for the client.
    pub(crate) fn for_client(&self, close: bool) -> Vec<u8> {
        let mut out = Vec::with_capacity(512);
        out.extend_from_slice(
            format!("HTTP/1.{} {} {}\r\n", self.minor, self.status, self.reason).as_bytes(),
        );
        // A length beside a chunked body is wrong and must not be passed on (RFC 9112 §6.3).
        let skip: &[_] = if self.framing == Framing::Chunked { &["content-length"] } else { &[] };
        self.fields.write_end_to_end(skip, &mut out);
        if close && !self.interim() {
            out.extend_from_slice(b"Connection: close\r\n");
        }
        out.extend_from_slice(b"\r\n");
        out
    }
}

/// RFC 9112 §6.3, rules 1, 2 and 8 first: what has no body whatever its fields say.
fn framing(status: u16, method: &str, fields: &Fields) -> Result<Framing, HeadError> {
    let bodyless = method == "HEAD" || matches!(status, 100..=199 | 204 | 304);
    if bodyless {
        return Ok(Framing::Empty);
    }
    Ok(match fields.framing()? {
        None => Framing::UntilClose,
        Some(Framing::Length(0)) => Framing::Empty,
        Some(framing) => framing,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(text: &str, method: &str) -> Response {
        Response::parse(text.as_bytes(), method).unwrap().unwrap().0
    }

    #[test]
    fn bodies_are_framed_as_the_rfc_says() {
        let framing = |text: &str, method: &str| parse(text, method).framing;
        assert_eq!(framing("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", "GET"), Framing::Length(5));
        assert_eq!(framing("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", "HEAD"), Framing::Empty);
        assert_eq!(framing("HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", "GET"), Framing::Empty);
        assert_eq!(framing("HTTP/1.1 200 OK\r\n\r\n", "GET"), Framing::UntilClose);
        assert_eq!(framing("HTTP/1.1 204 No Content\r\n\r\n", "GET"), Framing::Empty);
        assert!(parse("HTTP/1.1 100 Continue\r\n\r\n", "POST").interim());
        assert!(!parse("HTTP/1.1 101 Switching Protocols\r\n\r\n", "GET").interim());
        assert!(!parse("HTTP/1.1 200 OK\r\n\r\n", "GET").keeps_alive);
        assert!(!parse("HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\n", "GET").keeps_alive);
        assert!(parse("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n", "GET").keeps_alive);
    }

    #[test]
    fn the_head_is_rewritten_for_the_client() {
        let text = "HTTP/1.1 200 Fine\r\nTransfer-Encoding: chunked\r\nContent-Length: 9\r\nConnection: x-hop\r\n\
                    X-Hop: 1\r\nX-A: b\r\n\r\n";
        let head = parse(text, "GET").for_client(true);
        let expected =
            "HTTP/1.1 200 Fine\r\nTransfer-Encoding: chunked\r\nX-A: b\r\nConnection: close\r\n\r\n";
        assert_eq!(String::from_utf8(head).unwrap(), expected);
    }

    proptest! {
        #[test]
        fn no_head_panics(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let mut text = b"HTTP/1.1 ".to_vec();
            text.extend(&bytes);
            if let Ok(Some((_, used))) = Response::parse(&text, "GET") { prop_assert!(used <= text.len()); }
        }
    }
}
