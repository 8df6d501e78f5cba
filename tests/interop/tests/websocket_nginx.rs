//! nginx between client and bridge, as a CDN stands there: it ends the TLS and speaks HTTP to us.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::process::Command;

use commucat_tests_interop::{
    programs::{Running, free_address, need},
    websocket::{Certificate, EchoBridge, check_echo, dial, user},
};
use commucat_transport_api::{DialError, HostPort, Signal, Spec, Target};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

struct Cdn {
    bridge: EchoBridge,
    at: HostPort,
    pin: String,
    _running: Running,
    _dir: tempfile::TempDir,
    _certificate: Certificate,
}

async fn cdn() -> Option<Cdn> {
    let program = need("nginx", "nginx-light").unwrap()?;
    let certificate = Certificate::for_name("cdn.example").unwrap();
    let bridge = EchoBridge::start(json!({ "tls": "off" })).await.unwrap();
    let at = free_address().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let config = format!(
        "daemon off; master_process off; pid {dir}/pid; error_log {dir}/error.log;
         events {{ worker_connections 256; }}
         http {{
             access_log off; client_body_temp_path {dir}/a; proxy_temp_path {dir}/b; fastcgi_temp_path {dir}/c;
             uwsgi_temp_path {dir}/d; scgi_temp_path {dir}/e;
             map $http_upgrade $connection_upgrade {{ default upgrade; '' close; }}
             server {{
                 listen {at} ssl; server_name cdn.example;
                 ssl_certificate {cert}; ssl_certificate_key {key};
                 location / {{
                     proxy_pass http://{bridge}; proxy_http_version 1.1; proxy_set_header Host $host;
                     proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection $connection_upgrade;
                 }}
             }}
         }}",
        dir = dir.path().display(),
        cert = certificate.cert.display(),
        key = certificate.key.display(),
        bridge = bridge.at,
    );
    let file = dir.path().join("nginx.conf");
    std::fs::write(&file, config).unwrap();
    let mut running =
        Running::start(Command::new(program).arg("-c").arg(&file).arg("-p").arg(dir.path())).unwrap();
    running.listens_at(at).await.unwrap();
    let pin = certificate.pin.clone();
    Some(Cdn { bridge, at: at.into(), pin, _running: running, _dir: dir, _certificate: certificate })
}

impl Cdn {
    fn spec(&self, name: &str, secret: u8, over: Value) -> Spec {
        let way = json!({ "tls": "on", "host": "cdn.example", "sni": "cdn.example", "pin": self.pin });
        let mut spec = self.bridge.spec(&user(name, secret).unwrap(), way).unwrap();
        commucat_tests_interop::websocket::merge(&mut spec.params, over).unwrap();
        spec.endpoint = self.at.clone();
        spec
    }
}

#[tokio::test]
async fn streams_pass_in_both_modes_with_and_without_early_data() {
    let Some(cdn) = cdn().await else { return };
    let target = Target::Stream("echo.example:7".parse().unwrap());
    for over in [json!({}), json!({ "mode": "raw" }), json!({ "early_data": 2048 })] {
        for length in [1, 5000, 3_000_000] {
            let stream = dial(&cdn.spec("anna", 1, over.clone()), &target).await.unwrap();
            check_echo(stream, length).await.unwrap();
        }
    }
    // A half-close passes too, because in `ws` mode it is a message.
    let mut stream = dial(&cdn.spec("anna", 1, json!({})), &target).await.unwrap();
    stream.write_all(&[5; 100_000]).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut all = Vec::new();
    stream.read_to_end(&mut all).await.unwrap();
    assert_eq!(all.len(), 100_000);
}

#[tokio::test]
async fn the_cause_of_a_refusal_passes() {
    let Some(cdn) = cdn().await else { return };
    let refused = |spec| async move {
        let error: DialError = dial(&spec, &Target::Bridge).await.unwrap_err();
        error.failure().unwrap().signal.clone()
    };
    assert_eq!(refused(cdn.spec("boris", 2, json!({}))).await, Signal::UnknownUser);
    assert_eq!(refused(cdn.spec("anna", 1, json!({ "path": "/wrong" }))).await, Signal::AuthRejected);
    let Cdn { bridge, at, pin, _running, _dir, _certificate } = cdn;
    let spec = {
        let way = json!({ "tls": "on", "host": "cdn.example", "sni": "cdn.example", "pin": pin });
        let mut spec = bridge.spec(&user("anna", 1).unwrap(), way).unwrap();
        spec.endpoint = at;
        spec
    };
    // The bridge behind the CDN is gone: that is a gateway's status, not a wrong key.
    drop(bridge);
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    assert_eq!(refused(spec).await, Signal::HttpStatus(502));
}
