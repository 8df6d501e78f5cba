//! TLS inside the tunnel: a server on loopback, and a client that moves much through it.

use std::{net::SocketAddr, sync::Arc};

use commucat_tests_interop::shadowsocks::{Ending, exchange};
use rustls::{
    ClientConfig, RootCertStore, ServerConfig, SupportedProtocolVersion,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpListener,
};
use tokio_rustls::{TlsAcceptor, TlsConnector};

const NAME: &str = "inner.example.org";
/// Bytes up and bytes down of a big transfer.
const BULK_BYTES: usize = 8 << 20;

/// An echo server that speaks TLS.
pub(crate) struct Inner {
    pub(crate) address: SocketAddr,
    certificate: CertificateDer<'static>,
}

impl Inner {
    pub(crate) async fn start(version: &'static SupportedProtocolVersion) -> Self {
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate =
            rcgen::CertificateParams::new(vec![NAME.to_owned()]).unwrap().self_signed(&key).unwrap();
        let private = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let config = ServerConfig::builder_with_protocol_versions(&[version])
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], private)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    let (mut read, mut write) = tokio::io::split(acceptor.accept(stream).await?);
                    let mut buffer = vec![0; 64 << 10];
                    loop {
                        match read.read(&mut buffer).await? {
                            0 => return write.shutdown().await,
                            count => write.write_all(&buffer[..count]).await?,
                        }
                        write.flush().await?;
                    }
                });
            }
        });
        Self { address, certificate: certificate.der().clone() }
    }

    /// A megabyte and the ends of both directions, then many megabytes both ways at the same time.
    pub(crate) async fn through<S>(&self, streams: [S; 2])
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone()).unwrap();
        let config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        let connector = TlsConnector::from(Arc::new(config));
        let name = ServerName::try_from(NAME).unwrap();
        let [first, second] = streams;
        let tls = connector.connect(name.clone(), first).await.unwrap();
        exchange(tls, Ending::AfterAnswer).await.unwrap();
        bulk(connector.connect(name, second).await.unwrap()).await;
    }
}

/// Writes and reads at the same time; every byte that comes back is looked at.
async fn bulk(stream: impl AsyncRead + AsyncWrite + Send + 'static) {
    let (mut read, mut write) = tokio::io::split(stream);
    let byte = |at: usize| (at / 7 + at / 65_521).to_le_bytes()[0];
    let writing = tokio::spawn(async move {
        let mut at = 0;
        while at < BULK_BYTES {
            let chunk: Vec<u8> = (at..(at + 50_000).min(BULK_BYTES)).map(byte).collect();
            write.write_all(&chunk).await.unwrap();
            at += chunk.len();
        }
        write.flush().await.unwrap();
        write
    });
    let (mut at, mut buffer) = (0, vec![0; 64 << 10]);
    while at < BULK_BYTES {
        let count = read.read(&mut buffer).await.unwrap();
        assert!(count > 0, "it ended after {at} bytes");
        let right = buffer[..count].iter().enumerate().all(|(more, got)| *got == byte(at + more));
        assert!(right, "other bytes came back near {at}");
        at += count;
    }
    writing.await.unwrap().shutdown().await.unwrap();
}
