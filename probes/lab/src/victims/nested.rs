//! HTTPS through a TLS tunnel, as Trojan and its kin carry it, and HTTPS alone.

use std::{io, net::SocketAddr, sync::Arc};

use commucat_net::{RelayOptions, relay};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::{
    Outcome, Scene,
    scene::at,
    secure::{self, Https},
    stream,
};
use crate::services::{BRIDGE, CONTROL_FOREIGN, INNOCENT_NAME};

/// Bytes of a page: of the size that follows a handshake of the published models, or far from it.
const INNER_PAGE: u64 = 1000;
const PLAIN_PAGE: u64 = 20_000;
/// Requests on a connection.
const REQUESTS: usize = 4;

/// HTTPS inside TLS: the outer connection ends at a relay in the world, the inner one at a web site.
pub(super) async fn through_relay(scene: &Scene) -> Outcome {
    match try_through(scene).await {
        Ok(outcome) | Err(outcome) => outcome,
    }
}

async fn try_through(scene: &Scene) -> Result<Outcome, Outcome> {
    let bridge = at(BRIDGE, 443);
    let target = scene.site(INNOCENT_NAME);
    let listener = scene.in_world(TcpListener::bind(bridge)).await?;
    let tls = TlsAcceptor::from(Arc::clone(scene.bridge_tls()));
    scene.leave_in_world(async move {
        // One client, one connection; how it ended the client saw.
        drop(carry(&listener, tls, target).await);
    });
    let outer = stream::connect(scene, bridge).await?;
    let outer = secure::handshake(scene, outer, INNOCENT_NAME, false).await?;
    let mut inner = secure::handshake(scene, outer, INNOCENT_NAME, false).await?;
    let request = Https::site(scene, INNOCENT_NAME, INNER_PAGE).request();
    several(scene, request, &mut inner).await
}

async fn carry(listener: &TcpListener, tls: TlsAcceptor, target: SocketAddr) -> io::Result<()> {
    let (client, _) = listener.accept().await?;
    client.set_nodelay(true)?;
    let client = tls.accept(client).await?;
    let site = TcpStream::connect(target).await?;
    site.set_nodelay(true)?;
    relay(Box::new(client), Box::new(site), &RelayOptions::default()).await.map_err(io::Error::other)?;
    Ok(())
}

/// HTTPS to a server on the same network, several requests on one connection.
pub(super) async fn alone(scene: &Scene) -> Outcome {
    let https = Https::control(at(CONTROL_FOREIGN, 443), INNOCENT_NAME, PLAIN_PAGE);
    let work = async {
        let tcp = stream::connect(scene, https.at).await?;
        let mut tls = secure::handshake(scene, tcp, INNOCENT_NAME, false).await?;
        several(scene, https.request(), &mut tls).await
    };
    match work.await {
        Ok(outcome) | Err(outcome) => outcome,
    }
}

async fn several<S>(scene: &Scene, request: stream::Fetch<'_>, stream: &mut S) -> Result<Outcome, Outcome>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    let mut bytes = 0;
    for _ in 0..REQUESTS {
        match request.over(scene, stream).await {
            Outcome::Intact { bytes: more } => bytes += more,
            other => return Ok(other),
        }
    }
    Ok(Outcome::Intact { bytes })
}
