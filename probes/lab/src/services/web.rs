//! Web sites: HTTP/1.1 (RFC 9112), plain or over TLS.
//!
//! `GET /` gives a page, `GET /bytes/N` that many bytes of [`wire::pattern`], and `POST /upload` says how much it read.

use std::{io, sync::Arc, time::Duration};

use commucat_control::wire;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::timeout,
};
use tokio_rustls::TlsAcceptor;

use super::accept;

/// Largest body that `/bytes/N` gives and that an upload may have, in bytes.
pub const BODY_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// Longest request head, in bytes.
const HEAD_BYTES_MAX: usize = 16 * 1024;
/// Most fields of a request head.
const FIELDS_MAX: usize = 64;
/// Longest time without a byte from the client, and for a TLS handshake.
const IDLE: Duration = Duration::from_secs(30);
/// Bytes read or written at once.
const PIECE_BYTES: usize = 16 * 1024;

/// Serves plain HTTP until its task is aborted.
pub(super) async fn serve_http(listener: TcpListener, slots: Arc<Semaphore>, name: Arc<str>) {
    accept::serve(listener, slots, |stream| Visit::new(stream, Arc::clone(&name)).run()).await;
}

/// Serves HTTPS until its task is aborted.
pub(super) async fn serve_https(
    listener: TcpListener,
    slots: Arc<Semaphore>,
    name: Arc<str>,
    tls: TlsAcceptor,
) {
    let visit = |stream: TcpStream| {
        let (tls, name) = (tls.clone(), Arc::clone(&name));
        async move {
            stream.set_nodelay(true)?;
            let stream = timeout(IDLE, tls.accept(stream)).await??;
            Visit::new(stream, name).run().await
        }
    };
    accept::serve(listener, slots, visit).await;
}

/// One connection.
struct Visit<S> {
    stream: S,
    name: Arc<str>,
    /// What was read and is not yet used.
    pending: Vec<u8>,
}

/// What of a request head matters here.
#[derive(Debug, PartialEq, Eq)]
struct Request {
    method: String,
    path: String,
    body_bytes: u64,
    close: bool,
    expects_continue: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Visit<S> {
    fn new(stream: S, name: Arc<str>) -> Self {
        Self { stream, name, pending: Vec::new() }
    }

    async fn run(mut self) -> io::Result<()> {
        while let Some(request) = self.read_head().await? {
            if request.body_bytes > BODY_BYTES_MAX {
                self.write_text("413 Content Too Large", "text/plain", "too large\n", &request).await?;
                break;
            }
            if request.expects_continue {
                self.stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
            }
            self.skip(request.body_bytes).await?;
            self.respond(&request).await?;
            if request.close {
                break;
            }
        }
        self.stream.shutdown().await
    }

    async fn respond(&mut self, request: &Request) -> io::Result<()> {
        let path = request.path.split('?').next().unwrap_or_default();
        if !matches!(request.method.as_str(), "GET" | "HEAD" | "POST" | "PUT") {
            return self.write_text("405 Method Not Allowed", "text/plain", "no\n", request).await;
        }
        if let Some(count) = path.strip_prefix("/bytes/") {
            return match count.parse().ok().filter(|&count| count <= BODY_BYTES_MAX) {
                Some(count) => self.write_pattern(count, request).await,
                None => self.write_text("400 Bad Request", "text/plain", "how many?\n", request).await,
            };
        }
        match path {
            "/" => {
                let page = page(&self.name);
                self.write_text("200 OK", "text/html; charset=utf-8", &page, request).await
            }
            "/upload" => {
                let answer = format!("{{\"bytes\":{}}}\n", request.body_bytes);
                self.write_text("200 OK", "application/json", &answer, request).await
            }
            _ => self.write_text("404 Not Found", "text/plain", "nothing here\n", request).await,
        }
    }

    async fn write_text(
        &mut self,
        status: &str,
        kind: &str,
        text: &str,
        request: &Request,
    ) -> io::Result<()> {
        let length = u64::try_from(text.len()).unwrap_or_default();
        let mut response = head(status, kind, length, request.close);
        if request.method != "HEAD" {
            response.push_str(text);
        }
        self.stream.write_all(response.as_bytes()).await?;
        self.stream.flush().await
    }

    async fn write_pattern(&mut self, count: u64, request: &Request) -> io::Result<()> {
        let response = head("200 OK", "application/octet-stream", count, request.close);
        self.stream.write_all(response.as_bytes()).await?;
        let mut piece = vec![0; PIECE_BYTES];
        let mut sent = 0;
        while request.method != "HEAD" && sent < count {
            let wanted = usize::try_from(count - sent).unwrap_or(usize::MAX).min(PIECE_BYTES);
            let piece = piece.get_mut(..wanted).unwrap_or_default();
            wire::pattern(sent, piece);
            self.stream.write_all(piece).await?;
            sent += u64::try_from(wanted).unwrap_or_default();
        }
        self.stream.flush().await
    }

    /// The next head, or nothing when the client is done.
    async fn read_head(&mut self) -> io::Result<Option<Request>> {
        loop {
            if let Some((used, request)) = parse(&self.pending)? {
                self.pending.drain(..used);
                return Ok(Some(request));
            }
            if self.pending.len() >= HEAD_BYTES_MAX {
                return Err(io::Error::other("the request head is too long"));
            }
            if self.read_more().await? == 0 {
                return Ok(None);
            }
        }
    }

    async fn skip(&mut self, body_bytes: u64) -> io::Result<()> {
        let mut left = body_bytes;
        while left > 0 {
            if self.pending.is_empty() && self.read_more().await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let used = self.pending.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            self.pending.drain(..used);
            left -= u64::try_from(used).unwrap_or_default();
        }
        Ok(())
    }

    async fn read_more(&mut self) -> io::Result<usize> {
        self.pending.reserve(PIECE_BYTES);
        timeout(IDLE, self.stream.read_buf(&mut self.pending)).await?
    }
}

fn head(status: &str, kind: &str, length: u64, close: bool) -> String {
    let connection = if close { "close" } else { "keep-alive" };
    format!(
        "HTTP/1.1 {status}\r\nServer: lab\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\
         Cache-Control: no-store\r\nConnection: {connection}\r\n\r\n"
    )
}

fn page(name: &str) -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{name}</title></head>\n\
         <body><h1>{name}</h1><p>This page is served inside the lab.</p></body></html>\n"
    )
}

