//! Debian's shadowsocks-libev (`ss-server`, `ss-local`, `ss-tunnel`; AEAD-2017) against ours, both ways.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::{
    net::SocketAddr,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use commucat_shadowsocks::{ID, Shadowsocks};
use commucat_tests_interop::{
    RelayBridge, dns_query, dns_service, dns_service_address,
    programs::{Running, free_address, need},
    shadowsocks::{Ending, through_our_client, through_socks, user},
};
use commucat_transport_api::{PluggableTransport as _, Spec};
use serde_json::json;
use tokio::net::UdpSocket;

const PACKAGE: &str = "shadowsocks-libev";
const METHODS: [&str; 3] = ["aes-128-gcm", "aes-256-gcm", "chacha20-ietf-poly1305"];
const PASSWORD: &str = "a password";

/// Starts one of its programs with the options that all of them share.
async fn start(program: &Path, method: &str, password: &str, at: SocketAddr, more: &[String]) -> Running {
    let mut command = Command::new(program);
    command.args(["-m", method, "-k", password, "-t", "60", "-u"]).args(more);
    let mut running = Running::start(command.stdout(Stdio::null()).stderr(Stdio::null())).unwrap();
    running.listens_at(at).await.unwrap();
    running
}

fn client_options(server: SocketAddr, at: SocketAddr) -> Vec<String> {
    let (host, port) = (server.ip().to_string(), server.port().to_string());
    ["-s", &host, "-p", &port, "-b", "127.0.0.1", "-l", &at.port().to_string()].map(str::to_owned).to_vec()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn our_client_with_its_server() {
    let Some(program) = need("ss-server", PACKAGE).unwrap() else { return };
    for method in METHODS {
        let at = free_address().unwrap();
        let options = ["-s", "127.0.0.1", "-p", &at.port().to_string()].map(str::to_owned);
        let _server = start(&program, method, PASSWORD, at, &options).await;
        let spec = Spec::new(ID, at.into(), json!({"method": method, "key": PASSWORD})).unwrap();
        let client = Shadowsocks::new().client(&spec).unwrap();
        through_our_client(&*client, Ending::AfterAnswer)
            .await
            .unwrap_or_else(|error| panic!("{method}: {error:#}"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn its_client_with_our_server() {
    let Some(program) = need("ss-local", PACKAGE).unwrap() else { return };
    for method in METHODS {
        let params = json!({"method": method, "key": PASSWORD, "single_user": true});
        let bridge = RelayBridge::start(&Shadowsocks::new(), params, Vec::new()).await.unwrap();
        let at = free_address().unwrap();
        let _local = start(&program, method, PASSWORD, at, &client_options(bridge.address, at)).await;
        through_socks(at, Ending::AfterAnswer).await.unwrap_or_else(|error| panic!("{method}: {error:#}"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn its_client_as_one_of_two_users() {
    let Some(program) = need("ss-local", PACKAGE).unwrap() else { return };
    let (anna, ben) = (user("anna", 1), user("ben", 2));
    let params = json!({"method": "chacha20-ietf-poly1305"});
    let bridge =
        RelayBridge::start(&Shadowsocks::new(), params, vec![anna.clone(), ben.clone()]).await.unwrap();
    for who in [&anna, &ben] {
        let spec = bridge.client_spec(who).unwrap();
        let password = spec.params["key"].as_str().unwrap();
        let at = free_address().unwrap();
        let options = client_options(bridge.address, at);
        let _local = start(&program, "chacha20-ietf-poly1305", password, at, &options).await;
        through_socks(at, Ending::AfterAnswer).await.unwrap();
    }
    let mut seen = bridge.users_seen();
    seen.dedup();
    assert_eq!(seen, ["anna", "ben"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn its_tunnel_carries_dns_through_our_server() {
    let Some(program) = need("ss-tunnel", PACKAGE).unwrap() else { return };
    let params = json!({"method": "aes-256-gcm", "key": PASSWORD, "single_user": true});
    let bridge = RelayBridge::start(&Shadowsocks::new(), params, Vec::new()).await.unwrap();
    let (dns, at) = (dns_service().await.unwrap(), free_address().unwrap());
    let mut options = client_options(bridge.address, at);
    options.extend(["-L".to_owned(), dns.to_string()]);
    let _tunnel = start(&program, "aes-256-gcm", PASSWORD, at, &options).await;
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let query = dns_query(7, "example.org");
    socket.send_to(&query, at).await.unwrap();
    let mut answer = vec![0; 2048];
    let heard = tokio::time::timeout(Duration::from_secs(10), socket.recv(&mut answer)).await;
    answer.truncate(heard.expect("an answer in time").unwrap());
    dns_service_address(&query, &answer).unwrap();
}
