//! Where bytes of the carrier wait: large buffers lent from a per-thread store while there is work, and nothing
//! (or a small stash) while a connection is idle.

use std::{
    cell::RefCell,
    fmt, io,
    ops::Range,
    pin::Pin,
    task::{Context, Poll, ready},
};

use commucat_transport_api::BoxStream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::method::TAG_BYTES;

/// Bytes of a lent buffer: four of the longest records and the longest request header.
pub(crate) const BUFFER_BYTES: usize = 272 * 1024;
/// The longest record, in bytes: sealed length and sealed payload.
const MAX_RECORD_BYTES: usize = 2 + TAG_BYTES + 0xffff + TAG_BYTES;
/// An incomplete record up to this length waits in memory of its own size instead of a lent buffer.
const MAX_STASH_BYTES: usize = 4 * 1024;
/// Buffers that a thread keeps for reuse.
const MAX_KEPT_BUFFERS: usize = 16;

thread_local! {
    static STORE: RefCell<Vec<Box<[u8]>>> = const { RefCell::new(Vec::new()) };
}

/// A buffer of [`BUFFER_BYTES`], given back when dropped.
pub(crate) struct Lent(Box<[u8]>);

impl Lent {
    pub(crate) fn take() -> Self {
        let kept = STORE.with_borrow_mut(Vec::pop);
        Self(kept.unwrap_or_else(|| vec![0; BUFFER_BYTES].into_boxed_slice()))
    }

    pub(crate) fn bytes(&mut self) -> &mut [u8] {
        &mut self.0
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let buffer = std::mem::take(&mut self.0);
        // A thread that is ending has no store any more; then the buffer is simply freed.
        STORE
            .try_with(|store| {
                if let Ok(mut store) = store.try_borrow_mut()
                    && store.len() < MAX_KEPT_BUFFERS
                {
                    store.push(buffer);
                }
            })
            .ok();
    }
}

impl fmt::Debug for Lent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Lent")
    }
}

/// Bytes that came and are not used up yet.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    lent: Option<Lent>,
    stash: Box<[u8]>,
    /// The unread part of `lent`, or of `stash` when nothing is lent.
    start: usize,
    end: usize,
    received: u64,
}

impl Inbox {
    /// Unread bytes there are.
    pub(crate) const fn len(&self) -> usize {
        self.end - self.start
    }

    /// Bytes that came in all.
    pub(crate) const fn received(&self) -> u64 {
        self.received
    }

    /// The unread bytes.
    pub(crate) fn bytes(&mut self) -> &mut [u8] {
        let range = self.start..self.end;
        let all = match &mut self.lent {
            Some(lent) => lent.bytes(),
            None => &mut self.stash,
        };
        all.get_mut(range).unwrap_or_default()
    }

    /// The first `count` unread bytes, when so many are there.
    pub(crate) fn front(&mut self, count: usize) -> Option<&mut [u8]> {
        self.bytes().get_mut(..count)
    }

    /// Uses up bytes from the front.
    pub(crate) fn consume(&mut self, count: usize) {
        self.start += count.min(self.len());
    }

    /// Reads what the carrier has; 0 is its end. While it has nothing, no large buffer is kept for an idle stream.
    pub(crate) fn poll_fill(&mut self, cx: &mut Context<'_>, io: &mut BoxStream) -> Poll<io::Result<usize>> {
        self.make_room();
        let lent = self.lent.get_or_insert_with(Lent::take);
        let mut room = ReadBuf::new(lent.bytes().get_mut(self.end..).unwrap_or_default());
        match Pin::new(io).poll_read(cx, &mut room) {
            Poll::Ready(Ok(())) => {
                let count = room.filled().len();
                self.end += count;
                self.received += count as u64;
                if count == 0 {
                    self.settle();
                }
                Poll::Ready(Ok(count))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => {
                self.settle();
                Poll::Pending
            }
        }
    }

    /// Takes bytes that were read before there was an inbox.
    #[cfg(test)]
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.make_room();
        let lent = self.lent.get_or_insert_with(Lent::take);
        lent.bytes()[self.end..self.end + bytes.len()].copy_from_slice(bytes);
        self.end += bytes.len();
    }

