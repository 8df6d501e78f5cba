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
/// Bytes of the pattern that is repeated; a prime number.
const PATTERN_BYTES: usize = 65_521;

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

    /// A megabyte and the ends of both directions, then so many bytes both ways at the same time.
    pub(crate) async fn through<S>(&self, streams: [S; 2], bytes: usize)
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
        bulk(connector.connect(name, second).await.unwrap(), bytes).await;
    }
}

/// Writes and reads at the same time; every byte that comes back is looked at.
pub(crate) async fn bulk(stream: impl AsyncRead + AsyncWrite + Send + 'static, bytes: usize) {
    let (mut read, mut write) = tokio::io::split(stream);
    // Short records that come whole and alone: Xray goes below TLS only with such ones.
    for _round in 0..4 {
        write.write_all(b"a question").await.unwrap();
        write.flush().await.unwrap();
        read.read_exact(&mut [0; 10]).await.unwrap();
    }
    let expected = pattern();
    let writing = tokio::spawn(async move {
        let (pattern, mut left) = (pattern(), bytes);
        while left > 0 {
            let part = &pattern[..left.min(PATTERN_BYTES)];
            write.write_all(part).await.unwrap();
            left -= part.len();
        }
        write.flush().await.unwrap();
        write
    });
    let (mut at, mut buffer) = (0, vec![0; 64 << 10]);
    while at < bytes {
        let from = at % PATTERN_BYTES;
        let room = buffer.len().min(PATTERN_BYTES - from);
        let count = read.read(&mut buffer[..room]).await.unwrap();
        assert!(count > 0, "it ended after {at} bytes");
        assert!(buffer[..count] == expected[from..from + count], "other bytes came back near {at}");
        at += count;
    }
    writing.await.unwrap().shutdown().await.unwrap();
    assert_eq!(read.read(&mut buffer).await.unwrap(), 0, "an end");
}

/// Bytes without a period of a power of two: nothing that is lost or doubled fits again.
fn pattern() -> Vec<u8> {
    let mut state = 0x9e37_79b9_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    };
    (0..PATTERN_BYTES).map(|_index| next()).collect()
}
