//! Streams over streams, of which a direction may become just that of the stream below: then bytes can go past them.
//!
//! A relay that finds a socket of the machine at the bottom of both its streams lets the kernel move the bytes. A layer in
//! between says when that is right, and hears how many went past.

use std::{
    any::Any,
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::{BoxStream, ByteStream};

/// A stream over another one. [`Layered`] makes it one that can be recognised.
pub trait Layer: ByteStream {
    /// The stream below, when everything that is still to be read is what that one gives, byte for byte. From then on it
    /// always is, and only the end of the stream is still read through this one.
    fn read_below(&mut self) -> Option<&mut BoxStream>;
    /// The stream below, when nothing written waits here and everything written goes there, byte for byte. From then on
    /// it always does, and flush and shutdown still come through this one.
    fn write_below(&mut self) -> Option<&mut BoxStream>;
    /// So many bytes were read past this stream from the one below.
    fn passed_in(&mut self, _bytes: usize) {}
    /// So many bytes were written past this stream to the one below.
    fn passed_out(&mut self, _bytes: usize) {}
}

/// A [`Layer`] as a stream.
#[derive(Debug)]
pub struct Layered(Box<dyn Layer>);

impl Layered {
    /// The stream of that layer.
    pub fn boxed(layer: impl Layer) -> BoxStream {
        Box::new(Self(Box::new(layer)))
    }
}

/// The stream of that type from which all that is still to be read of `stream` comes as it is.
pub fn reader_below<T: ByteStream>(stream: &mut BoxStream) -> Option<&mut T> {
    let stream: &mut dyn Any = &mut **stream;
    if stream.is::<Layered>() {
        return reader_below(stream.downcast_mut::<Layered>()?.0.read_below()?);
    }
    stream.downcast_mut()
}

/// The stream of that type to which all that is written to `stream` goes as it is.
pub fn writer_below<T: ByteStream>(stream: &mut BoxStream) -> Option<&mut T> {
    let stream: &mut dyn Any = &mut **stream;
    if stream.is::<Layered>() {
        return writer_below(stream.downcast_mut::<Layered>()?.0.write_below()?);
    }
    stream.downcast_mut()
}

/// Tells all layers that so many bytes were read from [`reader_below`].
pub fn passed_in(stream: &mut BoxStream, bytes: usize) {
    let stream: &mut dyn Any = &mut **stream;
    let Some(Layered(layer)) = stream.downcast_mut() else { return };
    layer.passed_in(bytes);
    if let Some(below) = layer.read_below() {
        passed_in(below, bytes);
    }
}

/// Tells all layers that so many bytes were written to [`writer_below`].
pub fn passed_out(stream: &mut BoxStream, bytes: usize) {
    let stream: &mut dyn Any = &mut **stream;
    let Some(Layered(layer)) = stream.downcast_mut() else { return };
    layer.passed_out(bytes);
    if let Some(below) = layer.write_below() {
        passed_out(below, bytes);
    }
}

impl AsyncRead for Layered {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for Layered {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.0).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.0).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    };

    use tokio::io::{DuplexStream, duplex};

    use super::*;

    /// Counts, and is out of the way once told.
    #[derive(Debug)]
    struct Counting {
        inner: BoxStream,
        clear: bool,
        counts: Arc<[AtomicUsize; 2]>,
    }

    impl AsyncRead for Counting {
        fn poll_read(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            buf: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            Pin::new(&mut self.inner).poll_read(cx, buf)
        }
    }

    impl AsyncWrite for Counting {
        fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
            Pin::new(&mut self.inner).poll_write(cx, buf)
        }

        fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            Pin::new(&mut self.inner).poll_flush(cx)
        }

        fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            Pin::new(&mut self.inner).poll_shutdown(cx)
        }
    }

    impl Layer for Counting {
        fn read_below(&mut self) -> Option<&mut BoxStream> {
            self.clear.then_some(&mut self.inner)
        }

        fn write_below(&mut self) -> Option<&mut BoxStream> {
            self.clear.then_some(&mut self.inner)
        }

        fn passed_in(&mut self, bytes: usize) {
            self.counts[0].fetch_add(bytes, Ordering::Relaxed);
        }

        fn passed_out(&mut self, bytes: usize) {
            self.counts[1].fetch_add(bytes, Ordering::Relaxed);
        }
    }

    fn two_layers(lower_is_clear: bool) -> (BoxStream, Arc<[AtomicUsize; 2]>) {
        let counts = Arc::<[AtomicUsize; 2]>::default();
        let counting = |inner, clear| Counting { inner, clear, counts: Arc::clone(&counts) };
        let lower = Layered::boxed(counting(Box::new(duplex(1).0), lower_is_clear));
        (Layered::boxed(counting(lower, true)), Arc::clone(&counts))
    }

    #[test]
    fn the_bottom_is_found_through_clear_layers_and_each_of_them_counts() {
        let (mut stream, counts) = two_layers(true);
        assert!(reader_below::<DuplexStream>(&mut stream).is_some());
        assert!(writer_below::<DuplexStream>(&mut stream).is_some());
        assert!(writer_below::<tokio::io::Empty>(&mut stream).is_none());
        passed_in(&mut stream, 5);
        passed_out(&mut stream, 7);
        assert_eq!([&counts[0], &counts[1]].map(|count| count.load(Ordering::Relaxed)), [10, 14]);
    }

    #[test]
    fn a_layer_that_changes_bytes_hides_what_is_below() {
        let (mut stream, _) = two_layers(false);
        assert!(reader_below::<DuplexStream>(&mut stream).is_none());
        assert!(writer_below::<DuplexStream>(&mut stream).is_none());
        let mut bare: BoxStream = Box::new(duplex(1).0);
        assert!(reader_below::<DuplexStream>(&mut bare).is_some());
        passed_in(&mut bare, 1);
    }
}
