//! Accepts TCP connections and gives each a task.

use std::{net::SocketAddr, sync::Arc};

use commucat_transport_api::Redacted;
use tokio::{
    net::{TcpListener, TcpStream},
    time::sleep,
};

use crate::{
    connection::{self, Shared},
    limits::ACCEPT_PAUSE,
};

/// Accepts until the server drains.
pub(crate) async fn run(listener: TcpListener, shared: Arc<Shared>) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = shared.draining.cancelled() => return,
        };
        match accepted {
            Ok((stream, peer)) => admit(&shared, stream, peer),
            Err(error) => {
                // Most often no descriptors are left. Waiting lets connections end; not waiting would spin.
                tracing::debug!(%error, "a connection could not be accepted");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

fn admit(shared: &Arc<Shared>, stream: TcpStream, peer: SocketAddr) {
    let Some(pass) = shared.gate.enter(peer.ip()) else {
        shared.counters.refused.add();
        return;
    };
    shared.counters.connections.add();
    let shared = Arc::clone(shared);
    let tasks = shared.tasks.clone();
    tasks.spawn(async move {
        let _pass = pass;
        if let Err(error) = connection::serve(&shared, stream, peer).await {
            tracing::debug!(peer = %Redacted(peer), %error, "a connection ended");
        }
    });
}
