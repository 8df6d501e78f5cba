//! Heads of HTTP/1.x as a box on the path reads them: leniently, as far as they are there, and without a copy.

/// Bytes of a head that are looked at; what comes later is not seen, as in real boxes.
pub const MAX_HEAD_BYTES: usize = 16 << 10;
/// Header lines of a head that are looked at.
pub const MAX_HEADERS: usize = 128;
const MAX_METHOD_BYTES: usize = 24;

/// The head of a request, perhaps not all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestHead<'a> {
    /// The method.
    pub method: &'a str,
    /// The target as sent: a path, an absolute URI, or host and port of CONNECT. Cut off when the line is not whole.
    pub target: &'a str,
    /// The host: of an absolute URI or of CONNECT, else the Host header's, without port. Only when the end of it is
    /// there.
    pub host: Option<&'a str>,
    /// Whether the empty line that ends the head is there.
    pub complete: bool,
    headers: &'a [u8],
}

impl<'a> RequestHead<'a> {
    /// The path without scheme and host.
    pub fn path(&self) -> &'a str {
        let Some((_scheme, rest)) = self.target.split_once("://") else { return self.target };
        rest.find('/').and_then(|at| rest.get(at..)).unwrap_or("/")
    }

    /// The value of the first header of that name, in any case, once its line is whole.
    pub fn header(&self, name: &str) -> Option<&'a str> {
        header(self.headers, name)
    }
}

/// The head of a response, perhaps not all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResponseHead<'a> {
    /// The status code, 100 to 999.
    pub status: u16,
    /// The reason phrase, often empty.
    pub reason: &'a str,
    /// Length of the head with its empty line; `None` while that is not there.
    pub head_len: Option<usize>,
    headers: &'a [u8],
}

impl<'a> ResponseHead<'a> {
    /// The value of the first header of that name, in any case, once its line is whole.
    pub fn header(&self, name: &str) -> Option<&'a str> {
        header(self.headers, name)
    }
}

/// Reads a request at the beginning of a stream. `None` for what cannot be HTTP/1.x; a method and a space are enough
/// for an answer.
pub fn request_head(stream: &[u8]) -> Option<RequestHead<'_>> {
    let head = head(stream);
    let method_len = head.iter().take(MAX_METHOD_BYTES + 1).position(|byte| *byte == b' ')?;
    let (method, rest) = head.split_at_checked(method_len)?;
    if method.is_empty() || !method.iter().all(u8::is_ascii_uppercase) {
        return None;
    }
    let (line, headers) = first_line(rest.get(1..)?);
    let line_is_whole = rest.contains(&b'\n');
    let (target, version) = line.iter().position(|byte| *byte == b' ').map_or((line, None), |at| {
        let (target, version) = line.split_at_checked(at).unwrap_or((line, &[]));
        (target, version.get(1..))
    });
    if version.is_some_and(|version| !is_version(version)) {
        return None;
    }
    let method = str::from_utf8(method).ok()?;
    let target = str::from_utf8(target).ok()?;
    let named = if method == "CONNECT" { Some(target) } else { authority(target) };
    let named = named.filter(|_host| line_is_whole || version.is_some());
    let host = named.or_else(|| header(headers, "host")).map(without_port);
    Some(RequestHead { method, target, host, complete: end_of_head(stream).is_some(), headers })
}

/// Reads a response at the beginning of a stream. `None` for what does not begin with a whole HTTP/1.x status code.
pub fn response_head(stream: &[u8]) -> Option<ResponseHead<'_>> {
    let (line, headers) = first_line(head(stream));
    let rest = line.strip_prefix(b"HTTP/1.")?;
    let [_minor, b' ', code @ ..] = rest else { return None };
    let (digits, reason) = code.split_at_checked(3)?;
    let status = str::from_utf8(digits).ok()?.parse().ok().filter(|status| *status >= 100)?;
    let reason = str::from_utf8(reason.strip_prefix(b" ").unwrap_or(reason)).unwrap_or_default().trim_end();
    Some(ResponseHead { status, reason, head_len: end_of_head(stream), headers })
}

/// The first line without its end, and what follows it. A carriage return ends a line only before a line feed.
fn first_line(bytes: &[u8]) -> (&[u8], &[u8]) {
    let Some(at) = bytes.iter().position(|byte| *byte == b'\n') else { return (bytes, &[]) };
    let line = bytes.get(..at).unwrap_or_default();
    (line.strip_suffix(b"\r").unwrap_or(line), bytes.get(at + 1..).unwrap_or_default())
}

fn head(stream: &[u8]) -> &[u8] {
    let length = end_of_head(stream).unwrap_or(stream.len()).min(MAX_HEAD_BYTES);
    stream.get(..length).unwrap_or(stream)
}

