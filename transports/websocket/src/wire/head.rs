//! Heads of HTTP/1.x messages (RFC 9112), bounded and without guessing.

use bytes::BytesMut;

/// Longest head of a request or response, in bytes.
pub(crate) const MAX_HEAD_BYTES: usize = 8 * 1024;
/// Most header fields of one head.
pub(crate) const MAX_FIELDS: usize = 100;

/// Why bytes are no head.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum HeadError {
    #[error("the head is longer than 8 KiB or has more than 100 fields")]
    TooBig,
    #[error("the bytes are no HTTP/1 head")]
    Malformed,
}

/// Header fields in the order they came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Fields(Vec<(String, Vec<u8>)>);

impl Fields {
    /// The first field of that name.
    pub(crate) fn get(&self, name: &str) -> Option<&[u8]> {
        self.0.iter().find(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| &value[..])
    }

    /// All values of that name.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        self.0.iter().filter(move |(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| &value[..])
    }

    /// Whether a comma-separated field holds this token, in any case.
    pub(crate) fn has_token(&self, name: &str, token: &str) -> bool {
        self.all(name)
            .flat_map(|value| value.split(|&byte| byte == b','))
            .any(|part| part.trim_ascii().eq_ignore_ascii_case(token.as_bytes()))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.0.iter().map(|(name, value)| (name.as_str(), &value[..]))
    }
}

/// The head of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RequestHead {
    pub(crate) method: String,
    /// The request target as it stood on the line.
    pub(crate) target: String,
    /// 0 or 1 of HTTP/1.x.
    pub(crate) minor: u8,
    pub(crate) fields: Fields,
}

/// The head of a response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ResponseHead {
    pub(crate) status: u16,
    pub(crate) reason: String,
    pub(crate) fields: Fields,
}

/// How long the body behind a head is (RFC 9112 §6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Body {
    Length(u64),
    Chunked,
    /// Responses only.
    UntilClose,
}

impl RequestHead {
    /// The path without the query.
    pub(crate) fn path(&self) -> &str {
        self.target.split_once('?').map_or(self.target.as_str(), |(path, _)| path)
    }

    /// How long the request's body is.
    ///
    /// # Errors
    /// Two lengths, or a length that is none: how requests are smuggled.
    pub(crate) fn body(&self) -> Result<Body, HeadError> {
        Ok(body(&self.fields)?.unwrap_or(Body::Length(0)))
    }

    /// Whether the client wants the connection to stay (RFC 9112 §9.3).
    pub(crate) fn keeps_alive(&self) -> bool {
        !self.fields.has_token("Connection", "close")
            && (self.minor >= 1 || self.fields.has_token("Connection", "keep-alive"))
    }

    /// Whether it asks to become a WebSocket (or an HTTP upgrade without one).
    pub(crate) fn asks_upgrade(&self) -> bool {
        self.method == "GET"
            && self.minor >= 1
            && self.fields.has_token("Connection", "upgrade")
            && self.fields.has_token("Upgrade", "websocket")
    }
}

impl ResponseHead {
    /// How long the body of a response to that method is.
    ///
    /// # Errors
    /// As [`RequestHead::body`].
    pub(crate) fn body(&self, method: &str) -> Result<Body, HeadError> {
        if method == "HEAD" || matches!(self.status, 100..=199 | 204 | 304) {
            return Ok(Body::Length(0));
        }
        Ok(body(&self.fields)?.unwrap_or(Body::UntilClose))
    }
}

fn body(fields: &Fields) -> Result<Option<Body>, HeadError> {
    let chunked = fields.get("Transfer-Encoding").is_some();
    let mut lengths = fields.all("Content-Length");
    let length = match (lengths.next(), lengths.next()) {
        (None, _) => return Ok(chunked.then_some(Body::Chunked)),
        (Some(length), None) if !chunked => length,
        _ => return Err(HeadError::Malformed),
    };
    let digits =
        std::str::from_utf8(length).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    let length = digits.and_then(|digits| digits.parse().ok()).ok_or(HeadError::Malformed)?;
    Ok(Some(Body::Length(length)))
}

