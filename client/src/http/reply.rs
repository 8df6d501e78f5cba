//! Answers the proxy itself gives: a status and a short text that names the cause and what to do.

/// A request this proxy cannot serve.
pub(crate) const BAD_REQUEST: (u16, &str) = (400, "Bad Request");
/// The password is missing or wrong.
pub(crate) const AUTH_REQUIRED: (u16, &str) = (407, "Proxy Authentication Required");
/// The head is too large.
pub(crate) const HEAD_TOO_LARGE: (u16, &str) = (431, "Request Header Fields Too Large");
/// The bridge, or the server behind it, gave no usable answer.
pub(crate) const BAD_GATEWAY: (u16, &str) = (502, "Bad Gateway");
/// It gave none in time.
pub(crate) const GATEWAY_TIMEOUT: (u16, &str) = (504, "Gateway Timeout");

/// The answer to a CONNECT that succeeded.
pub(crate) const ESTABLISHED: &[u8] = b"HTTP/1.1 200 Connection established\r\n\r\n";

/// A whole response after which the connection is closed.
pub(crate) fn error((status, reason): (u16, &str), text: &str) -> Vec<u8> {
    let challenge = if status == AUTH_REQUIRED.0 {
        "Proxy-Authenticate: Basic realm=\"commucat\", charset=\"UTF-8\"\r\n"
    } else {
        ""
    };
    format!(
        "HTTP/1.1 {status} {reason}\r\nContent-Type: text/plain; charset=utf-8\r\nCache-Control: no-store\r\n\
         {challenge}Content-Length: {}\r\nConnection: close\r\n\r\n{text}\n",
        text.len() + 1
    )
    .into_bytes()
}
