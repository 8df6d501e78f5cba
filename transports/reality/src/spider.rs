//! What a browser does once its handshake with a site is over: it asks for the page, and reads.
//!
//! A client that meets the site itself instead of its bridge does the same before it reports the failure. Who watches sees
//! a visit, not a program that leaves as soon as it was not recognised. How far it goes is the link's to say ([`Plan`]).

use std::sync::Arc;

use commucat_transport_api::Net;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use crate::config::Fingerprint;

mod http2;
mod page;
mod plan;
mod walk;

pub(crate) use self::plan::Plan;
use self::{http2::Opener, walk::Walk};

/// Bytes that are read in one visit; the flow control that browsers announce allows more.
const MAX_READ_BYTES: usize = 4 << 20;
/// Bytes read at once.
const READ_BYTES: usize = 16 << 10;

/// A visitor of a site.
#[derive(Clone, Debug)]
pub(crate) struct Visitor<'a> {
    pub(crate) site: &'a str,
    pub(crate) browser: Fingerprint,
    pub(crate) plan: &'a Plan,
    pub(crate) net: &'a Arc<dyn Net>,
}

impl Visitor<'_> {
    /// How long this visit lasts.
    pub(crate) fn time(&self) -> std::time::Duration {
        self.plan.visit_time(&mut || bits(&**self.net))
    }

    /// Asks for the page by the protocol that was agreed, follows its links as the plan says (over HTTP/2), and reads
    /// until the site ends or was read enough of.
    ///
    /// # Errors
    /// Those of the stream.
    pub(crate) async fn visit<S>(&self, stream: &mut S, alpn: Option<&str>) -> std::io::Result<()>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        if alpn == Some("h2") { self.walk(stream).await } else { self.ask_once(stream).await }
    }

    async fn ask_once<S: AsyncRead + AsyncWrite + Unpin>(&self, stream: &mut S) -> std::io::Result<()> {
        stream.write_all(&http1(self)).await?;
        stream.flush().await?;
        let (mut chunk, mut total) = (vec![0; READ_BYTES], 0);
        while total < MAX_READ_BYTES {
            match stream.read(&mut chunk).await? {
                0 => return Ok(()),
                count => total += count,
            }
        }
        Ok(())
    }

    async fn walk<S: AsyncRead + AsyncWrite + Unpin>(&self, stream: &mut S) -> std::io::Result<()> {
        let mut out = Vec::new();
        let opener = Opener::begin(self.site, self.browser, &mut out);
        let mut draw = || bits(&**self.net);
        let mut walk = Walk::new(self.plan, opener, &mut draw, self.net.now());
        let mut frames = http2::Frames::default();
        let (mut chunk, mut total) = (vec![0; READ_BYTES], 0);
        while total < MAX_READ_BYTES {
            out.append(&mut walk.requests(self.net.now()));
            if !out.is_empty() {
                stream.write_all(&out).await?;
                stream.flush().await?;
                out.clear();
            }
            let due = walk.next();
            let next = async {
                match due {
                    Some(at) => self.net.sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            let count = tokio::select! {
                count = stream.read(&mut chunk) => count?,
                () = next => continue,
            };
            if count == 0 {
                return Ok(());
            }
            total += count;
            let now = self.net.now();
            out = frames.take(chunk.get(..count).unwrap_or_default(), &mut |event| walk.heard(event, now));
        }
        Ok(())
    }
}

/// What makes a visit differ from the last one. Without randomness all are alike, and nothing else is at stake.
fn bits(net: &dyn Net) -> u32 {
    let mut bytes = [0; 4];
    net.fill_random(&mut bytes).ok();
    u32::from_be_bytes(bytes)
}

/// A request of HTTP/1.1, its fields in the browser's order.
fn http1(visitor: &Visitor<'_>) -> Vec<u8> {
    let Visitor { site, browser, plan, .. } = *visitor;
    let mut request = format!("GET {} HTTP/1.1\r\nHost: {site}\r\n", plan.path);
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
mod tests;
