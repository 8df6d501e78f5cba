//! An answer read as HTTP/1: status, fields and body, without what differs each time.

use serde::Serialize;

use super::{digest, steady};

/// Most fields that are read of an answer.
const MAX_FIELDS: usize = 64;
/// Fields whose values tell only when the answer was made, or when the page was.
const TIMES: [&str; 4] = ["date", "expires", "last-modified", "age"];

/// What an HTTP/1 answer says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct HttpFacts {
    /// The status code.
    pub status: u16,
    /// The reason phrase.
    pub reason: String,
    /// The fields as they were spelt and ordered, with steady values.
    pub fields: Vec<String>,
    /// Bytes after the head.
    pub body_length: usize,
    /// Digest of the steady body, in hexadecimal.
    pub body_digest: String,
}

impl HttpFacts {
    /// Reads an answer; `None` when the bytes begin with no complete HTTP/1 head.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
        let mut response = httparse::Response::new(&mut fields);
        let Ok(httparse::Status::Complete(head)) = response.parse(bytes) else { return None };
        let body = bytes.get(head..).unwrap_or_default();
        Some(Self {
            status: response.code?,
            reason: response.reason.unwrap_or_default().to_owned(),
            fields: response.headers.iter().map(|field| line(field.name, field.value)).collect(),
            body_length: body.len(),
            body_digest: digest(&steady(body)),
        })
    }

    /// Everything that is compared, as bytes for a digest.
    pub(crate) fn canonical(&self) -> Vec<u8> {
        format!("{} {}\n{}\n{}", self.status, self.reason, self.fields.join("\n"), self.body_digest)
            .into_bytes()
    }
}

fn line(name: &str, value: &[u8]) -> String {
    let lower = name.to_ascii_lowercase();
    if TIMES.contains(&&*lower) {
        return format!("{name}: <time>");
    }
    let value = String::from_utf8_lossy(&steady(value)).into_owned();
    if lower == "set-cookie" {
        return format!("{name}: {}", cookie(&value));
    }
    format!("{name}: {value}")
}

/// `name=value; Path=/` without the value.
fn cookie(value: &str) -> String {
    let (pair, attributes) = value.split_once(';').unwrap_or((value, ""));
    let name = pair.split_once('=').map_or(pair, |(name, _value)| name);
    format!("{name}=<value>;{attributes}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_each_time_is_gone() {
        let answer = |date: &str, id: &str, cookie: &str| {
            let text = format!(
                "HTTP/1.1 404 Not Found\r\nServer: x\r\nDate: {date}\r\nX-Request-Id: {id}\r\n\
                 Set-Cookie: sid={cookie}; Path=/\r\n\r\nlost {id}"
            );
            HttpFacts::read(text.as_bytes()).unwrap()
        };
        let one = answer("Sat, 21 Nov 2026 10:00:00 GMT", "0123456789abcdef0123456789abcdef", "u7Gh");
        let other = answer("Sat, 21 Nov 2026 10:00:01 GMT", "fedcba9876543210fedcba9876543210", "9kk_");
        assert_eq!(one, other);
        assert_eq!(one.status, 404);
        assert_eq!(
            one.fields,
            ["Server: x", "Date: <time>", "X-Request-Id: <id>", "Set-Cookie: sid=<value>; Path=/"]
        );
    }

    #[test]
    fn what_is_no_head_is_none() {
        for bytes in
            [&b""[..], b"SSH-2.0-x\r\n", b"HTTP/1.1 200 OK\r\nServer: cut", &[0x15, 3, 3, 0, 2, 2, 70]]
        {
            assert_eq!(HttpFacts::read(bytes), None);
        }
    }
}