    /// Makes sure that the rest of a record fits behind what is there.
    fn make_room(&mut self) {
        if self.lent.is_none() {
            let mut lent = Lent::take();
            let length = self.len();
            if let (Some(from), Some(to)) =
                (self.stash.get(self.start..self.end), lent.bytes().get_mut(..length))
            {
                to.copy_from_slice(from);
            }
            self.stash = Box::default();
            (self.start, self.end) = (0, length);
            self.lent = Some(lent);
            return;
        }
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        } else if self.start > 0 && BUFFER_BYTES - self.end < MAX_RECORD_BYTES {
            let range: Range<usize> = self.start..self.end;
            if let Some(lent) = &mut self.lent {
                lent.bytes().copy_within(range, 0);
            }
            (self.start, self.end) = (0, self.len());
        }
    }

    /// Gives the large buffer back when little or nothing is in it.
    fn settle(&mut self) {
        let length = self.len();
        if length > MAX_STASH_BYTES || self.lent.is_none() {
            return;
        }
        self.stash = Box::from(&*self.bytes());
        (self.start, self.end) = (0, length);
        self.lent = None;
    }
}

/// Sealed bytes on their way to the carrier.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    lent: Option<Lent>,
    start: usize,
    end: usize,
    sent: u64,
}

impl Outbox {
    /// Bytes that left in all.
    pub(crate) const fn sent(&self) -> u64 {
        self.sent
    }

    /// The bytes that wait.
    pub(crate) fn bytes(&mut self) -> &[u8] {
        let range = self.start..self.end;
        self.lent.as_mut().and_then(|lent| lent.bytes().get(range)).unwrap_or_default()
    }

    /// Bytes that still fit.
    pub(crate) const fn room(&self) -> usize {
        BUFFER_BYTES - self.end
    }

    /// The next `count` bytes, to be written by the caller; `None` when they do not fit.
    pub(crate) fn claim(&mut self, count: usize) -> Option<&mut [u8]> {
        let end = self.end.checked_add(count).filter(|end| *end <= BUFFER_BYTES)?;
        let at = std::mem::replace(&mut self.end, end);
        self.lent.get_or_insert_with(Lent::take).bytes().get_mut(at..end)
    }

    /// Sends until nothing is left.
    pub(crate) fn poll_drain(&mut self, cx: &mut Context<'_>, io: &mut BoxStream) -> Poll<io::Result<()>> {
        while self.start < self.end {
            let Some(lent) = &mut self.lent else { break };
            let rest = lent.bytes().get(self.start..self.end).unwrap_or_default();
            let count = ready!(Pin::new(&mut *io).poll_write(cx, rest))?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.start += count;
            self.sent += count as u64;
        }
        (self.start, self.end) = (0, 0);
        self.lent = None;
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    #[tokio::test]
    async fn an_idle_inbox_holds_no_large_buffer() {
        let (mut far, near) = duplex(64 * 1024);
        let mut near: BoxStream = Box::new(near);
        let mut inbox = Inbox::default();
        far.write_all(b"0123456789").await.unwrap();
        poll_fn(|cx| inbox.poll_fill(cx, &mut near)).await.unwrap();
        inbox.consume(4);
        let pending = poll_fn(|cx| Poll::Ready(inbox.poll_fill(cx, &mut near).is_pending())).await;
        assert!(pending && inbox.lent.is_none());
        assert_eq!(inbox.bytes(), b"456789");
        far.write_all(b"ab").await.unwrap();
        poll_fn(|cx| inbox.poll_fill(cx, &mut near)).await.unwrap();
        assert_eq!(inbox.bytes(), b"456789ab");
        assert_eq!(inbox.received(), 12);
    }

    #[tokio::test]
    async fn an_outbox_sends_through_a_narrow_carrier() {
        let (mut far, near) = duplex(3);
        let mut near: BoxStream = Box::new(near);
        let mut outbox = Outbox::default();
        outbox.claim(10).unwrap().copy_from_slice(b"0123456789");
        assert!(outbox.claim(BUFFER_BYTES).is_none());
        let reader = tokio::spawn(async move {
            let mut heard = Vec::new();
            far.read_to_end(&mut heard).await.unwrap();
            heard
        });
        poll_fn(|cx| outbox.poll_drain(cx, &mut near)).await.unwrap();
        assert!(outbox.bytes().is_empty() && outbox.lent.is_none());
        assert_eq!(outbox.sent(), 10);
        drop(near);
        assert_eq!(reader.await.unwrap(), b"0123456789");
    }
}
