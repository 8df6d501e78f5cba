//! What systemd wants to hear: ready, reloading, stopping, still alive. Without systemd nothing happens.

use std::{sync::Arc, time::Duration};

use commucat_transport_api::Net;
use sd_notify::NotifyState;

/// The bridge listens.
pub fn ready() {
    tell(&[NotifyState::Ready]);
}

/// The bridge takes a new configuration; say [`ready`] after it.
pub fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(error) => tracing::debug!(%error, "no monotonic clock for systemd"),
    }
}

/// The bridge ends.
pub fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// How often systemd wants a sign of life, when it does.
pub(crate) fn watchdog_interval() -> Option<Duration> {
    sd_notify::watchdog_enabled().map(|limit| limit / 2)
}

/// Gives signs of life for ever. It runs on the same runtime as the connections: when that one hangs, so does this.
pub(crate) async fn watchdog(every: Duration, net: Arc<dyn Net>) {
    loop {
        tell(&[NotifyState::Watchdog]);
        net.sleep_until(net.now() + every).await;
    }
}

fn tell(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::debug!(%error, "systemd does not listen");
    }
}
