//! The upgrade request as Chrome writes it, and the answer to it.
//!
//! Order, case and values are those of Chromium 156 on TLS (`tests/data/chromium-156-upgrade.txt`), with the name of
//! the release build in the user agent. What the `raw` mode has no use for (`Sec-WebSocket-Key`, `-Version`,
//! `-Extensions`) it leaves out, so that nothing on the way expects frames behind the answer.

use std::fmt::Write as _;

use base64::{Engine, engine::general_purpose::STANDARD};

/// What Chrome on Windows calls itself; it shows the major version only.
pub(crate) const USER_AGENT: &str = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) \
                                     Chrome/156.0.0.0 Safari/537.36";

const ACCEPT_GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// What goes over the stream behind the 101.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Mode {
    /// WebSocket frames.
    Ws,
    /// Bare bytes: an HTTP upgrade without WebSocket.
    Raw,
}

/// The parts of an upgrade request.
#[derive(Clone, Debug)]
pub(crate) struct UpgradeRequest<'a> {
    pub(crate) host: &'a str,
    pub(crate) path: &'a str,
    pub(crate) mode: Mode,
    /// Whether the origin is `https`.
    pub(crate) secure: bool,
    /// The random key, base64 (RFC 6455 §4.1).
    pub(crate) key: &'a str,
    /// Whether to offer `permessage-deflate` as Chrome does. Our server never takes it; a foreign one might.
    pub(crate) offer_deflate: bool,
    /// Token and early data, base64url.
    pub(crate) protocol: Option<&'a str>,
}

impl UpgradeRequest<'_> {
    /// The head as it goes out.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let Self { host, path, .. } = self;
        let scheme = if self.secure { "https" } else { "http" };
        let encodings = if self.secure { "gzip, deflate, br, zstd" } else { "gzip, deflate" };
        let frames = self.mode == Mode::Ws;
        let mut head = format!(
            "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nPragma: no-cache\r\n\
             Cache-Control: no-cache\r\nUser-Agent: {USER_AGENT}\r\nUpgrade: websocket\r\nOrigin: {scheme}://{host}\r\n"
        );
        if frames {
            head.push_str("Sec-WebSocket-Version: 13\r\n");
        }
        push_field(&mut head, "Accept-Encoding", encodings);
        push_field(&mut head, "Accept-Language", "en-US,en;q=0.9");
        if frames {
            push_field(&mut head, "Sec-WebSocket-Key", self.key);
        }
        if frames && self.offer_deflate {
            push_field(&mut head, "Sec-WebSocket-Extensions", "permessage-deflate; client_max_window_bits");
        }
        if let Some(protocol) = self.protocol {
            push_field(&mut head, "Sec-WebSocket-Protocol", protocol);
        }
        head.push_str("\r\n");
        head.into_bytes()
    }
}

/// The 101. Without a key it is the answer to a `raw` upgrade.
pub(crate) fn switching_protocols(
    key: Option<&str>,
    protocol: Option<&str>,
    date: &str,
    id: &str,
) -> Vec<u8> {
    let mut head = format!(
        "HTTP/1.1 101 Switching Protocols\r\nDate: {date}\r\nConnection: upgrade\r\nUpgrade: websocket\r\n"
    );
    if let Some(key) = key {
        push_field(&mut head, "Sec-WebSocket-Accept", &accept(key.as_bytes()));
    }
    if let Some(protocol) = protocol {
        push_field(&mut head, "Sec-WebSocket-Protocol", protocol);
    }
    push_field(&mut head, super::verdict::ID_HEADER, id);
    head.push_str("\r\n");
    head.into_bytes()
}

/// What `Sec-WebSocket-Accept` must be for that key (RFC 6455 §4.2.2).
pub(crate) fn accept(key: &[u8]) -> String {
    let mut sha = boring::sha::Sha1::new();
    sha.update(key);
    sha.update(ACCEPT_GUID);
    STANDARD.encode(sha.finish())
}

fn push_field(head: &mut String, name: &str, value: &str) {
    // Writing to a string cannot fail.
    let _infallible = write!(head, "{name}: {value}\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc_6455_accept() {
        // RFC 6455 §1.3.
        assert_eq!(accept(b"dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn the_request_is_chromiums_but_for_the_name_of_the_build() {
        let captured = include_str!("../../tests/data/chromium-156-upgrade.txt");
        let request = UpgradeRequest {
            host: "www.example.com:39425",
            path: "/chat?room=1",
            mode: Mode::Ws,
            secure: true,
            key: "dzdt72JdSfur4rm+HMeEvw==",
            offer_deflate: true,
            protocol: Some("abc"),
        };
        let ours = String::from_utf8(request.to_bytes()).unwrap();
        let lines = |text: &str| -> Vec<String> {
            text.lines().filter(|line| !line.starts_with("User-Agent: ")).map(str::to_owned).collect()
        };
        assert_eq!(lines(&ours), lines(captured));
        let agent = |text: &str| text.lines().position(|line| line.starts_with("User-Agent: "));
        assert_eq!(agent(&ours), agent(captured));
    }
}
