//! Strangers talk to the site itself.

use std::{sync::Arc, time::Duration};

use commucat_net::SystemNet;
use commucat_reality::Reality;
use commucat_transport_api::{Cx, HostPort, Net, PluggableTransport as _, Spec, UserTable};
use rustls::{ClientConfig, RootCertStore, pki_types::ServerName};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::TlsConnector;

use crate::support::{ANSWER, NAME, params, site};

const PATIENCE: Duration = Duration::from_secs(20);

/// A bridge in front of a site: where it listens, and the site.
async fn bridge() -> (HostPort, crate::support::Site) {
    let net: Arc<dyn Net> = SystemNet::new();
    let site = site(&net).await;
    let transport = Reality::new();
    let mut all = transport.generate_server_params().unwrap();
    all.as_object_mut().unwrap().extend(params(&site).as_object().unwrap().clone());
    let spec = Spec::new(commucat_reality::ID, "127.0.0.1:0".parse().unwrap(), all).unwrap();
    let server = transport.server(&spec, &Arc::new(UserTable::default())).unwrap();
    let cx = Cx::new(net, PATIENCE);
    let mut listener = server.listen(&cx).await.unwrap();
    let at = HostPort::from(listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok(incoming) = listener.accept().await {
            tokio::spawn(async move { incoming.handshake().await.map(drop) });
        }
    });
    (at, site)
}

async fn connect(at: &HostPort) -> TcpStream {
    TcpStream::connect(at.socket_addr().unwrap()).await.unwrap()
}

#[tokio::test]
async fn a_browser_reaches_the_site() {
    let (at, site) = bridge().await;
    let mut roots = RootCertStore::empty();
    roots.add(site.certificate).unwrap();
    let config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    let name = ServerName::try_from(NAME).unwrap();
    let tls = TlsConnector::from(Arc::new(config)).connect(name, connect(&at).await);
    let mut tls = timeout(PATIENCE, tls).await.unwrap().expect("the site's own certificate");
    tls.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    let mut answer = vec![0; ANSWER.len()];
    timeout(PATIENCE, tls.read_exact(&mut answer)).await.unwrap().unwrap();
    assert_eq!(answer, ANSWER);
}

#[tokio::test]
async fn half_a_hello_and_an_end_are_passed_on() {
    let (at, site) = bridge().await;
    for sent in [&b""[..], b"\x16\x03\x01", b"GET / HTTP/1.1\r\n\r\n", &[0; 600]] {
        let mut answers = Vec::new();
        for place in [&at, &site.at] {
            let mut stream = connect(place).await;
            stream.write_all(sent).await.unwrap();
            stream.shutdown().await.unwrap();
            let mut answer = Vec::new();
            let ended = timeout(PATIENCE, stream.read_to_end(&mut answer)).await.expect("an end");
            answers.push((answer, ended.is_ok()));
        }
        assert_eq!(answers[0], answers[1], "after {} bytes", sent.len());
    }
}

#[tokio::test]
async fn a_target_that_cannot_be_imitated_is_refused_at_the_start() {
    let net: Arc<dyn Net> = SystemNet::new();
    // It listens and speaks no TLS.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = silent.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = silent.accept().await {
            stream.write_all(b"SSH-2.0-OpenSSH_9.2\r\n").await.ok();
        }
    });
    let transport = Reality::new();
    let mut all = transport.generate_server_params().unwrap();
    let more = serde_json::json!({ "target": target.to_string(), "server_names": [NAME] });
    all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let spec = Spec::new(commucat_reality::ID, "127.0.0.1:0".parse().unwrap(), all).unwrap();
    let server = transport.server(&spec, &Arc::new(UserTable::default())).unwrap();
    let error = server.listen(&Cx::new(net, PATIENCE)).await.unwrap_err();
    assert!(format!("{error:?}").contains("target"), "{error:?}");
}

#[tokio::test]
async fn a_target_too_short_for_ml_dsa_is_refused_at_the_start() {
    let net: Arc<dyn Net> = SystemNet::new();
    let site = site(&net).await;
    let transport = Reality::new();
    let mut all = transport.generate_server_params().unwrap();
    all.as_object_mut().unwrap().extend(params(&site).as_object().unwrap().clone());
    all["mldsa65_seed"] = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8".into();
    let spec = Spec::new(commucat_reality::ID, "127.0.0.1:0".parse().unwrap(), all).unwrap();
    let server = transport.server(&spec, &Arc::new(UserTable::default())).unwrap();
    let error = server.listen(&Cx::new(net, PATIENCE)).await.unwrap_err();
    assert!(format!("{error:?}").contains("TooShort"), "{error:?}");
}
