//! A client that meets the site itself, whose certificate is good.

use std::{sync::Arc, time::Duration};

use commucat_mimic::WebPki;
use commucat_net::SystemNet;
use commucat_transport_api::{Client as _, Cx, DialError, Signal, Spec, Target};
use rcgen::{CertificateParams, Issuer, KeyPair};
use rustls::{
    RootCertStore, ServerConfig,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};
use serde_json::json;
use tokio::{io::AsyncReadExt as _, net::TcpListener, sync::oneshot};
use tokio_rustls::TlsAcceptor;

use super::RealityClient;
use crate::{hellos::Browsers, verify::NotTheBridge};

const NAME: &str = "www.example.com";

/// A site of a certification authority of ours: its configuration and the root.
fn site(alpn: &str) -> (ServerConfig, RootCertStore) {
    let (ca_key, key) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    let mut ca = CertificateParams::new(Vec::<String>::new()).unwrap();
    ca.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let root = ca.self_signed(&ca_key).unwrap();
    let issuer = Issuer::new(ca, ca_key);
    let leaf = CertificateParams::new(vec![NAME.to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(root.der().clone()).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let mut config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![leaf.der().clone()], key)
        .unwrap();
    config.alpn_protocols = vec![alpn.as_bytes().to_vec()];
    (config, roots)
}

/// What a client reports after it met a site of that protocol, and what the site read of it.
async fn meet(alpn: &str) -> (DialError, Vec<u8>) {
    let (config, roots) = site(alpn);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let params = json!({
        "server_name": NAME, "public_key": "CwrpK-8N4hRtW1zEczPLvyCgvtSvNFqLLkSfEb2Nr08",
        "user": "b831381d-6324-4d53-ad4f-8cda48b30811",
    });
    let spec = Spec::new(crate::ID, listener.local_addr().unwrap().into(), params).unwrap();
    let mut client = RealityClient::new(&spec, &Browsers::default()).unwrap();
    client.site = Arc::new(WebPki::new(roots.roots));
    let (told, read) = oneshot::channel();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut tls = TlsAcceptor::from(Arc::new(config)).accept(stream).await.unwrap();
        let mut heard = Vec::new();
        // The client leaves without a close_notify, as browsers do.
        tls.read_to_end(&mut heard).await.ok();
        told.send(heard).unwrap();
    });
    let cx = Cx::new(SystemNet::new(), Duration::from_secs(20));
    let error = client.dial(&cx, &Target::Bridge).await.unwrap_err();
    (error, read.await.unwrap())
}

#[tokio::test]
async fn it_visits_the_site_and_says_why_there_is_no_bridge() {
    for (alpn, start) in
        [("h2", &b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..]), ("http/1.1", b"GET / HTTP/1.1\r\nHost: ")]
    {
        let (error, heard) = meet(alpn).await;
        let DialError::Network { failure, source } = error else { panic!("{error:?}") };
        assert_eq!(failure.signal, Signal::AuthRejected);
        let source = source.unwrap();
        assert_eq!(source.downcast_ref(), Some(&NotTheBridge::Site));
        assert!(source.to_string().contains("public key"), "{source}");
        assert!(heard.starts_with(start), "{}", String::from_utf8_lossy(&heard));
    }
}
