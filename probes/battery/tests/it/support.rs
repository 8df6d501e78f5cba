//! Servers of others as child processes, and a battery short enough for tests.

use std::{
    fs,
    net::{SocketAddr, TcpListener as StdListener},
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use commucat_battery::{Limits, Runner, Survey, payloads};
use commucat_net::SystemNet;
use commucat_transport_api::HostPort;
use tempfile::TempDir;

pub(crate) const SITE: &str = "site.example";

/// A foreign server that dies with its owner.
pub(crate) struct Peer {
    pub(crate) at: SocketAddr,
    child: Child,
    _dir: TempDir,
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// A port that was free a moment ago: for programs that cannot choose one themselves.
fn free() -> SocketAddr {
    StdListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

async fn wait_for(at: SocketAddr) {
    for _attempt in 0..200 {
        if tokio::net::TcpStream::connect(at).await.is_ok() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{at} does not listen");
}

/// A certificate and its key as files in `dir`.
pub(crate) fn certificate(dir: &Path) -> (std::path::PathBuf, std::path::PathBuf) {
    let made = rcgen::generate_simple_self_signed(vec![SITE.to_owned()]).unwrap();
    let (certificate, key) = (dir.join("cert.pem"), dir.join("key.pem"));
    fs::write(&certificate, made.cert.pem()).unwrap();
    fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    (certificate, key)
}

/// nginx with one page, over TLS with the certificate of `dir` when there is one.
pub(crate) async fn nginx(certificates: Option<&Path>) -> Peer {
    let dir = tempfile::tempdir().unwrap();
    let at = free();
    fs::create_dir(dir.path().join("html")).unwrap();
    let page = dir.path().join("html/index.html");
    fs::write(&page, "<h1>home</h1>").unwrap();
    // Two copies of a site are told apart by the age of their files, which stands in `ETag`.
    let age = std::time::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    fs::File::options().write(true).open(&page).unwrap().set_modified(age).unwrap();
    let tls = certificates.map_or_else(String::new, |dir| {
        let (certificate, key) = (dir.join("cert.pem"), dir.join("key.pem"));
        format!("ssl_certificate {}; ssl_certificate_key {};", certificate.display(), key.display())
    });
    let listen = if certificates.is_some() { "ssl" } else { "" };
    let p = dir.path().display();
    let config = format!(
        "user root; pid {p}/pid; error_log {p}/error.log; events {{}}\n\
         http {{ access_log off; client_body_temp_path {p}/a; proxy_temp_path {p}/b; fastcgi_temp_path {p}/c;\n\
         uwsgi_temp_path {p}/d; scgi_temp_path {p}/e;\n\
         server {{ listen {at} {listen}; server_name _; root {p}/html; {tls} }} }}"
    );
    fs::write(dir.path().join("conf"), config).unwrap();
    let child = Command::new("nginx")
        .args(["-p", &p.to_string(), "-c", "conf", "-e", "stderr", "-g", "daemon off; master_process off;"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("nginx is installed");
    let peer = Peer { at, child, _dir: dir };
    wait_for(at).await;
    peer
}

/// `openssl s_server` that answers with a page.
pub(crate) async fn openssl(certificates: &Path) -> Peer {
    let dir = tempfile::tempdir().unwrap();
    let at = free();
    let child = Command::new("openssl")
        .args(["s_server", "-quiet", "-www", "-accept", &at.to_string()])
        .arg("-cert")
        .arg(certificates.join("cert.pem"))
        .arg("-key")
        .arg(certificates.join("key.pem"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("openssl is installed");
    let peer = Peer { at, child, _dir: dir };
    wait_for(at).await;
    peer
}

/// A server that sends everything back.
pub(crate) async fn echo() -> SocketAddr {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _peer)) = listener.accept().await {
            tokio::spawn(async move {
                let mut buffer = vec![0; 16 * 1024];
                while let Ok(count @ 1..) = stream.read(&mut buffer).await {
                    stream.write_all(&buffer[..count]).await.unwrap();
                }
            });
        }
    });
    at
}

/// Limits for servers on this machine.
pub(crate) fn quick() -> Limits {
    Limits {
        connect: Duration::from_secs(5),
        patience: Duration::from_millis(800),
        quiet: Duration::from_millis(150),
        parallel: 12,
        rounds: 2,
        threshold_bytes: 1024,
    }
}

/// The whole battery with this first flight against a server.
pub(crate) async fn survey(at: SocketAddr, flight: Option<Vec<u8>>) -> Survey {
    let material = payloads::Material { site: Some(SITE.to_owned()), flight, seed: 11 };
    // Both servers are sent one and the same hello.
    let probes = payloads::all(&material).unwrap();
    Runner::new(SystemNet::new(), quick()).survey(&HostPort::from(at), &probes, 11).await.unwrap()
}
