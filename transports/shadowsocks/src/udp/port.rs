//! One UDP port that many channels send through.

use std::{
    fmt, io,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, Wake, Waker},
};

use commucat_transport_api::UdpPort;

/// A port keeps one waker for sending; this one wakes all who wait.
pub(crate) struct SharedPort {
    port: Box<dyn UdpPort>,
    waiting: Arc<Waiting>,
}

#[derive(Default)]
struct Waiting(Mutex<Vec<Waker>>);

impl SharedPort {
    pub(crate) fn new(port: Box<dyn UdpPort>) -> Self {
        Self { port, waiting: Arc::default() }
    }

    /// The port itself, for its only receiver.
    pub(crate) fn port(&self) -> &dyn UdpPort {
        &*self.port
    }

    /// Sends one datagram, or has `cx` woken when there is room again.
    pub(crate) fn poll_send_to(
        &self,
        cx: &mut Context<'_>,
        datagram: &[u8],
        to: SocketAddr,
    ) -> Poll<io::Result<()>> {
        let waker = Waker::from(Arc::clone(&self.waiting));
        let first = self.port.poll_send_to(&mut Context::from_waker(&waker), datagram, to);
        if first.is_ready() {
            return first;
        }
        {
            let mut waiting = self.waiting.0.lock().unwrap_or_else(PoisonError::into_inner);
            if !waiting.iter().any(|other| other.will_wake(cx.waker())) {
                waiting.push(cx.waker().clone());
            }
        }
        // Room that came before we were in the list woke nobody: look once more.
        let second = self.port.poll_send_to(&mut Context::from_waker(&waker), datagram, to);
        if second.is_ready() {
            self.waiting.wake_by_ref();
        }
        second
    }
}

impl fmt::Debug for SharedPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SharedPort").field(&self.port).finish()
    }
}

impl Wake for Waiting {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let all = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        all.into_iter().for_each(Waker::wake);
    }
}
