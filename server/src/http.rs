//! HTTP/1.1 over any stream: a channel of a transport, or a socket of the bridge's own (admin, API behind a proxy).

use std::{net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use axum::Router;
use commucat_transport_api::{BoxStream, Net, StreamPort};
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::session::ACCEPT_BACKOFF;

/// Longest wait for the head of a request.
const HEADER_TIMEOUT: Duration = Duration::from_secs(15);
/// Largest request head, in bytes.
const MAX_HEAD_BYTES: usize = 32 * 1024;
/// Most header lines of a request.
const MAX_HEADERS: usize = 64;
/// Most connections to one of the bridge's own HTTP sockets.
const MAX_LOCAL_CONNECTIONS: usize = 256;
/// Longest life of a connection to one of them.
const LOCAL_CONNECTION_LIFE: Duration = Duration::from_secs(600);

/// Answers requests on one stream until it ends, for at most `life`; after `draining` only the request that runs.
pub(crate) async fn serve_http(
    stream: BoxStream,
    router: Router,
    life: Duration,
    draining: CancellationToken,
) {
    let serve = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_buf_size(MAX_HEAD_BYTES)
        .max_headers(MAX_HEADERS)
        .half_close(true)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    let serve = async {
        let mut serve = pin!(serve);
        tokio::select! {
            ended = serve.as_mut() => return ended,
            () = draining.cancelled() => {}
        }
        serve.as_mut().graceful_shutdown();
        serve.await
    };
    match tokio::time::timeout(life, serve).await {
        Ok(Ok(())) | Err(_) => {}
        Ok(Err(error)) => tracing::debug!(%error, "HTTP connection ended"),
    }
}

/// Accepts connections as long as it is polled; `router` makes the routes for each of them.
pub(crate) async fn serve_port(
    mut port: Box<dyn StreamPort>,
    router: impl Fn(SocketAddr) -> Router + Send,
    net: Arc<dyn Net>,
    draining: CancellationToken,
) {
    let mut open = JoinSet::new();
    let mut pause = ACCEPT_BACKOFF.0;
    loop {
        while open.try_join_next().is_some() {}
        if open.len() >= MAX_LOCAL_CONNECTIONS {
            open.join_next().await;
            continue;
        }
        match port.accept().await {
            Ok((stream, peer)) => {
                pause = ACCEPT_BACKOFF.0;
                open.spawn(serve_http(stream, router(peer), LOCAL_CONNECTION_LIFE, draining.clone()));
            }
            Err(error) => {
                tracing::warn!(%error, "could not accept an HTTP connection");
                net.sleep_until(net.now() + pause).await;
                pause = (pause * 2).min(ACCEPT_BACKOFF.1);
            }
        }
    }
}

/// Listens for HTTP and says where.
///
/// # Errors
/// The system's reason.
pub(crate) async fn listen(
    net: &Arc<dyn Net>,
    bind: SocketAddr,
) -> std::io::Result<(Box<dyn StreamPort>, SocketAddr)> {
    let port = net.listen_stream(bind).await?;
    let local = port.local_addr()?;
    Ok((port, local))
}
