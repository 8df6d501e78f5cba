//! What a browser does once its handshake with a site is over: it asks for the page, and reads.
//!
//! A client that meets the site itself instead of its bridge does the same before it reports the failure. Who watches sees
//! a visit, not a program that leaves as soon as it was not recognised.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use crate::config::Fingerprint;

mod http2;

/// How long a visit lasts, unless the dial's deadline comes first.
pub(crate) const VISIT_TIME: Duration = Duration::from_secs(3);
/// Bytes that are read of a page; the flow control that browsers announce allows more.
const MAX_READ_BYTES: usize = 4 << 20;
/// Bytes read at once.
const READ_BYTES: usize = 16 << 10;

/// Asks for the page of `site` by the protocol that was agreed, and reads until the site ends or was read enough of.
///
/// # Errors
/// Those of the stream.
pub(crate) async fn visit<S>(
    stream: &mut S,
    alpn: Option<&str>,
    site: &str,
    browser: Fingerprint,
) -> std::io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let speaks_http2 = alpn == Some("h2");
    let request = if speaks_http2 { http2::request(site, browser) } else { http1(site, browser) };
    stream.write_all(&request).await?;
    stream.flush().await?;
    let mut frames = http2::Frames::default();
    let (mut chunk, mut total) = (vec![0; READ_BYTES], 0);
    while total < MAX_READ_BYTES {
        let count = stream.read(&mut chunk).await?;
        if count == 0 {
            return Ok(());
        }
        total += count;
        if speaks_http2 {
            let answers = frames.take(chunk.get(..count).unwrap_or_default());
            stream.write_all(&answers).await?;
            stream.flush().await?;
        }
    }
    Ok(())
}

/// A request of HTTP/1.1, its fields in the browser's order.
fn http1(site: &str, browser: Fingerprint) -> Vec<u8> {
    let mut request = format!("GET / HTTP/1.1\r\nHost: {site}\r\n");
    if browser == Fingerprint::Chromium {
        request.push_str("Connection: keep-alive\r\n");
    }
    for (name, value) in fields(browser) {
        // The names of HTTP/1.1 begin with capitals.
        let mut start = true;
        for letter in name.chars() {
            request.push(if start { letter.to_ascii_uppercase() } else { letter });
            start = letter == '-';
        }
        request.push_str(": ");
        request.push_str(value);
        request.push_str("\r\n");
    }
    if browser == Fingerprint::Firefox {
        request.push_str("Connection: keep-alive\r\n");
    }
    request.push_str("\r\n");
    request.into_bytes()
}

/// The fields of a first visit, typed into the address bar, in the browser's order.
const fn fields(browser: Fingerprint) -> &'static [(&'static str, &'static str)] {
    match browser {
        Fingerprint::Chromium => &[
            ("upgrade-insecure-requests", "1"),
            (
                "user-agent",
                "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36",
            ),
            (
                "accept",
                "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8",
            ),
            ("sec-fetch-site", "none"),
            ("sec-fetch-mode", "navigate"),
            ("sec-fetch-user", "?1"),
            ("sec-fetch-dest", "document"),
            ("accept-encoding", "gzip, deflate, br, zstd"),
            ("accept-language", "en-US,en;q=0.9"),
        ],
        Fingerprint::Firefox => &[
            ("user-agent", "Mozilla/5.0 (X11; Linux x86_64; rv:153.0) Gecko/20100101 Firefox/153.0"),
            ("accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"),
            ("accept-language", "en-US,en;q=0.9"),
            ("accept-encoding", "gzip, deflate, br, zstd"),
            ("upgrade-insecure-requests", "1"),
            ("sec-fetch-dest", "document"),
            ("sec-fetch-mode", "navigate"),
            ("sec-fetch-site", "none"),
            ("sec-fetch-user", "?1"),
        ],
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::io::duplex;

    use super::*;

    const SITE: &str = "www.example.com";

    #[tokio::test]
    async fn http_1_is_asked_for_the_page() {
        for browser in [Fingerprint::Chromium, Fingerprint::Firefox] {
            let (mut near, mut far) = duplex(4096);
            let visit = tokio::spawn(async move { visit(&mut near, Some("http/1.1"), SITE, browser).await });
            let mut asked = Vec::new();
            while !asked.ends_with(b"\r\n\r\n") {
                asked.push(far.read_u8().await.unwrap());
            }
            let asked = String::from_utf8(asked).unwrap();
            assert!(asked.starts_with("GET / HTTP/1.1\r\nHost: www.example.com\r\n"), "{asked}");
            assert!(asked.contains("\r\nUser-Agent: Mozilla/5.0 ") && asked.contains("\r\nSec-Fetch-Dest: "));
            far.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await.unwrap();
            assert!(!visit.is_finished(), "a browser stays");
            drop(far);
            visit.await.unwrap().unwrap();
        }
    }

    /// The server of the crate `h2` reads the request, and its settings and pings are answered.
    #[tokio::test]
    async fn http_2_is_spoken_as_a_server_of_it_expects() {
        for browser in [Fingerprint::Chromium, Fingerprint::Firefox] {
            let (mut near, far) = duplex(1 << 16);
            let visit = tokio::spawn(async move { visit(&mut near, Some("h2"), SITE, browser).await });
            let mut server = h2::server::handshake(far).await.unwrap();
            let (request, mut answer) = server.accept().await.unwrap().unwrap();
            assert_eq!(
                (request.method().as_str(), request.uri().to_string()),
                ("GET", format!("https://{SITE}/"))
            );
            for (name, value) in fields(browser) {
                assert_eq!(request.headers()[*name], value);
            }
            answer.send_reset(h2::Reason::NO_ERROR);
            let mut pings = server.ping_pong().unwrap();
            let mut pong = std::pin::pin!(pings.ping(h2::Ping::opaque()));
            poll_fn(|cx| {
                let ended = server.poll_closed(cx);
                assert!(ended.is_pending(), "{ended:?}");
                pong.as_mut().poll(cx)
            })
            .await
            .unwrap();
            assert!(!visit.is_finished());
            drop(server);
            visit.await.unwrap().ok();
        }
    }
}