/// The first head in these bytes and its length; nothing while it is incomplete.
fn parse(bytes: &[u8]) -> io::Result<Option<(usize, Request)>> {
    let mut fields = [httparse::EMPTY_HEADER; FIELDS_MAX];
    let mut head = httparse::Request::new(&mut fields);
    let httparse::Status::Complete(used) = head.parse(bytes).map_err(io::Error::other)? else {
        return Ok(None);
    };
    let field = |name: &str| {
        let field = head.headers.iter().find(|field| field.name.eq_ignore_ascii_case(name))?;
        std::str::from_utf8(field.value).ok().map(str::trim)
    };
    if field("transfer-encoding").is_some() {
        return Err(io::Error::other("bodies need a Content-Length here"));
    }
    let body_bytes = field("content-length").map_or(Ok(0), str::parse).map_err(io::Error::other)?;
    let is = |name, value: &str| field(name).is_some_and(|found| found.eq_ignore_ascii_case(value));
    let old = head.version == Some(0);
    let request = Request {
        method: head.method.unwrap_or_default().to_owned(),
        path: head.path.unwrap_or_default().to_owned(),
        body_bytes,
        close: is("connection", "close") || (old && !is("connection", "keep-alive")),
        expects_continue: is("expect", "100-continue"),
    };
    Ok(Some((used, request)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_read_when_it_is_whole() {
        let bytes =
            b"POST /upload?x HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\nhello";
        for cut in 0..bytes.len() - 5 {
            assert!(parse(&bytes[..cut]).unwrap().is_none(), "{cut}");
        }
        let (used, request) = parse(bytes).unwrap().unwrap();
        assert_eq!(&bytes[used..], b"hello");
        assert_eq!((request.body_bytes, request.close, request.expects_continue), (5, false, true));
    }

    #[test]
    fn what_is_no_request_is_refused() {
        assert!(parse(b"\x16\x03\x01\x02\x00\x01").is_err());
        assert!(parse(b"GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n").is_err());
        assert!(parse(b"GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n").is_err());
    }

    #[test]
    fn an_old_client_is_told_that_the_connection_ends() {
        assert!(parse(b"GET / HTTP/1.0\r\n\r\n").unwrap().unwrap().1.close);
        assert!(!parse(b"GET / HTTP/1.1\r\n\r\n").unwrap().unwrap().1.close);
    }
}
