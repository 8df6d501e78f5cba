//! The web site of the demo: a page and a large file without a pattern.

use std::{convert::Infallible, net::SocketAddr};

use anyhow::Context as _;
use bytes::Bytes;
use http_body_util::Full;
use hyper::{Request, Response, body::Incoming, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpListener, task::JoinSet};

const PAGE: &str = "<!doctype html><title>It works</title><p>This page came through the tunnel.\n";

/// The running site; it ends when dropped.
pub(super) struct Origin {
    pub(super) address: SocketAddr,
    pub(super) page_digest: blake3::Hash,
    pub(super) file_digest: blake3::Hash,
    _running: JoinSet<()>,
}

impl Origin {
    pub(super) async fn start(file_bytes: u64) -> anyhow::Result<Self> {
        let page = Bytes::from_static(PAGE.as_bytes());
        let file = incompressible(usize::try_from(file_bytes)?);
        let (page_digest, file_digest) = (blake3::hash(&page), blake3::hash(&file));
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.context("cannot listen on loopback")?;
        let address = listener.local_addr()?;
        let mut running = JoinSet::new();
        running.spawn(serve(listener, page, file));
        Ok(Self { address, page_digest, file_digest, _running: running })
    }
}

/// Bytes that no layer can shrink: the output stream of a hash.
fn incompressible(length: usize) -> Bytes {
    let mut bytes = vec![0; length];
    blake3::Hasher::new().update(b"commucat demo file").finalize_xof().fill(&mut bytes);
    bytes.into()
}

async fn serve(listener: TcpListener, page: Bytes, file: Bytes) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _peer)) = listener.accept().await {
        let (page, file) = (page.clone(), file.clone());
        let service = service_fn(move |request| answer(request, page.clone(), file.clone()));
        connections.spawn(async move {
            // A client that leaves early is its own business.
            hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await
                .ok();
        });
    }
}

async fn answer(
    request: Request<Incoming>,
    page: Bytes,
    file: Bytes,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (status, body) = match request.uri().path() {
        "/page" => (200, page),
        "/file" => (200, file),
        _ => (404, Bytes::new()),
    };
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = hyper::StatusCode::from_u16(status).unwrap_or_default();
    std::future::ready(Ok(response)).await
}
