//! The site that REALITY servers imitate: a TLS 1.3 server of the harness, the same for every product. It runs in this process, so its cost is
//! counted for nobody.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    thread::{self, JoinHandle},
    time::Duration,
};

use anyhow::Context;
use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256};
use rustls::{
    ServerConfig,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};
use tokio::{
    io::AsyncReadExt,
    net::{TcpListener, TcpSocket, TcpStream},
    sync::oneshot,
    time::timeout,
};
use tokio_rustls::TlsAcceptor;

use super::credentials::SERVER_NAME;

/// Connections the kernel may hold before they are accepted.
const BACKLOG: u32 = 1024;
/// The longest life of a connection.
const CONNECTION_LIMIT: Duration = Duration::from_secs(60);
/// Names in the certificate, so that its record is long enough to be imitated, as those of real sites are.
const NAMES: usize = 32;

/// A running site. Dropping it ends it.
#[derive(Debug)]
pub struct Site {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Site {
    /// Listens on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// When no certificate, port or thread can be had.
    pub fn start() -> anyhow::Result<Self> {
        let acceptor = TlsAcceptor::from(Arc::new(config().context("making the site's certificate")?));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let listener = runtime.block_on(async { listen() })?;
        let address = listener.local_addr()?;
        let (stop, stopped) = oneshot::channel();
        let thread = thread::Builder::new().name("bench-site".into()).spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    () = accept(&listener, &acceptor) => {}
                    _ = stopped => {}
                }
            });
        })?;
        Ok(Self { address, stop: Some(stop), thread: Some(thread) })
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.stop.take();
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

/// TLS 1.3 with X25519MLKEM768 before X25519, an ECDSA P-256 certificate, and the protocols that browsers ask for.
fn config() -> anyhow::Result<ServerConfig> {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let others = (1..NAMES).map(|number| format!("name-{number}.{SERVER_NAME}"));
    let names: Vec<String> = std::iter::once(SERVER_NAME.to_owned()).chain(others).collect();
    let certificate = CertificateParams::new(names)?.self_signed(&key)?;
    let private = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let mut config = ServerConfig::builder_with_protocol_versions(&[&rustls::version::TLS13])
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], private)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

fn listen() -> io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.bind((Ipv4Addr::LOCALHOST, 0).into())?;
    socket.listen(BACKLOG)
}

async fn accept(listener: &TcpListener, acceptor: &TlsAcceptor) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Out of descriptors: let some connections end first.
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        let acceptor = acceptor.clone();
        tokio::spawn(async move {
            // A bridge leaves in the middle of the handshake: that is how it imitates.
            timeout(CONNECTION_LIMIT, serve(stream, &acceptor)).await.map_or(Ok(()), |served| served).ok();
        });
    }
}

async fn serve(stream: TcpStream, acceptor: &TlsAcceptor) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut tls = acceptor.accept(stream).await?;
    let mut heard = [0; 4096];
    while tls.read(&mut heard).await? > 0 {}
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_site_prefers_what_bridges_need() {
        let config = config().unwrap();
        let groups: Vec<_> = config.crypto_provider().kx_groups.iter().map(|group| group.name()).collect();
        assert_eq!(groups[0], rustls::NamedGroup::X25519MLKEM768);
        assert!(groups.contains(&rustls::NamedGroup::X25519));
        assert_ne!(Site::start().unwrap().address(), Site::start().unwrap().address());
    }
}
