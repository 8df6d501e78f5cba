//! Sites that a bridge may imitate, by software that is not ours: nginx, OpenSSL's `s_server`, a Go server.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
};

use commucat_tests_interop::programs::{Running, cache_dir, free_address, need};

pub(crate) const NAME: &str = "www.example.com";
/// What a page of nginx and of the Go server holds.
pub(crate) const PAGE: &str = "a page of the cover site";

/// A running site.
pub(crate) struct Site {
    pub(crate) kind: &'static str,
    pub(crate) at: SocketAddr,
    _running: Running,
    _dir: tempfile::TempDir,
}

/// Every site whose software is here; each that is not was said to be skipped.
pub(crate) async fn all() -> Vec<Site> {
    let sites = [nginx().await, openssl().await, go().await];
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

async fn openssl() -> Option<Site> {
    let program = need("openssl", "openssl").unwrap()?;
    let (dir, at) = (certificate(), free_address().unwrap());
    let command = &mut Command::new(program);
    command.args(["s_server", "-quiet", "-www", "-accept", &at.to_string(), "-cert"]);
    command.arg(dir.path().join("cert.pem")).arg("-key").arg(dir.path().join("key.pem"));
    start("openssl", command, at, dir).await
}

async fn go() -> Option<Site> {
    let (dir, at) = (certificate(), free_address().unwrap());
    let server = go_server()?;
    let command = &mut Command::new(server);
    command.arg(at.to_string()).arg(dir.path().join("cert.pem")).arg(dir.path().join("key.pem")).arg(PAGE);
    start("Go", command, at, dir).await
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
    Some(Site { kind, at, _running: running, _dir: dir })
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
