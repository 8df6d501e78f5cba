//! A REALITY bridge in front of sites of other people's software: ours are indistinguishable from a visit there, strangers
//! are on a visit there.
#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "tests, which tell the times that they took"
)]

mod battery;
mod browser;
mod hellos;
mod probes;
mod records;
mod targets;

use std::{net::SocketAddr, process::Command, time::Duration};

use commucat_net::SystemNet;
use commucat_reality::Reality;
use commucat_tests_interop::{
    RelayBridge, echo_service,
    programs::need,
    shadowsocks::{Ending, exchange, user},
};
use commucat_transport_api::{Cx, PluggableTransport as _, Target};
use serde_json::json;

use crate::{
    records::{Wire, of_site},
    targets::{NAME, PAGE, Site},
};

const PATIENCE: Duration = Duration::from_secs(60);

async fn bridge(target: SocketAddr) -> RelayBridge {
    bridge_with(target, json!({})).await
}

async fn bridge_with(target: SocketAddr, more: serde_json::Value) -> RelayBridge {
    let mut params = Reality::new().generate_server_params().unwrap();
    params["target"] = target.to_string().into();
    params["server_names"] = json!([NAME]);
    params["carriers"] = 0.into();
    params.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    RelayBridge::start(&Reality::new(), params, vec![user("anna", 1)]).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn ours_get_records_of_the_lengths_of_the_site() {
    for site in targets::all().await {
        let bridge = bridge(site.at).await;
        let wire = Wire::start(bridge.address).await;
        let mut spec = bridge.client_spec(&user("anna", 1)).unwrap();
        spec.endpoint = wire.address.into();
        let client = Reality::new().client(&spec).unwrap();
        let cx = Cx::new(SystemNet::new(), PATIENCE);
        let echo = Target::Stream(echo_service().await.unwrap().into());
        let opened = client.dial(&cx, &echo).await.unwrap();
        let (ours, theirs) = (wire.records().await, of_site(site.at).await);
        assert_eq!(ours, theirs, "{}", site.kind);
        assert!(theirs.len() > 3, "{theirs:?}");
        let stream = opened.channel.into_stream().unwrap();
        exchange(stream, Ending::HalfClose).await.unwrap();
    }
}

/// What a program prints, run for each address in turn.
fn prints(mut command: impl FnMut(SocketAddr) -> Command, at: [SocketAddr; 2]) -> [String; 2] {
    at.map(|at| {
        let output = command(at).stdin(std::process::Stdio::null()).output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_see_the_site() {
    for site in targets::all().await {
        let bridge = bridge(site.at).await;
        let both = [bridge.address, site.at];
        curl(&site, both);
        s_client(&site, both);
    }
}

/// curl's page and status, with either protocol.
fn curl(site: &Site, both: [SocketAddr; 2]) {
    let Some(curl) = need("curl", "curl").unwrap() else { return };
    for version in ["--http1.1", "--http2"] {
        let [bridge, direct] = prints(
            |at| {
                let mut command = Command::new(&curl);
                command.args([
                    "-sk",
                    "--max-time",
                    "20",
                    version,
                    "--noproxy",
                    "*",
                    "-w",
                    " %{http_version} %{response_code}",
                ]);
                command.arg("--connect-to").arg(format!("{NAME}:443:{at}")).arg(format!("https://{NAME}/"));
                command
            },
            both,
        );
        if site.kind == "openssl" {
            // Its page tells of the connection: only the first lines are the same for everybody.
            assert_eq!(bridge.lines().next(), direct.lines().next());
            assert!(bridge.contains("s_server") && bridge.ends_with(" 200"), "{bridge}");
        } else {
            assert!(direct.starts_with(PAGE), "{direct}");
            assert_eq!(bridge, direct, "{} {version}", site.kind);
        }
    }
}

/// The certificate, the suite and the versions that OpenSSL is given; old TLS too.
fn s_client(site: &Site, both: [SocketAddr; 2]) {
    let Some(openssl) = need("openssl", "openssl").unwrap() else { return };
    for version in ["-tls1_3", "-tls1_2", "-tls1_1"] {
        let [bridge, direct] = prints(
            |at| {
                let mut command = Command::new(&openssl);
                command.args(["s_client", "-servername", NAME, version, "-alpn", "h2,http/1.1", "-connect"]);
                command.arg(at.to_string());
                command
            },
            both,
        );
        let lines = |output: &str| -> Vec<String> {
            let told = [
                "-----BEGIN",
                "subject=",
                "New, ",
                "ALPN",
                "Server Temp Key",
                "Peer sign",
                "SSL handshake has read",
            ];
            let kept = output
                .lines()
                .filter(|line| told.iter().any(|start| line.contains(start)) || line.len() == 64);
            kept.map(str::to_owned).collect()
        };
        assert_eq!(lines(&bridge), lines(&direct), "{} {version}", site.kind);
        assert!(version == "-tls1_1" || bridge.contains("BEGIN CERTIFICATE"), "{bridge}");
    }
}
