//! Where records wait: buffers lent from a per-thread store while there is work, and nothing while a connection is idle.

use std::{
    cell::RefCell,
    fmt, io,
    ops::Range,
    pin::Pin,
    task::{Context, Poll, ready},
};

use commucat_mimic::MAX_RECORD_BYTES;
use commucat_transport_api::BoxStream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Bytes of the buffers that are lent: a record, four of them, sixteen and a part of the next.
const SIZES: [usize; 3] = [20 << 10, 80 << 10, 272 << 10];
/// Buffers of each size that a thread keeps for reuse.
const KEPT: [usize; 3] = [64, 32, 16];
/// A part of a record up to this length waits in memory of its own size instead of a lent buffer.
const MAX_STASH_BYTES: usize = 2 << 10;

thread_local! {
    static STORE: RefCell<[Vec<Box<[u8]>>; 3]> = const { RefCell::new([Vec::new(), Vec::new(), Vec::new()]) };
}

/// A buffer of one of [`SIZES`], given back when dropped.
struct Lent(Box<[u8]>);

impl Lent {
    fn take(class: usize) -> Self {
        let kept = STORE.with_borrow_mut(|store| store.get_mut(class).and_then(Vec::pop));
        Self(kept.unwrap_or_else(|| vec![0; size(class)].into_boxed_slice()))
    }

    /// One that holds so many bytes, or the longest.
    fn for_bytes(bytes: usize) -> Self {
        Self::take(SIZES.iter().position(|size| *size >= bytes).unwrap_or(SIZES.len() - 1))
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let buffer = std::mem::take(&mut self.0);
        let Some(class) = SIZES.iter().position(|size| *size == buffer.len()) else { return };
        // A thread that is ending has no store any more; then the buffer is simply freed.
        STORE
            .try_with(|store| {
                let Ok(mut store) = store.try_borrow_mut() else { return };
                let limit = KEPT.get(class).copied().unwrap_or_default();
                if let Some(list) = store.get_mut(class).filter(|list| list.len() < limit) {
                    list.push(buffer);
                }
            })
            .ok();
    }
}

impl fmt::Debug for Lent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Lent({})", self.0.len())
    }
}

fn size(class: usize) -> usize {
    SIZES.get(class).copied().unwrap_or_default()
}

/// Records that came, and content that was opened in place.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    lent: Option<Lent>,
    stash: Box<[u8]>,
    /// Content of the record in front of `start` that was not given out yet.
    opened: Range<usize>,
    /// What was not opened yet.
    start: usize,
    end: usize,
    /// Index into [`SIZES`] of the buffer for the next read.
    class: usize,
}

impl Inbox {
    /// With bytes that were opened before there was an inbox, and those that were not.
    pub(super) fn new(opened: Vec<u8>, arrived: &[u8]) -> Self {
        let start = opened.len();
        let mut all = opened;
        all.extend_from_slice(arrived);
        Self { opened: 0..start, start, end: all.len(), stash: all.into(), ..Self::default() }
    }

    /// What arrived and was not opened.
    pub(super) fn wire(&mut self) -> &mut [u8] {
        let range = self.start..self.end;
        self.all().get_mut(range).unwrap_or_default()
    }

    /// So many bytes of [`Self::wire`] were opened; `content` of them is to be given out.
    pub(super) fn use_up(&mut self, bytes: usize, content: Range<usize>) {
        self.opened = self.start + content.start..self.start + content.end;
        self.start = (self.start + bytes).min(self.end);
    }

    pub(super) fn has_opened(&self) -> bool {
        !self.opened.is_empty()
    }

    /// Moves opened content to `buf`.
    pub(super) fn give(&mut self, buf: &mut ReadBuf<'_>) {
        if !self.has_opened() {
            return;
        }
        let mut range = self.opened.clone();
        range.end = range.end.min(range.start + buf.remaining());
        self.opened.start = range.end;
        buf.put_slice(self.all().get(range).unwrap_or_default());
    }

    /// Opened content, for whoever reads record by record.
    pub(super) fn take_opened(&mut self) -> Vec<u8> {
        let range = std::mem::take(&mut self.opened);
        self.all().get(range).unwrap_or_default().to_vec()
    }

    /// What was not opened and will not be.
    pub(super) fn take_wire(&mut self) -> Vec<u8> {
        let rest = self.wire().to_vec();
        *self = Self::default();
        rest
    }

