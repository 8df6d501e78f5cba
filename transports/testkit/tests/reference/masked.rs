//! The masked stream of the reference transport.

use std::{
    future::Future,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use commucat_transport_api::BoxStream;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::Sleep,
};

use super::{Flaw, UserKey};

const LATE: Duration = Duration::from_millis(40);
const CORRUPT_AT: u64 = 300_000;

#[derive(Debug)]
pub struct Masked {
    inner: BoxStream,
    read_mask: blake3::OutputReader,
    write_mask: blake3::OutputReader,
    flaw: Flaw,
    /// Already masked, and not sent yet.
    pending: Vec<u8>,
    late: Option<Pin<Box<Sleep>>>,
    ended: bool,
}

impl Masked {
    pub fn client(inner: BoxStream, key: &UserKey, nonce: &[u8], flaw: Flaw) -> Self {
        Self::new(inner, (b"down", b"up"), key, nonce, flaw)
    }

    pub fn server(inner: BoxStream, key: &UserKey, nonce: &[u8], flaw: Flaw) -> Self {
        Self::new(inner, (b"up", b"down"), key, nonce, flaw)
    }

    /// A client that sends its hello, already masked, with the first bytes.
    pub fn client_with_first(
        inner: BoxStream,
        key: &UserKey,
        nonce: &[u8],
        flaw: Flaw,
        first: Vec<u8>,
        masked: usize,
    ) -> Self {
        let mut stream = Self::client(inner, key, nonce, flaw);
        stream.write_mask.set_position(masked as u64);
        stream.pending = first;
        stream
    }

    fn new(inner: BoxStream, (read, write): (&[u8], &[u8]), key: &UserKey, nonce: &[u8], flaw: Flaw) -> Self {
        let everybodys = UserKey::default();
        let key = if flaw == Flaw::AnySecret { &everybodys } else { key };
        let mask = |direction| mask(key, nonce, direction);
        let (read_mask, write_mask) = (mask(read), mask(write));
        Self { inner, read_mask, write_mask, flaw, pending: Vec::new(), late: None, ended: false }
    }

    fn poll_pending(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.pending.is_empty() {
            let sent = ready!(Pin::new(&mut self.inner).poll_write(cx, &self.pending))?;
            self.pending.drain(..sent);
        }
        Poll::Ready(Ok(()))
    }
}

/// The mask of the first bytes that go up.
pub fn mask_once(key: &UserKey, nonce: &[u8], bytes: &[u8]) -> Vec<u8> {
    apply(&mut mask(key, nonce, b"up"), bytes)
}

fn mask(key: &UserKey, nonce: &[u8], direction: &[u8]) -> blake3::OutputReader {
    blake3::Hasher::new_keyed(key).update(direction).update(nonce).finalize_xof()
}

fn apply(mask: &mut blake3::OutputReader, bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![0; bytes.len()];
    mask.fill(&mut out);
    out.iter_mut().zip(bytes).for_each(|(out, byte)| *out ^= byte);
    out
}

impl AsyncRead for Masked {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.flaw == Flaw::NoHalfClose && self.ended {
            return Poll::Ready(Ok(()));
        }
        let old = buf.filled().len();
        ready!(Pin::new(&mut self.inner).poll_read(cx, buf))?;
        let start = self.read_mask.position();
        let clear = apply(&mut self.read_mask, &buf.filled()[old..]);
        buf.filled_mut()[old..].copy_from_slice(&clear);
        let end = start + clear.len() as u64;
        if self.flaw == Flaw::CorruptsBulk && (start..end).contains(&CORRUPT_AT) {
            buf.filled_mut()[old + (CORRUPT_AT - start) as usize] ^= 1;
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Masked {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        if self.flaw == Flaw::NoBackPressure && !self.ended {
            let masked = apply(&mut self.write_mask, data);
            self.pending.extend_from_slice(&masked);
            if let Poll::Ready(Err(error)) = self.poll_pending(cx) {
                return Poll::Ready(Err(error));
            }
            return Poll::Ready(Ok(data.len()));
        }
        ready!(self.poll_pending(cx))?;
        let start = self.write_mask.position();
        let masked = apply(&mut self.write_mask, data);
        let outcome = Pin::new(&mut self.inner).poll_write(cx, &masked);
        let sent = if let Poll::Ready(Ok(sent)) = &outcome { *sent as u64 } else { 0 };
        self.write_mask.set_position(start + sent);
        outcome
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.flaw != Flaw::LazyHello {
            ready!(self.poll_pending(cx))?;
        }
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_pending(cx))?;
        self.ended = true;
        if self.flaw == Flaw::LateEnd {
            let late = self.late.get_or_insert_with(|| Box::pin(tokio::time::sleep(LATE)));
            ready!(late.as_mut().poll(cx));
        }
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
