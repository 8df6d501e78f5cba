//! Hellos as somebody on the way would record or change them.

use std::{
    io,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use commucat_net::SystemNet;
use commucat_reality::Reality;
use commucat_tests_interop::{RelayBridge, shadowsocks::user};
use commucat_transport_api::{
    BoxFuture, BoxStream, Cx, HostPort, Net, PluggableTransport as _, Spec, StreamPort, Target, UdpPort,
};
use rustls::{ClientConfig, ClientConnection, RootCertStore, pki_types::ServerName, version::TLS12};
use tokio::{io::AsyncReadExt as _, net::TcpListener};

use crate::{PATIENCE, targets::NAME};

/// A hello that a client of that bridge makes, which the bridge has not seen.
pub(crate) async fn ours(bridge: &RelayBridge) -> Vec<u8> {
    changed(bridge, |_spec| ()).await
}

/// The same from a client that was told something else.
pub(crate) async fn changed(bridge: &RelayBridge, change: impl FnOnce(&mut Spec)) -> Vec<u8> {
    recorded(bridge, change, SystemNet::new()).await
}

/// The same from a client whose clock is an hour behind.
pub(crate) async fn late(bridge: &RelayBridge) -> Vec<u8> {
    recorded(bridge, |_spec| (), Arc::new(Late(SystemNet::new()))).await
}

async fn recorded(bridge: &RelayBridge, change: impl FnOnce(&mut Spec), net: Arc<dyn Net>) -> Vec<u8> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut spec = bridge.client_spec(&user("anna", 1)).unwrap();
    spec.endpoint = listener.local_addr().unwrap().into();
    change(&mut spec);
    let client = Reality::new().client(&spec).unwrap();
    let dialling = tokio::spawn(async move {
        let target = Target::Stream(SocketAddr::from(([192, 0, 2, 1], 80)).into());
        client.dial(&Cx::new(net, PATIENCE), &target).await.map(drop)
    });
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut head = [0; 5];
    stream.read_exact(&mut head).await.unwrap();
    let mut body = vec![0; usize::from(u16::from_be_bytes([head[3], head[4]]))];
    stream.read_exact(&mut body).await.unwrap();
    dialling.abort();
    [&head[..], &body].concat()
}

/// A hello for the site without TLS 1.3.
pub(crate) fn without_tls_1_3() -> Vec<u8> {
    let config = ClientConfig::builder_with_protocol_versions(&[&TLS12])
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    let mut client = ClientConnection::new(Arc::new(config), ServerName::try_from(NAME).unwrap()).unwrap();
    let mut wire = Vec::new();
    while client.wants_write() {
        client.write_tls(&mut wire).unwrap();
    }
    wire
}

/// A hello in two records.
pub(crate) fn in_two_records(hello: &[u8]) -> Vec<u8> {
    let (first, second) = hello[5..].split_at(100);
    [first, second]
        .into_iter()
        .flat_map(|part| [&[22, 3, 1][..], &u16::try_from(part.len()).unwrap().to_be_bytes(), part].concat())
        .collect()
}

/// A machine whose clock is an hour behind.
#[derive(Debug)]
struct Late(Arc<dyn Net>);

impl Net for Late {
    fn connect_stream<'a>(&'a self, to: &'a HostPort) -> BoxFuture<'a, io::Result<BoxStream>> {
        self.0.connect_stream(to)
    }

    fn bind_datagram(&self, local: SocketAddr) -> BoxFuture<'_, io::Result<Box<dyn UdpPort>>> {
        self.0.bind_datagram(local)
    }

    fn listen_stream(&self, local: SocketAddr) -> BoxFuture<'_, io::Result<Box<dyn StreamPort>>> {
        self.0.listen_stream(local)
    }

    fn resolve<'a>(&'a self, to: &'a HostPort) -> BoxFuture<'a, io::Result<Vec<SocketAddr>>> {
        self.0.resolve(to)
    }

    fn now(&self) -> Instant {
        self.0.now()
    }

    fn unix_time(&self) -> Duration {
        self.0.unix_time().saturating_sub(Duration::from_secs(3600))
    }

    fn sleep_until(&self, at: Instant) -> BoxFuture<'static, ()> {
        self.0.sleep_until(at)
    }

    fn fill_random(&self, bytes: &mut [u8]) -> io::Result<()> {
        self.0.fill_random(bytes)
    }
}
