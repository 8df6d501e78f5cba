//! Reads a request head. Pure: bytes in, request or refusal out.

use crate::{HEAD_BYTES_MAX, HEADERS_MAX};

/// A request that this server may answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) method: Method,
    /// Without the query.
    pub(crate) path: String,
    /// What follows `?`.
    pub(crate) query: String,
    /// Bytes of body.
    pub(crate) body: u64,
    /// The peer waits for `100 Continue` before it sends the body (RFC 9110 §10.1.1).
    pub(crate) expects_continue: bool,
    /// The peer will send more requests.
    pub(crate) keep_alive: bool,
}

/// The methods that [`crate::wire`] knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    Get,
    Head,
    Post,
}

/// Why a request is not answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) status: Status,
    pub(crate) why: &'static str,
}

/// The statuses of refusals (RFC 9110 §15.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    BadRequest,
    NotFound,
    MethodNotAllowed,
    LengthRequired,
    TooLarge,
    HeadTooLarge,
}

/// What the bytes so far are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Head {
    /// More bytes are needed.
    Incomplete,
    /// A request, and how many bytes its head took.
    Complete(Request, usize),
}

impl Status {
    /// Code and reason phrase.
    pub(crate) const fn line(self) -> &'static str {
        match self {
            Self::BadRequest => "400 Bad Request",
            Self::NotFound => "404 Not Found",
            Self::MethodNotAllowed => "405 Method Not Allowed",
            Self::LengthRequired => "411 Length Required",
            Self::TooLarge => "413 Content Too Large",
            Self::HeadTooLarge => "431 Request Header Fields Too Large",
        }
    }
}

impl Refusal {
    pub(crate) const fn new(status: Status, why: &'static str) -> Self {
        Self { status, why }
    }
}

/// Reads one head from the front of `bytes`.
pub(crate) fn parse(bytes: &[u8]) -> Result<Head, Refusal> {
    let mut lines = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut parsed = httparse::Request::new(&mut lines);
    let length = match parsed.parse(bytes) {
        Ok(httparse::Status::Complete(length)) if length <= HEAD_BYTES_MAX => length,
        Ok(httparse::Status::Partial) if bytes.len() < HEAD_BYTES_MAX => return Ok(Head::Incomplete),
        Ok(_) => return Err(Refusal::new(Status::HeadTooLarge, "the request head is longer than 16 KiB")),
        Err(httparse::Error::TooManyHeaders) => {
            return Err(Refusal::new(Status::HeadTooLarge, "more than 64 header lines"));
        }
        Err(_) => return Err(Refusal::new(Status::BadRequest, "this is no HTTP/1.1 request")),
    };
    let method = method(parsed.method.unwrap_or_default())?;
    let target = parsed.path.unwrap_or_default();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let fields = Fields::read(parsed.headers)?;
    let body = match (method, fields.length) {
        (Method::Post, None) => {
            return Err(Refusal::new(Status::LengthRequired, "a body needs Content-Length"));
        }
        (Method::Get | Method::Head, Some(1..)) => {
            return Err(Refusal::new(Status::BadRequest, "GET and HEAD take no body"));
        }
        (_, length) => length.unwrap_or(0),
    };
    let request = Request {
        method,
        path: path.to_owned(),
        query: query.to_owned(),
        body,
        expects_continue: fields.expects_continue,
        keep_alive: parsed.version == Some(1) && !fields.close,
    };
    Ok(Head::Complete(request, length))
}

#[derive(Default)]
struct Fields {
    length: Option<u64>,
    expects_continue: bool,
    close: bool,
}

