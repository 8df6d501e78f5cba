//! A client over QUIC: quinn, which sends what RFC 9000 asks for and nothing to please a censor.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
};

use commucat_control::wire;
use quinn::{ClientConfig, Endpoint, EndpointConfig, TokioRuntime, crypto::rustls::QuicClientConfig};
use rustls::crypto::aws_lc_rs::kx_group;
use tokio::{net::UdpSocket, time::timeout};

use super::{Outcome, Scene, secure, stream::Fetch};

/// QUIC version 1 (RFC 9000 §15).
pub(super) const V1: u32 = 1;
/// The last draft before it, which servers still speak (draft-ietf-quic-transport-29).
pub(super) const DRAFT_29: u32 = 0xff00_001d;

/// A QUIC connection that fetches from a control server.
#[derive(Clone, Debug)]
pub(super) struct Visit<'a> {
    /// Where.
    pub(super) at: SocketAddr,
    /// The server name.
    pub(super) name: &'a str,
    /// How many bytes to fetch.
    pub(super) bytes: u64,
    /// The version to speak.
    pub(super) version: u32,
    /// The port to send from; 0 for any, which lies above the ports of servers.
    pub(super) from: u16,
    /// A datagram to send before everything else, from the same port.
    pub(super) before: Option<Vec<u8>>,
}

impl Visit<'_> {
    /// Connects and fetches.
    pub(super) async fn fetch(self, scene: &Scene) -> Outcome {
        match self.run(scene).await {
            Ok(outcome) | Err(outcome) => outcome,
        }
    }

    async fn run(self, scene: &Scene) -> Result<Outcome, Outcome> {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, self.from)).await.map_err(Outcome::failed)?;
        if let Some(before) = &self.before {
            socket.send_to(before, self.at).await.map_err(Outcome::failed)?;
        }
        let socket = socket.into_std().map_err(Outcome::failed)?;
        let endpoint = Endpoint::new(EndpointConfig::default(), None, socket, Arc::new(TokioRuntime));
        let endpoint = endpoint.map_err(Outcome::failed)?;
        let connecting =
            endpoint.connect_with(self.config(scene)?, self.at, self.name).map_err(Outcome::failed)?;
        let silent = Outcome::Silent { bytes: 0 };
        let connection = match timeout(scene.patience(), connecting).await {
            Ok(connected) => connected.map_err(Outcome::failed)?,
            Err(_elapsed) => return Err(silent),
        };
        let opening = timeout(scene.patience(), connection.open_bi()).await;
        let (send, receive) = opening.map_err(|_elapsed| silent)?.map_err(Outcome::failed)?;
        let fetch = Fetch { host: self.name, bytes: self.bytes, control: true };
        let outcome = fetch.over(scene, &mut tokio::io::join(receive, send)).await;
        connection.close(0_u32.into(), b"");
        Ok(outcome)
    }

    /// Without a post-quantum key, so that the hello with its name always fits into the first datagram.
    fn config(&self, scene: &Scene) -> Result<ClientConfig, Outcome> {
        let mut tls = secure::config_with(scene, false, vec![kx_group::X25519])?;
        tls.alpn_protocols = vec![wire::ALPN_PROBE.to_vec()];
        let crypto = QuicClientConfig::try_from(tls).map_err(Outcome::failed)?;
        let mut config = ClientConfig::new(Arc::new(crypto));
        config.version(self.version);
        Ok(config)
    }
}
