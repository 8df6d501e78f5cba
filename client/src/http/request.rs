//! Requests to the proxy: CONNECT, and plain requests with an absolute target.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use commucat_transport_api::{Host, HostPort};

use super::{
    body::Framing,
    head::{Fields, HeadError, MAX_FIELDS, MAX_HEAD_BYTES, write_field},
};
use crate::auth::Credentials;

const HTTP_PORT: u16 = 80;

/// The head of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) form: Form,
    /// The `1` of `HTTP/1.1`.
    pub(crate) minor: u8,
    pub(crate) fields: Fields,
    pub(crate) framing: Framing,
}

/// What the request target says (RFC 9112 §3.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// `CONNECT host:port`.
    Tunnel(HostPort),
    /// `GET http://host/path`.
    Absolute { authority: HostPort, host_field: String, path: String },
    /// `GET /path`: somebody takes us for a web server.
    Origin,
}

impl Request {
    /// Reads a head from the front of `input`; gives it with its length, `None` while it is incomplete.
    pub(crate) fn parse(input: &[u8]) -> Result<Option<(Self, usize)>, HeadError> {
        let window = input.get(..MAX_HEAD_BYTES).unwrap_or(input);
        let mut parsed = [httparse::EMPTY_HEADER; MAX_FIELDS];
        let mut request = httparse::Request::new(&mut parsed);
        let used = match request.parse(window) {
            Ok(httparse::Status::Complete(used)) => used,
            Ok(httparse::Status::Partial) if input.len() >= MAX_HEAD_BYTES => return Err(HeadError::TooLong),
            Ok(httparse::Status::Partial) => return Ok(None),
            Err(httparse::Error::TooManyHeaders) => return Err(HeadError::TooLong),
            Err(_malformed) => return Err(HeadError::Malformed),
        };
        let (Some(method), Some(target), Some(minor)) = (request.method, request.path, request.version)
        else {
            return Err(HeadError::Malformed);
        };
        let form = form(method, target)?;
        let fields = Fields::from_parsed(request.headers);
        let framing = request_framing(&fields)?;
        Ok(Some((Self { method: method.to_owned(), form, minor, fields, framing }, used)))
    }

    /// Whether the request carries the password.
    pub(crate) fn authorized(&self, credentials: &Credentials) -> bool {
        self.fields.all("proxy-authorization").any(|value| {
            let Some((scheme, encoded)) = value.split_at_checked(6) else { return false };
            let Ok(decoded) = STANDARD.decode(encoded.trim_ascii()) else { return false };
            let Some(at) = decoded.iter().position(|byte| *byte == b':') else { return false };
            let (user, password) = decoded.split_at(at);
            scheme.eq_ignore_ascii_case(b"basic ")
                && credentials.matches(user, password.get(1..).unwrap_or_default())
        })
    }

    /// The head for the origin server; `None` unless the target is absolute. No `Via` is added: it would tell every
    /// server that a proxy is used.
    pub(crate) fn for_origin(&self) -> Option<Vec<u8>> {
        let Form::Absolute { host_field, path, .. } = &self.form else { return None };
        let mut out = Vec::with_capacity(512);
        out.extend_from_slice(format!("{} {path} HTTP/1.{}\r\n", self.method, self.minor).as_bytes());
        write_field("Host", host_field.as_bytes(), &mut out);
        self.fields.write_end_to_end(&["host"], &mut out);
        out.extend_from_slice(b"\r\n");
        Some(out)
    }

    /// Whether the request may be sent again when a kept connection turns out to be dead.
    pub(crate) fn repeatable(&self) -> bool {
        self.framing == Framing::Empty && matches!(&*self.method, "GET" | "HEAD" | "OPTIONS")
    }
}

fn request_framing(fields: &Fields) -> Result<Framing, HeadError> {
    let framing = fields.framing()?;
    if framing == Some(Framing::Chunked) && fields.all("content-length").next().is_some() {
        return Err(HeadError::Framing);
    }
    Ok(match framing {
        None | Some(Framing::Length(0)) => Framing::Empty,
        Some(framing) => framing,
    })
}

fn form(method: &str, target: &str) -> Result<Form, HeadError> {
    if method == "CONNECT" {
        return target.parse().map(Form::Tunnel).map_err(|_bad_target| HeadError::Target);
    }
    if target.starts_with('/') || target == "*" {
        return Ok(Form::Origin);
    }
    let (scheme, rest) = target.split_once("://").ok_or(HeadError::Target)?;
    if !scheme.eq_ignore_ascii_case("http") {
        return Err(HeadError::Target);
    }
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (host_field, path) = rest.split_at_checked(end).ok_or(HeadError::Target)?;
    let path = path.split_once('#').map_or(path, |(path, _fragment)| path);
    let path = match path {
        "" if method == "OPTIONS" => "*".to_owned(),
        path if path.starts_with('/') => path.to_owned(),
        query => format!("/{query}"),
    };
    let authority = authority(host_field).ok_or(HeadError::Target)?;
    Ok(Form::Absolute { authority, host_field: host_field.to_owned(), path })
}

