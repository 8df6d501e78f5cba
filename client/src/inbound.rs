//! The local port: one listener for SOCKS5, SOCKS4a and HTTP, told apart by the first byte.

mod connect;
mod forward;
mod gate;
mod http;
mod negotiate;
mod udp;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use bytes::BytesMut;
use commucat_transport_api::{BoxStream, Net, StreamPort, drive};
use tokio::{io::AsyncWriteExt as _, task::JoinSet, time::timeout};

use self::negotiate::{Negotiation, Wanted};
pub(crate) use self::{forward::serve_forward, gate::Gate};
pub use self::{
    forward::{Forward, ForwardError},
    gate::MAX_HANDSHAKES,
};
use crate::{auth::Credentials, manager::Manager};

/// Time a local program has to say what it wants.
pub const HANDSHAKE_LIMIT: Duration = Duration::from_secs(10);
/// Pause after a failed accept: the usual cause, used-up descriptors, passes only with time.
const ACCEPT_RETRY: Duration = Duration::from_millis(50);

/// What every connection of the local port shares.
#[derive(Debug)]
pub(crate) struct Local {
    pub(crate) manager: Manager,
    pub(crate) net: Arc<dyn Net>,
    pub(crate) credentials: Option<Arc<Credentials>>,
    pub(crate) gate: Arc<Gate>,
    /// Where the port listens; associations bind beside it.
    pub(crate) address: SocketAddr,
}

/// Accepts until dropped; dropping it ends every connection.
pub(crate) async fn serve_port(mut port: Box<dyn StreamPort>, local: Arc<Local>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = port.accept() => match accepted {
                Ok((stream, peer)) => {
                    connections.spawn(serve_connection(stream, peer, Arc::clone(&local)));
                }
                Err(error) => {
                    tracing::warn!(%error, "could not accept a local connection");
                    local.net.sleep_until(local.net.now() + ACCEPT_RETRY).await;
                }
            },
            Some(_ended) = connections.join_next() => {}
        }
    }
}

async fn serve_connection(mut stream: BoxStream, peer: SocketAddr, local: Arc<Local>) {
    let mut waiting = local.gate.begin_handshake();
    let negotiation = Negotiation::new(local.credentials.clone());
    let negotiated = tokio::select! {
        negotiated = timeout(HANDSHAKE_LIMIT, drive(negotiation, &mut stream, &*local.net)) => negotiated,
        () = waiting.evicted() => return tracing::debug!("a local connection made room for newer ones"),
    };
    drop(waiting);
    let (wanted, rest) = match negotiated {
        Ok(Ok(done)) => done,
        Ok(Err(error)) => {
            // Ends the answer that the negotiation may have sent; the program may be gone already.
            stream.shutdown().await.ok();
            return tracing::debug!(%error, "a local connection asked for nothing that is served");
        }
        Err(_elapsed) => return tracing::debug!("a local connection was too slow to say what it wants"),
    };
    let Some(_open) = local.gate.open() else {
        return tracing::warn!("at the limit of open connections; one was closed");
    };
    Box::pin(serve_wanted(wanted, stream, rest, peer, local)).await;
}

async fn serve_wanted(
    wanted: Wanted,
    stream: BoxStream,
    rest: BytesMut,
    peer: SocketAddr,
    local: Arc<Local>,
) {
    match wanted {
        Wanted::Connect(dialect, target) => {
            connect::serve(stream, rest, dialect, target, &local.manager).await
        }
        Wanted::UdpAssociate { from } => udp::serve(stream, peer, &from, &local).await,
        Wanted::Http(first) => http::serve(stream, rest, first.map(|first| *first), &local).await,
    }
}