/// Takes a whole request head from the front of `input`; `None` when it is not all there yet.
///
/// # Errors
/// The bytes cannot become one within the limits.
pub(crate) fn take_request(input: &mut BytesMut) -> Result<Option<RequestHead>, HeadError> {
    let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
    let mut request = httparse::Request::new(&mut fields);
    let Some(length) = complete(request.parse(input), input.len())? else { return Ok(None) };
    let (Some(method), Some(target), Some(minor)) = (request.method, request.path, request.version) else {
        return Err(HeadError::Malformed);
    };
    let head = RequestHead {
        method: method.to_owned(),
        target: target.to_owned(),
        minor,
        fields: collect(request.headers),
    };
    drop(input.split_to(length));
    Ok(Some(head))
}

/// Takes a whole response head from the front of `input`; `None` when it is not all there yet.
///
/// # Errors
/// The bytes cannot become one within the limits.
pub(crate) fn take_response(input: &mut BytesMut) -> Result<Option<ResponseHead>, HeadError> {
    let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
    let mut response = httparse::Response::new(&mut fields);
    let Some(length) = complete(response.parse(input), input.len())? else { return Ok(None) };
    let Some(status) = response.code else { return Err(HeadError::Malformed) };
    let head = ResponseHead {
        status,
        reason: response.reason.unwrap_or_default().to_owned(),
        fields: collect(response.headers),
    };
    drop(input.split_to(length));
    Ok(Some(head))
}

fn complete(parsed: httparse::Result<usize>, seen: usize) -> Result<Option<usize>, HeadError> {
    match parsed {
        Ok(httparse::Status::Complete(length)) if length <= MAX_HEAD_BYTES => Ok(Some(length)),
        Ok(httparse::Status::Partial) if seen <= MAX_HEAD_BYTES => Ok(None),
        Ok(_) | Err(httparse::Error::TooManyHeaders) => Err(HeadError::TooBig),
        Err(_) => Err(HeadError::Malformed),
    }
}

fn collect(fields: &[httparse::Header<'_>]) -> Fields {
    Fields(fields.iter().map(|field| (field.name.to_owned(), field.value.to_vec())).collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const REQUEST: &[u8] =
        b"GET /a/b?c=1 HTTP/1.1\r\nHost: x\r\nConnection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n\r\n";

    #[test]
    fn a_request_is_taken_at_every_cut() {
        for cut in 0..REQUEST.len() {
            let mut input = BytesMut::from(&REQUEST[..cut]);
            assert_eq!(take_request(&mut input), Ok(None));
            assert_eq!(input.len(), cut, "nothing is consumed");
        }
        let mut input = BytesMut::from(REQUEST);
        input.extend_from_slice(b"rest");
        let head = take_request(&mut input).unwrap().unwrap();
        assert_eq!((head.method.as_str(), head.path(), head.minor), ("GET", "/a/b", 1));
        assert!(head.asks_upgrade() && head.keeps_alive());
        assert_eq!(&input[..], b"rest");
    }

    #[test]
    fn limits_hold() {
        let long = [b"GET / HTTP/1.1\r\nA: ".as_slice(), &[b'x'; MAX_HEAD_BYTES]].concat();
        assert_eq!(take_request(&mut BytesMut::from(&long[..])), Err(HeadError::TooBig));
        let many = [b"GET / HTTP/1.1\r\n".as_slice(), &b"A: b\r\n".repeat(MAX_FIELDS + 1), b"\r\n"].concat();
        assert_eq!(take_request(&mut BytesMut::from(&many[..])), Err(HeadError::TooBig));
        assert_eq!(
            take_request(&mut BytesMut::from(&b"\x16\x03\x01\x02\x00"[..])),
            Err(HeadError::Malformed)
        );
    }

    #[test]
    fn smuggled_lengths_are_refused() {
        let with = |fields: &str| {
            let text = format!("POST / HTTP/1.1\r\n{fields}\r\n");
            take_request(&mut BytesMut::from(text.as_bytes())).unwrap().unwrap().body()
        };
        assert_eq!(with(""), Ok(Body::Length(0)));
        assert_eq!(with("Content-Length: 12\r\n"), Ok(Body::Length(12)));
        assert_eq!(with("Transfer-Encoding: chunked\r\n"), Ok(Body::Chunked));
        for bad in [
            "Content-Length: 1\r\nContent-Length: 2\r\n",
            "Content-Length: +1\r\n",
            "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n",
        ] {
            assert_eq!(with(bad), Err(HeadError::Malformed), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn garbage_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            drop(take_request(&mut BytesMut::from(&bytes[..])));
            drop(take_response(&mut BytesMut::from(&bytes[..])));
        }
    }
}