impl Fields {
    fn read(lines: &[httparse::Header<'_>]) -> Result<Self, Refusal> {
        let mut fields = Self::default();
        for line in lines {
            if line.name.eq_ignore_ascii_case("content-length") {
                if fields.length.is_some() {
                    return Err(Refusal::new(Status::BadRequest, "two Content-Length lines"));
                }
                fields.length = Some(content_length(line.value)?);
            } else if line.name.eq_ignore_ascii_case("transfer-encoding") {
                return Err(Refusal::new(
                    Status::LengthRequired,
                    "send Content-Length, not Transfer-Encoding",
                ));
            } else if line.name.eq_ignore_ascii_case("expect") {
                fields.expects_continue = line.value.eq_ignore_ascii_case(b"100-continue");
            } else if line.name.eq_ignore_ascii_case("connection") {
                fields.close |= line
                    .value
                    .split(|byte| *byte == b',')
                    .any(|option| option.trim_ascii().eq_ignore_ascii_case(b"close"));
            }
        }
        Ok(fields)
    }
}

fn method(name: &str) -> Result<Method, Refusal> {
    match name {
        "GET" => Ok(Method::Get),
        "HEAD" => Ok(Method::Head),
        "POST" => Ok(Method::Post),
        _ => Err(Refusal::new(Status::MethodNotAllowed, "only GET, HEAD and POST are answered")),
    }
}

/// RFC 9110 §8.6: digits only. `u64::from_str` alone would take a sign.
fn content_length(value: &[u8]) -> Result<u64, Refusal> {
    let digits = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
    let text = std::str::from_utf8(value).ok().filter(|_| digits);
    text.and_then(|text| text.parse().ok())
        .ok_or(Refusal::new(Status::BadRequest, "Content-Length is no number"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn refused(head: &str) -> Status {
        parse(head.as_bytes()).unwrap_err().status
    }

    #[test]
    fn a_request_is_read_at_its_last_byte() {
        let head =
            b"POST /sink?a=1 HTTP/1.1\r\nHost: x\r\nContent-Length: 12\r\nExpect: 100-continue\r\n\r\nbody";
        let end = head.len() - 4;
        for cut in 0..end {
            assert_eq!(parse(&head[..cut]), Ok(Head::Incomplete), "{cut}");
        }
        let Ok(Head::Complete(request, length)) = parse(head) else { panic!("no request") };
        assert_eq!(length, end);
        assert_eq!(request.method, Method::Post);
        assert_eq!((request.path.as_str(), request.query.as_str(), request.body), ("/sink", "a=1", 12));
        assert!(request.expects_continue && request.keep_alive);
    }

    #[test]
    fn who_wants_to_close_says_so() {
        let keeps = |head: &str| match parse(head.as_bytes()) {
            Ok(Head::Complete(request, _)) => request.keep_alive,
            other => panic!("{other:?}"),
        };
        assert!(keeps("GET / HTTP/1.1\r\n\r\n"));
        assert!(!keeps("GET / HTTP/1.1\r\nConnection: foo, Close\r\n\r\n"));
        assert!(!keeps("GET / HTTP/1.0\r\n\r\n"));
    }

    #[test]
    fn what_two_readers_could_read_differently_is_refused() {
        assert_eq!(refused("POST / HTTP/1.1\r\n\r\n"), Status::LengthRequired);
        assert_eq!(refused("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"), Status::LengthRequired);
        assert_eq!(refused("GET / HTTP/1.1\r\nContent-Length: 5\r\n\r\n"), Status::BadRequest);
        for length in ["+5", "-1", "", "5 5", "0x5", "99999999999999999999"] {
            let head = format!("POST / HTTP/1.1\r\nContent-Length: {length}\r\n\r\n");
            assert_eq!(refused(&head), Status::BadRequest, "{length}");
        }
        let twice = "POST / HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n";
        assert_eq!(refused(twice), Status::BadRequest);
        assert_eq!(refused("DELETE / HTTP/1.1\r\n\r\n"), Status::MethodNotAllowed);
        assert_eq!(refused("GET / HTTP/1.1\r\nno colon\r\n\r\n"), Status::BadRequest);
    }

    #[test]
    fn a_head_is_limited() {
        let long = format!("GET / HTTP/1.1\r\nA: {}", "x".repeat(HEAD_BYTES_MAX));
        assert_eq!(refused(&long), Status::HeadTooLarge);
        let many = format!("GET / HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(HEADERS_MAX + 1));
        assert_eq!(refused(&many), Status::HeadTooLarge);
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..512)) {
            let _any = parse(&bytes);
            let mut request = b"GET / HTTP/1.1\r\n".to_vec();
            request.extend(bytes);
            let _any = parse(&request);
        }
    }
}
