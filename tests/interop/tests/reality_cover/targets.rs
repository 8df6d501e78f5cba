//! Sites that a bridge may imitate, by software that is not ours: nginx, OpenSSL's `s_server`, a Go server, rustls.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
};

use commucat_tests_interop::programs::{Running, cache_dir, free_address, need};
use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};
use tokio_rustls::TlsAcceptor;

pub(crate) const NAME: &str = "www.example.com";
/// What a page of nginx and of the Go server holds.
pub(crate) const PAGE: &str = "a page of the cover site";

/// A running site.
pub(crate) struct Site {
    pub(crate) kind: &'static str,
    pub(crate) at: SocketAddr,
    _running: Option<Running>,
    _dir: tempfile::TempDir,
}

impl Site {
    /// Whether it serves one connection after the other.
    pub(crate) fn one_by_one(&self) -> bool {
        self.kind == "openssl"
    }
}

/// Every site whose software is here; each that is not was said to be skipped.
pub(crate) async fn all() -> Vec<Site> {
    let sites = [nginx().await, openssl().await, go().await, Some(rustls_site().await)];
    sites.into_iter().flatten().collect()
}

pub(crate) async fn nginx() -> Option<Site> {
    let program = need("nginx", "nginx-light").unwrap()?;
    let (dir, at) = (certificate(), free_address().unwrap());
    let config = format!(
        "daemon off; master_process off; pid {dir}/pid; error_log {dir}/error.log;
         events {{ worker_connections 256; }}
         http {{
             access_log off; client_body_temp_path {dir}/a; proxy_temp_path {dir}/b; fastcgi_temp_path {dir}/c;
             uwsgi_temp_path {dir}/d; scgi_temp_path {dir}/e;
             server {{
                 listen {at} ssl http2; server_name {NAME}; ssl_protocols TLSv1.2 TLSv1.3;
                 ssl_certificate {dir}/cert.pem; ssl_certificate_key {dir}/key.pem;
                 location / {{ return 200 '{PAGE}'; default_type text/html; }}
             }}
         }}",
        dir = dir.path().display(),
    );
    let file = dir.path().join("nginx.conf");
    std::fs::write(&file, config).unwrap();
    let command = &mut Command::new(program);
    start("nginx", command.arg("-c").arg(&file).arg("-p").arg(dir.path()), at, dir).await
}

pub(crate) async fn openssl() -> Option<Site> {
    let program = need("openssl", "openssl").unwrap()?;
    let (dir, at) = (certificate(), free_address().unwrap());
    let command = &mut Command::new(program);
    command.args(["s_server", "-quiet", "-www", "-accept", &at.to_string(), "-cert"]);
    command.arg(dir.path().join("cert.pem")).arg("-key").arg(dir.path().join("key.pem"));
    start("openssl", command, at, dir).await
}

pub(crate) async fn go() -> Option<Site> {
    let (dir, at) = (certificate(), free_address().unwrap());
    let server = go_server()?;
    let command = &mut Command::new(server);
    command.arg(at.to_string()).arg(dir.path().join("cert.pem")).arg(dir.path().join("key.pem")).arg(PAGE);
    start("Go", command, at, dir).await
}

/// A task: TLS 1.3 with the hybrid group first, and one page over HTTP/1.1.
pub(crate) async fn rustls_site() -> Site {
    let dir = certificate();
    let read = |name: &str| std::fs::read(dir.path().join(name)).unwrap();
    let chain = CertificateDer::from_pem_slice(&read("cert.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_slice(&read("key.pem")).unwrap();
    let builder = ServerConfig::builder().with_no_client_auth();
    let mut config = builder.with_single_cert(vec![chain], key).unwrap();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let mut tls = acceptor.accept(stream).await?;
                let (mut heard, mut chunk) = (Vec::new(), [0; 4096]);
                while !heard.windows(4).any(|end| end == b"\r\n\r\n") {
                    match tls.read(&mut chunk).await? {
                        0 => return tls.shutdown().await,
                        count => heard.extend_from_slice(&chunk[..count]),
                    }
                }
                let head =
                    format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", PAGE.len());
                tls.write_all(format!("{head}{PAGE}").as_bytes()).await?;
                tls.shutdown().await
            });
        }
    });
    Site { kind: "rustls", at, _running: None, _dir: dir }
}

/// Builds the Go server once; it needs Go's own library alone.
fn go_server() -> Option<PathBuf> {
    let here = Path::new("/usr/local/go/bin/go");
    let go = if here.is_file() { here.to_owned() } else { need("go", "golang-go").unwrap()? };
    let cache = cache_dir("go-cover-site").unwrap();
    let source = Path::new(&std::env::var_os("CARGO_MANIFEST_DIR")?).join("tests/reality_cover/site.go");
    let program = cache.join("site");
    let built = Command::new(go)
        .args(["build", "-o"])
        .arg(&program)
        .arg(source)
        .env("GOCACHE", cache.join("build"))
        .env("GOFLAGS", "-mod=mod")
        .env("GO111MODULE", "off")
        .status();
    assert!(built.is_ok_and(|status| status.success()), "the Go server could not be built");
    Some(program)
}

async fn start(
    kind: &'static str,
    command: &mut Command,
    at: SocketAddr,
    dir: tempfile::TempDir,
) -> Option<Site> {
    let mut running = Running::start(command).unwrap();
    running.listens_at(at).await.unwrap();
    Some(Site { kind, at, _running: Some(running), _dir: dir })
}

/// An RSA certificate, whose signatures all have one length, in a folder of its own.
fn certificate() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap();
    let names: Vec<String> = std::iter::once(NAME.to_owned())
        .chain((1..8).map(|number| format!("name-{number}.of-many.example.com")))
        .collect();
    let certificate = rcgen::CertificateParams::new(names).unwrap().self_signed(&key).unwrap();
    std::fs::write(dir.path().join("cert.pem"), certificate.pem()).unwrap();
    std::fs::write(dir.path().join("key.pem"), key.serialize_pem()).unwrap();
    dir
}
