//! SOCKS CONNECT: dial, answer, relay.

use bytes::{Bytes, BytesMut};
use commucat_net::{RelayOptions, relay};
use commucat_transport_api::{BoxStream, HostPort, Redacted, Target};
use tokio::io::AsyncWriteExt as _;

use super::negotiate::Dialect;
use crate::{
    manager::{DialFailed, Manager},
    socks::{Reply, v4, v5},
};

pub(crate) async fn serve(
    mut local: BoxStream,
    early: BytesMut,
    dialect: Dialect,
    target: HostPort,
    manager: &Manager,
) {
    tracing::debug!(target = %Redacted(&target), "a local program asks for a connection");
    let dialled = manager.stream(&Target::from_address(target)).await;
    let reply = match &dialled {
        Ok(_) => granted(dialect),
        Err(failed) => refused(dialect, failed),
    };
    if let Err(error) = local.write_all(&reply).await {
        return tracing::debug!(%error, "the local program is gone");
    }
    match dialled {
        Ok(remote) => tunnel(local, early, remote).await,
        // Ends the answer; the program may be gone already.
        Err(_told) => drop(local.shutdown().await),
    }
}

/// Passes on what the program sent ahead, then relays until both sides ended.
pub(super) async fn tunnel(local: BoxStream, early: BytesMut, mut remote: BoxStream) {
    if !early.is_empty() {
        let sent = async {
            remote.write_all(&early).await?;
            remote.flush().await
        };
        if let Err(error) = sent.await {
            commucat_net::abort(local);
            return tracing::debug!(%error, "the channel ended before it carried a byte");
        }
    }
    drop(early);
    match relay(local, remote, &RelayOptions::default()).await {
        Ok(moved) => tracing::trace!(up = moved.a_to_b, down = moved.b_to_a, "a connection ended"),
        Err(error) => tracing::debug!(%error, "a connection broke"),
    }
}

fn granted(dialect: Dialect) -> Bytes {
    match dialect {
        Dialect::Socks5 => v5::reply(Reply::Succeeded, None),
        Dialect::Socks4 => v4::reply(true),
    }
}

fn refused(dialect: Dialect, failed: &DialFailed) -> Bytes {
    match dialect {
        Dialect::Socks5 if failed.unsupported => v5::reply(Reply::CommandNotSupported, None),
        Dialect::Socks5 => v5::reply(Reply::from_evidence(failed.failure.as_ref()), None),
        Dialect::Socks4 => v4::reply(false),
    }
}