/// Length of the head with its empty line.
fn end_of_head(stream: &[u8]) -> Option<usize> {
    let stream = stream.get(..MAX_HEAD_BYTES).unwrap_or(stream);
    let mut from = 0;
    loop {
        let line_end = from + stream.get(from..)?.iter().position(|byte| *byte == b'\n')?;
        if matches!(stream.get(from..line_end), Some([] | [b'\r'])) && from > 0 {
            return Some(line_end + 1);
        }
        from = line_end + 1;
    }
}

fn header<'a>(mut lines: &'a [u8], name: &str) -> Option<&'a str> {
    for _line in 0..MAX_HEADERS {
        let (line, rest) = first_line(lines);
        // An empty line ends the head; a line that is cut off may go on.
        if line.is_empty() || !lines.contains(&b'\n') {
            return None;
        }
        let colon = line.iter().position(|byte| *byte == b':').unwrap_or(line.len());
        if line.get(..colon)?.eq_ignore_ascii_case(name.as_bytes()) {
            return str::from_utf8(line.get(colon + 1..)?).ok().map(str::trim);
        }
        lines = rest;
    }
    None
}

fn is_version(version: &[u8]) -> bool {
    let most = b"HTTP/1.";
    version.starts_with(most) || most.starts_with(version)
}

/// The host and port of an absolute URI.
fn authority(target: &str) -> Option<&str> {
    let (scheme, rest) = target.split_once("://")?;
    let known = scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https");
    let authority = rest.split(['/', '?', '#']).next()?;
    known.then(|| authority.rsplit_once('@').map_or(authority, |(_user, host)| host))
}

fn without_port(host: &str) -> &str {
    if let Some(rest) = host.strip_prefix('[') {
        return rest.split_once(']').map_or(rest, |(inside, _port)| inside);
    }
    host.split_once(':').map_or(host, |(name, _port)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_in_pieces() {
        let whole = b"GET /path?q HTTP/1.1\r\nAccept: */*\r\nhOST:  blocked.example:8080 \r\n\r\nbody";
        for length in 0..whole.len() {
            let seen = request_head(&whole[..length]);
            assert_eq!(seen.is_some(), length >= 4, "{length}");
        }
        let seen = request_head(whole).unwrap();
        assert_eq!((seen.method, seen.target, seen.path()), ("GET", "/path?q", "/path?q"));
        assert_eq!((seen.host, seen.complete), (Some("blocked.example"), true));
        assert_eq!(seen.header("accept"), Some("*/*"));
        assert_eq!(seen.header("body"), None);
        let cut = request_head(&whole[..whole.len() - 12]).unwrap();
        assert_eq!((cut.host, cut.header("accept")), (None, Some("*/*")));
        assert_eq!(request_head(b"GET http://a.exam").unwrap().host, None);
        assert_eq!(request_head(b"GET http://a.exam HTTP").unwrap().host, Some("a.exam"));
        let without_end = request_head(&whole[..whole.len() - 6]).unwrap();
        assert_eq!((without_end.host, without_end.complete), (Some("blocked.example"), false));
    }

    #[test]
    fn other_forms_of_the_target() {
        let host = |text: &'static str| request_head(text.as_bytes()).and_then(|head| head.host);
        assert_eq!(
            host("GET http://user@a.example:80/x HTTP/1.1\r\nHost: b.example\r\n\r\n"),
            Some("a.example")
        );
        assert_eq!(host("CONNECT c.example:443 HTTP/1.1\r\n\r\n"), Some("c.example"));
        assert_eq!(host("GET / HTTP/1.1\r\nHost: [2001:db8::1]:80\r\n\r\n"), Some("2001:db8::1"));
        assert_eq!(host("GET / HTTP/1.0\n\n"), None);
        assert_eq!(request_head(b"GET http://a.example").unwrap().path(), "/");
        assert_eq!(request_head(b"GET http://a.example/p").unwrap().path(), "/p");
    }

    #[test]
    fn what_is_no_http() {
        for text in [
            "",
            "GET",
            " / HTTP/1.1",
            "get / HTTP/1.1",
            "GET / SIP/2.0\r\n",
            "SSH-2.0-x y",
            "G\x7fT /",
            "GET / \r",
        ] {
            assert_eq!(request_head(text.as_bytes()), None, "{text}");
        }
        for text in
            ["HTTP/1.1 ", "HTTP/1.1 20", "HTTP/2 200", "HTTP/1.1 099 x", "HTTP/1.1 abc", "http/1.1 200"]
        {
            assert_eq!(response_head(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn a_response() {
        let text = b"HTTP/1.1 403 Not for you\r\nServer: x\r\nContent-Length: 2\r\n\r\nno";
        let seen = response_head(text).unwrap();
        assert_eq!((seen.status, seen.reason, seen.head_len), (403, "Not for you", Some(text.len() - 2)));
        assert_eq!(seen.header("content-length"), Some("2"));
        let cut = response_head(&text[..20]).unwrap();
        assert_eq!((cut.status, cut.head_len), (403, None));
    }
}
