//! A site with TLS 1.3, as a task.

use std::sync::Arc;

use commucat_transport_api::{HostPort, Net};
use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer},
};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_rustls::TlsAcceptor;

pub(crate) const NAME: &str = "www.example.com";
/// What the site answers to every request.
pub(crate) const ANSWER: &[u8] = b"HTTP/1.1 404 Not Found\r\ncontent-length: 9\r\n\r\nnot here\n";

/// A site: where it is and its certificate.
pub(crate) struct Site {
    pub(crate) at: HostPort,
    pub(crate) certificate: CertificateDer<'static>,
}

/// Starts a site on this network. Its certificate is RSA, as most are.
pub(crate) async fn site(net: &Arc<dyn Net>) -> Site {
    site_with_names(net, 1).await
}

/// The same with so many names in its certificate, which makes its flight longer.
pub(crate) async fn site_with_names(net: &Arc<dyn Net>, names: usize) -> Site {
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap();
    let all: Vec<String> = std::iter::once(NAME.to_owned())
        .chain((1..names).map(|number| format!("name-{number}.of-many.example.com")))
        .collect();
    let certificate = rcgen::CertificateParams::new(all).unwrap().self_signed(&key).unwrap();
    let mut config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der())),
        )
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let mut port = net.listen_stream("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let at = HostPort::from(port.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((stream, _peer)) = port.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut tls) = acceptor.accept(stream).await else { return };
                let mut request = [0; 4096];
                while let Ok(1..) = tls.read(&mut request).await {
                    if tls.write_all(ANSWER).await.is_err() || tls.flush().await.is_err() {
                        return;
                    }
                }
                tls.shutdown().await.ok();
            });
        }
    });
    Site { at, certificate: certificate.der().clone() }
}

pub(crate) fn params(site: &Site) -> Value {
    json!({ "target": site.at.to_string(), "server_names": [NAME], "carriers": 0 })
}
