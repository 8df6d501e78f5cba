//! Hosts on loopback whose qualities are known: OpenSSL in several moods, and a rustls server with the hybrid group.

use std::{
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Stdio},
};

use commucat_net::SystemNet;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use tokio_rustls::TlsAcceptor;

use super::*;

/// An authority, and a certificate of it for `localhost`.
struct Identity {
    root: CertificateDer<'static>,
    leaf: rcgen::Certificate,
    key: KeyPair,
}

fn identity() -> Identity {
    identity_of("one authority")
}

fn identity_of(authority: &str) -> Identity {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name.push(DnType::CommonName, authority);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let leaf =
        CertificateParams::new(vec!["localhost".to_owned()]).unwrap().signed_by(&key, &authority).unwrap();
    Identity { root: authority.der().clone(), leaf, key }
}

struct OpenSsl(Child, SocketAddr);

impl Drop for OpenSsl {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

async fn openssl(dir: &Path, identity: &Identity, more: &[&str]) -> OpenSsl {
    let (cert, key) = (dir.join("cert.pem"), dir.join("key.pem"));
    std::fs::write(&cert, identity.leaf.pem()).unwrap();
    std::fs::write(&key, identity.key.serialize_pem()).unwrap();
    let at = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let child = Command::new("openssl")
        .args(["s_server", "-quiet", "-www", "-accept", &at.to_string(), "-alpn", "h2,http/1.1"])
        .arg("-cert")
        .arg(&cert)
        .arg("-key")
        .arg(&key)
        .args(more)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("openssl is installed");
    for _attempt in 0..200 {
        if tokio::net::TcpStream::connect(at).await.is_ok() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    OpenSsl(child, at)
}

fn config(identity: &Identity) -> DestConfig {
    DestConfig {
        consent: Consent::up_to(Risk::Medium),
        patience: Duration::from_secs(5),
        after: Duration::from_millis(300),
        roots: Some(vec![identity.root.clone()]),
    }
}

async fn look_at(at: SocketAddr, config: &DestConfig) -> DestReport {
    let net: Arc<dyn Net> = SystemNet::new();
    let host = HostPort::new("localhost", at.port()).unwrap();
    dest(&net, &[host], config).await.unwrap().remove(0)
}

fn says(report: &DestReport, part: &str) -> bool {
    report.reasons.iter().any(|reason| reason.text.contains(part))
}

#[tokio::test]
async fn openssl_is_seen_as_it_is() {
    let (dir, identity) = (tempfile::tempdir().unwrap(), identity());
    let server = openssl(dir.path(), &identity, &["-groups", "X25519"]).await;
    let report = look_at(server.1, &config(&identity)).await;
    let facts = &report.facts;
    assert_eq!((facts.version, facts.group), (Some(0x0304), Some(0x001d)), "{report:#?}");
    assert_eq!((facts.alpn.as_deref(), facts.status), (Some("h2"), Some(200)));
    assert_eq!(facts.certificate_problem, None);
    assert_eq!(facts.signature.as_deref(), Some("ECDSA_NISTP256_SHA256"));
    assert_eq!(facts.chain, [identity.leaf.der().len()]);
    assert_eq!(facts.after.len(), 2, "OpenSSL sends two tickets");
    let kinds: Vec<_> = facts.flight.iter().map(|record| record.kind).collect();
    assert_eq!(kinds, [22, 20, 23, 23, 23, 23]);
    assert_eq!(report.suitability, Suitability::Usable);
    assert!(says(&report, "X25519 although") && says(&report, "post-quantum") && says(&report, "Port "));
}

#[tokio::test]
async fn what_no_bridge_can_copy_is_unsuitable() {
    let (dir, identity) = (tempfile::tempdir().unwrap(), identity());
    for (more, part) in
        [(&["-tls1_2"][..], "does not speak TLS 1.3"), (&["-groups", "P-256"][..], "asks for a second hello")]
    {
        let server = openssl(dir.path(), &identity, more).await;
        let report = look_at(server.1, &config(&identity)).await;
        assert_eq!(report.suitability, Suitability::Unsuitable);
        assert!(says(&report, part), "{part}: {report:#?}");
        assert_eq!(report.reasons[0].weight, Suitability::Unsuitable, "the heaviest comes first");
    }
    let stranger = openssl(dir.path(), &identity, &[]).await;
    let report = look_at(stranger.1, &config(&identity_of("another authority"))).await;
    assert!(says(&report, "certificate does not hold: nobody known signed it"), "{report:#?}");
}

#[tokio::test]
async fn a_hybrid_server_that_redirects() {
    let identity = identity();
    let key = rustls::pki_types::PrivateKeyDer::try_from(identity.key.serialize_der()).unwrap();
    let mut tls =
        rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![identity.leaf.der().clone()], key)
            .unwrap();
    tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(tls));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    tokio::spawn(async move {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let mut stream = acceptor.accept(stream).await?;
                let _request = stream.read(&mut [0; 1024]).await?;
                stream
                    .write_all(b"HTTP/1.1 301 Moved\r\nLocation: https://www.elsewhere.example/x\r\n\r\n")
                    .await?;
                stream.flush().await
            });
        }
    });
    let report = look_at(at, &config(&identity)).await;
    assert_eq!(report.facts.group, Some(0x11ec), "{report:#?}");
    assert_eq!(report.facts.redirect.as_deref(), Some("www.elsewhere.example"));
    assert_eq!(report.facts.alpn.as_deref(), Some("h2"));
    assert!(says(&report, "leads to www.elsewhere.example") && !says(&report, "X25519 although"));
}

#[tokio::test]
async fn hosts_that_cannot_be_looked_at_are_reports_and_refusals() {
    let identity = identity();
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let report = look_at(gone, &config(&identity)).await;
    assert_eq!(report.suitability, Suitability::Unsuitable);
    assert!(says(&report, "could not be looked at: connection refused"), "{report:#?}");
    let net: Arc<dyn Net> = SystemNet::new();
    let error = dest(&net, &[], &DestConfig::default()).await.unwrap_err();
    assert!(matches!(error, DestError::Consent(_)));
    let hosts: Vec<HostPort> = (0..17).map(|n| HostPort::new("localhost", 1000 + n).unwrap()).collect();
    assert!(matches!(dest(&net, &hosts, &config(&identity)).await, Err(DestError::TooMany { asked: 17 })));
}

#[test]
fn names_that_are_worn_out_or_watched_are_said() {
    let reasons = |host: &str| judge::reasons(&host.parse().unwrap(), &DestFacts::default(), None);
    assert!(reasons("www.icloud.com:443")[0].text.contains("icloud.com"));
    assert!(reasons("site.ru:443")[0].text.contains(".ru"));
    assert_eq!(reasons("notapple.com:443"), []);
    assert_eq!(reasons("192.0.2.7:443")[0].weight, Suitability::Unsuitable);
}
