//! What a stranger gets: silence. A connection that failed is read until it ends and never answered, so that it
//! looks like one that still waits for bytes, and nobody learns how many bytes we looked at.

use std::{
    future::poll_fn,
    pin::pin,
    sync::Arc,
    task::Poll,
    time::{Duration, Instant},
};

use commucat_transport_api::{BoxStream, Net};
use tokio::{
    io::{AsyncRead as _, ReadBuf},
    sync::Semaphore,
};

use crate::buffer::Lent;

/// Strangers that are listened to at the same time. Beyond it the newest are closed.
pub(crate) const MAX_STRANGERS: usize = 2048;
/// Bytes that are taken from one stranger before he is closed: 16 MiB.
const MAX_BYTES: u64 = 16 << 20;
/// A connection that never authenticates lives at least this long, whatever it sent or did not send…
const AGE_LEAST: Duration = Duration::from_secs(60);
/// …and up to this much longer.
const AGE_SPREAD: Duration = Duration::from_secs(120);

/// When a connection that began now is closed if it never authenticates. Drawn once, before its first byte, so
/// that silence, garbage and replays end alike.
pub(crate) fn closing_time(net: &dyn Net) -> Instant {
    let mut random = [0; 4];
    // Without randomness the time is fixed, which is the lesser evil.
    let part = net
        .fill_random(&mut random)
        .map_or(0.0, |()| f64::from(u32::from_le_bytes(random)) / f64::from(u32::MAX));
    net.now() + AGE_LEAST + AGE_SPREAD.mul_f64(part)
}

/// Reads until the stranger ends, his time is up or he sent too much. Holds a buffer only while bytes come.
pub(crate) async fn listen_silently(
    mut io: BoxStream,
    until: Instant,
    net: &dyn Net,
    slots: &Arc<Semaphore>,
) {
    let Ok(_slot) = Arc::clone(slots).try_acquire_owned() else { return };
    let mut timer = pin!(net.sleep_until(until));
    let mut taken = 0u64;
    poll_fn(|cx| {
        if timer.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        loop {
            let mut lent = Lent::take();
            let mut room = ReadBuf::new(lent.bytes());
            match std::pin::Pin::new(&mut io).poll_read(cx, &mut room) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Err(_gone)) => return Poll::Ready(()),
                Poll::Ready(Ok(())) => {}
            }
            taken += room.filled().len() as u64;
            if room.filled().is_empty() || taken > MAX_BYTES {
                return Poll::Ready(());
            }
        }
    })
    .await;
}
