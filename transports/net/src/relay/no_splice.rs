//! A system whose kernel moves no bytes between sockets: everything is copied.

use std::{
    io,
    task::{Context, Poll},
};

use tokio::net::TcpStream;

/// What the kernel does of one direction: nothing.
#[derive(Default)]
pub(super) struct Kernel;

#[allow(clippy::unused_self, reason = "the same calls as where there is a splice")]
impl Kernel {
    pub(super) const fn held(&self) -> usize {
        0
    }

    pub(super) const fn can(&self) -> bool {
        false
    }

    pub(super) const fn poll_fill(
        &mut self,
        _cx: &mut Context<'_>,
        _source: &TcpStream,
    ) -> Poll<io::Result<Option<usize>>> {
        Poll::Ready(Ok(None))
    }

    pub(super) const fn poll_drain(
        &mut self,
        _cx: &mut Context<'_>,
        _sink: &TcpStream,
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(0))
    }

    pub(super) const fn release(&mut self) {}
}
