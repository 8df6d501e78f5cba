//! What a stranger gets: the site itself, byte for byte.

mod bucket;
mod metered;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use commucat_transport_api::{BoxStream, Net, abort};
use tokio::{io::AsyncWriteExt as _, sync::Semaphore};

use self::metered::Metered;
use crate::config::FallbackLimit;

/// Strangers that are passed on at the same time. Beyond it the newest are reset, as an overloaded site does.
pub(crate) const MAX_STRANGERS: usize = 4096;
/// Bytes moved at once in each direction.
const COPY_BYTES: usize = 16 << 10;
/// A visit in which nothing moves for this long is over. Sites end what is idle long before; how long they let a visitor
/// stay who reads is theirs to say.
const IDLE_TIME: Duration = Duration::from_hours(1);

/// Passes a stranger on to the target: first what the target has said already, then both ways until both ended. What
/// one side breaks is broken on the other.
pub(crate) async fn visit(
    mut stranger: BoxStream,
    target: BoxStream,
    said: &[u8],
    slots: &Arc<Semaphore>,
    limit: &FallbackLimit,
    net: &Arc<dyn Net>,
) {
    let Ok(_slot) = Arc::clone(slots).try_acquire_owned() else {
        abort((stranger, target));
        return;
    };
    let written = async {
        stranger.write_all(said).await?;
        stranger.flush().await
    };
    if written.await.is_err() {
        abort((stranger, target));
        return;
    }
    let moved = Arc::new(AtomicU64::new(0));
    let mut stranger = Metered::new(stranger, limit.up, &moved, net);
    let mut target = Metered::new(target, limit.down, &moved, net);
    let passed = async {
        tokio::select! {
            copied = tokio::io::copy_bidirectional_with_sizes(&mut stranger, &mut target, COPY_BYTES, COPY_BYTES) => {
                copied.is_ok()
            }
            () = idle(&**net, &moved) => false,
        }
    };
    if !passed.await {
        abort((stranger, target));
    }
}

/// Ends when nothing has moved for a while: for the idle time, and never for twice as long.
async fn idle(net: &dyn Net, moved: &AtomicU64) {
    let mut before = None;
    loop {
        let now = moved.load(Ordering::Relaxed);
        if before.replace(now) == Some(now) {
            return;
        }
        net.sleep_until(net.now() + IDLE_TIME).await;
    }
}

#[cfg(test)]
mod tests;
