//! What a stranger gets: the site itself, byte for byte.

use std::{sync::Arc, time::Duration};

use commucat_transport_api::{BoxStream, abort};
use tokio::{io::AsyncWriteExt as _, sync::Semaphore};

/// Strangers that are passed on at the same time. Beyond it the newest are reset, as an overloaded site does.
pub(crate) const MAX_STRANGERS: usize = 4096;
/// Bytes moved at once in each direction.
const COPY_BYTES: usize = 16 << 10;
/// How long a stranger may be passed on at all: a day. The site itself ends what is idle long before.
pub(crate) const MAX_VISIT: Duration = Duration::from_hours(24);

/// Passes a stranger on to the target: first what the target has said already, then both ways until both ended. What
/// one side breaks is broken on the other.
pub(crate) async fn visit(
    mut stranger: BoxStream,
    mut target: BoxStream,
    said: &[u8],
    slots: &Arc<Semaphore>,
) {
    let Ok(_slot) = Arc::clone(slots).try_acquire_owned() else {
        abort((stranger, target));
        return;
    };
    let passed = async {
        stranger.write_all(said).await?;
        stranger.flush().await?;
        tokio::io::copy_bidirectional_with_sizes(&mut stranger, &mut target, COPY_BYTES, COPY_BYTES).await
    };
    if passed.await.is_err() {
        abort((stranger, target));
    }
}