    /// Reads what the carrier has; 0 is its end. While it has nothing, an idle stream holds no large buffer. Nothing opened
    /// and no whole record may be in here.
    pub(super) fn poll_fill(&mut self, cx: &mut Context<'_>, io: &mut BoxStream) -> Poll<io::Result<usize>> {
        self.make_room();
        let end = self.end;
        let mut room = ReadBuf::new(self.all().get_mut(end..).unwrap_or_default());
        match Pin::new(io).poll_read(cx, &mut room) {
            Poll::Ready(Ok(())) => {
                let (count, full) = (room.filled().len(), room.remaining() == 0);
                self.end += count;
                if full {
                    self.class = (self.class + 1).min(SIZES.len() - 1);
                } else if count < size(self.class) / 8 {
                    self.class = self.class.saturating_sub(1);
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

    fn all(&mut self) -> &mut [u8] {
        match &mut self.lent {
            Some(lent) => &mut lent.0,
            None => &mut self.stash,
        }
    }

    /// Makes sure that the rest of a record fits behind what is there, and that a read of many is worth its call.
    fn make_room(&mut self) {
        self.opened = 0..0;
        let have = self.lent.as_ref().map_or(0, |lent| lent.0.len());
        if have < size(self.class) {
            return self.move_to(Some(Lent::take(self.class)));
        }
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        } else if have - self.start < MAX_RECORD_BYTES || have - self.end < have / 2 {
            let range = self.start..self.end;
            self.all().copy_within(range, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
    }

    /// Gives a large buffer back when little or nothing is in it.
    fn settle(&mut self) {
        let length = self.end - self.start;
        let have = self.lent.as_ref().map_or(0, |lent| lent.0.len());
        if length <= MAX_STASH_BYTES {
            self.move_to(None);
        } else if have > size(0) && length <= size(0) {
            self.move_to(Some(Lent::take(0)));
        }
    }

    fn move_to(&mut self, lent: Option<Lent>) {
        let rest = self.wire();
        let length = rest.len();
        let (lent, stash) = match lent {
            Some(mut lent) => {
                if let Some(to) = lent.0.get_mut(..length) {
                    to.copy_from_slice(rest);
                }
                (Some(lent), Box::default())
            }
            None => (None, Box::from(&*rest)),
        };
        (self.lent, self.stash, self.start, self.end) = (lent, stash, 0, length);
    }
}

/// Sealed bytes on their way to the carrier.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    lent: Option<Lent>,
    start: usize,
    end: usize,
}

impl Outbox {
    /// Bytes that wait.
    pub(super) const fn waiting(&self) -> usize {
        self.end - self.start
    }

    /// Where the next bytes go: room for so many of them, or for as many as there can be.
    pub(super) fn room(&mut self, bytes: usize) -> &mut [u8] {
        let have = self.lent.as_ref().map_or(0, |lent| lent.0.len());
        let wanted = self.waiting() + bytes;
        if self.end + bytes > have && have < SIZES.iter().copied().max().unwrap_or_default() {
            let mut larger = Lent::for_bytes(wanted);
            let waiting = self.bytes();
            if let Some(to) = larger.0.get_mut(..waiting.len()) {
                to.copy_from_slice(waiting);
            }
            (self.lent, self.start, self.end) = (Some(larger), 0, self.waiting());
        }
        let end = self.end;
        self.lent.as_mut().and_then(|lent| lent.0.get_mut(end..)).unwrap_or_default()
    }

    /// So many bytes were written to [`Self::room`].
    pub(super) fn add(&mut self, bytes: usize) {
        let have = self.lent.as_ref().map_or(0, |lent| lent.0.len());
        self.end = (self.end + bytes).min(have);
    }

    /// Sends until nothing is left.
    pub(super) fn poll_drain(&mut self, cx: &mut Context<'_>, io: &mut BoxStream) -> Poll<io::Result<()>> {
        while self.start < self.end {
            match ready!(Pin::new(&mut *io).poll_write(cx, self.bytes()))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                count => self.start += count,
            }
        }
        *self = Self::default();
        Poll::Ready(Ok(()))
    }

    fn bytes(&self) -> &[u8] {
        self.lent.as_ref().and_then(|lent| lent.0.get(self.start..self.end)).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests;
