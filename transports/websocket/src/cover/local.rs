//! Answers made here: pages of the built-in site or of a folder, and the errors that go with them.

use std::{fmt::Write as _, io};

use bytes::Bytes;
use tokio::{fs::File, io::AsyncReadExt as _};

use super::visit::Visit;
use crate::wire::{
    head::{HeadError, RequestHead},
    verdict::ID_HEADER,
};

/// Bytes of a file read and sent at once.
const FILE_PIECE_BYTES: usize = 32 * 1024;

/// One page.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) status: u16,
    pub(super) content_type: &'static str,
    pub(super) content: Content,
    pub(super) last_modified: Option<String>,
    pub(super) etag: Option<String>,
    /// Where a redirect leads.
    pub(super) location: Option<String>,
}

/// What a page holds.
#[derive(Debug)]
pub(super) enum Content {
    Bytes(Bytes),
    File { file: File, length: u64 },
}

impl Content {
    fn length(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::File { length, .. } => *length,
        }
    }
}

impl Page {
    /// A small page for a status that has none of its own.
    pub(super) fn status(status: u16) -> Self {
        let reason = reason(status);
        let text = format!(
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\"><title>{status} {reason}</title></head>\n\
             <body><h1>{reason}</h1></body>\n</html>\n"
        );
        Self {
            status,
            content_type: "text/html; charset=utf-8",
            content: Content::Bytes(text.into()),
            last_modified: None,
            etag: None,
            location: None,
        }
    }

    fn is_unchanged_for(&self, head: &RequestHead) -> bool {
        if self.status != 200 {
            return false;
        }
        match (head.fields.get("If-None-Match"), &self.etag) {
            (Some(_), Some(etag)) => head.fields.has_token("If-None-Match", etag),
            _ => self.last_modified.as_ref().is_some_and(|modified| {
                head.fields.get("If-Modified-Since").is_some_and(|since| since == modified.as_bytes())
            }),
        }
    }
}

/// Answers one request with a page; `false` when the connection ends with it.
pub(super) async fn answer(visit: &mut Visit, head: &RequestHead, id: &str, page: Page) -> io::Result<bool> {
    let Ok(body) = head.body() else { return refuse(visit, HeadError::Malformed, id).await };
    let page = match head.method.as_str() {
        "GET" | "HEAD" if page.is_unchanged_for(head) => {
            Page { status: 304, content: Content::Bytes(Bytes::new()), ..page }
        }
        "GET" | "HEAD" => page,
        _ => Page::status(405),
    };
    let keep = visit.discard_body(body).await? && head.keeps_alive();
    let with_body = head.method != "HEAD" && page.status != 304;
    visit.send(response_head(&page, keep, &visit.date(), id)).await?;
    if with_body {
        send_content(visit, page.content).await?;
    }
    visit.flush().await?;
    Ok(keep)
}

/// Answers what is no request. Always ends the connection.
pub(crate) async fn refuse(visit: &mut Visit, error: HeadError, id: &str) -> io::Result<bool> {
    let status = match error {
        HeadError::TooBig => 431,
        HeadError::Malformed => 400,
    };
    fail(visit, status, id).await
}

/// Answers with an error page and ends the connection.
pub(super) async fn fail(visit: &mut Visit, status: u16, id: &str) -> io::Result<bool> {
    let page = Page::status(status);
    visit.send(response_head(&page, false, &visit.date(), id)).await?;
    send_content(visit, page.content).await?;
    visit.flush().await?;
    Ok(false)
}

fn response_head(page: &Page, keep: bool, date: &str, id: &str) -> Bytes {
    let mut head = format!("HTTP/1.1 {} {}\r\nDate: {date}\r\n", page.status, reason(page.status));
    let mut push = |name: &str, value: &str| {
        // Writing to a string cannot fail.
        let _infallible = write!(head, "{name}: {value}\r\n");
    };
    if page.status != 304 {
        push("Content-Type", page.content_type);
        push("Content-Length", &page.content.length().to_string());
    }
    if page.status == 405 {
        push("Allow", "GET, HEAD");
    }
    let optional =
        [("Location", &page.location), ("Last-Modified", &page.last_modified), ("ETag", &page.etag)];
    for (name, value) in optional {
        if let Some(value) = value {
            push(name, value);
        }
    }
    push("Connection", if keep { "keep-alive" } else { "close" });
    push(ID_HEADER, id);
    head.push_str("\r\n");
    head.into()
}

async fn send_content(visit: &mut Visit, content: Content) -> io::Result<()> {
    match content {
        Content::Bytes(bytes) => visit.send(bytes).await,
        Content::File { mut file, length: mut left } => {
            let mut piece = vec![0; FILE_PIECE_BYTES];
            while left > 0 {
                let most = usize::try_from(left).unwrap_or(usize::MAX).min(piece.len());
                let got = file.read(piece.get_mut(..most).unwrap_or_default()).await?;
                if got == 0 {
                    // The file shrank after its length was told.
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                visit.send(piece.get(..got).unwrap_or_default()).await?;
                left -= got as u64;
            }
            Ok(())
        }
    }
}

/// The reason phrase of a status.
fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        301 => "Moved Permanently",
        304 => "Not Modified",
        400 => "Bad Request",
        404 => "Not Found",
        405 => "Method Not Allowed",
        411 => "Length Required",
        413 => "Content Too Large",
        431 => "Request Header Fields Too Large",
        502 => "Bad Gateway",
        504 => "Gateway Timeout",
        _ => "Error",
    }
}