/// `host`, `host:port` or either with a bracketed v6 address; nobody puts a user name there.
fn authority(text: &str) -> Option<HostPort> {
    if let Ok(whole) = text.parse::<HostPort>() {
        return Some(whole);
    }
    let host = match text.strip_prefix('[') {
        Some(rest) => Host::Ip(rest.strip_suffix(']')?.parse::<std::net::Ipv6Addr>().ok()?.into()),
        None => Host::parse(text.strip_suffix(':').unwrap_or(text)).ok()?,
    };
    // A bare v6 address has no brackets: its last group would pass for a port elsewhere.
    let bare_v6 = matches!(host, Host::Ip(std::net::IpAddr::V6(_))) && !text.starts_with('[');
    (!bare_v6).then_some(HostPort { host, port: HTTP_PORT })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(text: &str) -> Result<Option<(Request, usize)>, HeadError> {
        Request::parse(text.as_bytes())
    }

    #[test]
    fn a_plain_request_is_rewritten_for_the_origin() {
        let text = "POST http://Example.org:8080/a?b#c HTTP/1.1\r\nHost: other\r\nProxy-Connection: keep-alive\r\n\
                    Content-Length: 3\r\nX-A: 1\r\n\r\nabc";
        let (request, used) = parse(text).unwrap().unwrap();
        assert_eq!(used, text.len() - 3);
        assert_eq!(request.framing, Framing::Length(3));
        let expected =
            "POST /a?b HTTP/1.1\r\nHost: Example.org:8080\r\nContent-Length: 3\r\nX-A: 1\r\n\r\n".as_bytes();
        assert_eq!(request.for_origin().unwrap(), expected);
        for cut in 0..used {
            assert_eq!(Request::parse(&text.as_bytes()[..cut]), Ok(None));
        }
    }

    #[test]
    fn targets_are_told_apart() {
        let form = |line: &str| parse(&format!("{line} HTTP/1.1\r\n\r\n")).map(|found| found.unwrap().0.form);
        assert_eq!(form("CONNECT a.b:443"), Ok(Form::Tunnel("a.b:443".parse().unwrap())));
        assert_eq!(form("CONNECT [::1]:443"), Ok(Form::Tunnel("[::1]:443".parse().unwrap())));
        assert_eq!(form("GET /x"), Ok(Form::Origin));
        for (line, authority, path) in [
            ("GET http://a", "a:80", "/"),
            ("GET HTTP://a/", "a:80", "/"),
            ("GET http://a?q", "a:80", "/?q"),
            ("OPTIONS http://a", "a:80", "*"),
            ("GET http://[::1]/x", "[::1]:80", "/x"),
            ("GET http://a:/x", "a:80", "/x"),
        ] {
            let Ok(Form::Absolute { authority: found, path: found_path, .. }) = form(line) else {
                panic!("{line}")
            };
            assert_eq!((found.to_string(), found_path), (authority.to_owned(), path.to_owned()), "{line}");
        }
        for line in [
            "CONNECT a",
            "GET https://a/",
            "GET ftp://a/",
            "GET a",
            "GET http:///x",
            "GET http://u@a/",
            "GET http://::1/",
        ] {
            assert_eq!(form(line), Err(HeadError::Target), "{line}");
        }
    }

    #[test]
    fn passwords_are_found() {
        let credentials = Credentials::parse("u:p:q").unwrap();
        let with = |value: &str| {
            let text = format!("GET http://a/ HTTP/1.1\r\nProxy-Authorization: {value}\r\n\r\n");
            parse(&text).unwrap().unwrap().0.authorized(&credentials)
        };
        assert!(with(&format!("basic {}", STANDARD.encode("u:p:q"))));
        assert!(!with(&format!("Basic {}", STANDARD.encode("u:p"))));
        assert!(!with("Basic %%%"));
        assert!(!with("Bearer x"));
        assert!(!with(""));
    }

    #[test]
    fn hostile_heads_are_errors() {
        assert_eq!(parse(&format!("GET http://a/{} ", "x".repeat(MAX_HEAD_BYTES))), Err(HeadError::TooLong));
        let many = "a: b\r\n".repeat(MAX_FIELDS + 1);
        assert_eq!(parse(&format!("GET http://a/ HTTP/1.1\r\n{many}\r\n")), Err(HeadError::TooLong));
        assert_eq!(parse("GET http://a/ HTTP/1.1\r\nA : b\r\n\r\n"), Err(HeadError::Malformed));
        let smuggle = "POST http://a/ HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n";
        assert_eq!(parse(smuggle), Err(HeadError::Framing));
    }

    proptest! {
        #[test]
        fn no_head_panics(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let mut text = b"GET http://a".to_vec();
            text.extend(&bytes);
            for input in [&text, &bytes] {
                if let Ok(Some((_, used))) = Request::parse(input) { prop_assert!(used <= input.len()); }
            }
        }
    }
}
