//! Debian's shadowsocks-libev (`ss-server`, `ss-local`, `ss-tunnel`; AEAD-2017) against ours, both ways.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::{net::SocketAddr, path::Path};

use commucat_shadowsocks::{ID, Shadowsocks};
use commucat_tests_interop::{
    RelayBridge, Running, dns_query, dns_service, dns_service_address, find, free_port,
    shadowsocks::{through_our_client, through_socks, user},
};
use commucat_transport_api::{PluggableTransport as _, Spec};
use serde_json::json;
use tokio::net::UdpSocket;

const PACKAGE: &str = "shadowsocks-libev";
const METHODS: [&str; 3] = ["aes-128-gcm", "aes-256-gcm", "chacha20-ietf-poly1305"];
const PASSWORD: &str = "a password";

/// Starts one of its programs with the options that all of them share.
async fn start(program: &Path, method: &str, password: &str, port: u16, more: &[String]) -> Running {
    let mut arguments: Vec<String> =
        ["-m", method, "-k", password, "-t", "60", "-u"].into_iter().map(str::to_owned).collect();
    arguments.extend_from_slice(more);
    Running::start(program, arguments, port).await.unwrap()
}

fn client_options(server: SocketAddr, port: u16) -> Vec<String> {
    let (host, server_port) = (server.ip().to_string(), server.port().to_string());
    ["-s", &host, "-p", &server_port, "-b", "127.0.0.1", "-l", &port.to_string()].map(str::to_owned).to_vec()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn our_client_with_its_server() {
    let Some(program) = find("ss-server", PACKAGE).unwrap() else { return };
    for method in METHODS {
        let port = free_port().unwrap();
        let options = ["-s", "127.0.0.1", "-p", &port.to_string()].map(str::to_owned);
        let _server = start(&program, method, PASSWORD, port, &options).await;
        let server = SocketAddr::from(([127, 0, 0, 1], port));
        let spec = Spec::new(ID, server.into(), json!({"method": method, "key": PASSWORD})).unwrap();
        let client = Shadowsocks::new().client(&spec).unwrap();
        through_our_client(&*client).await.unwrap_or_else(|error| panic!("{method}: {error:#}"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn its_client_with_our_server() {
    let Some(program) = find("ss-local", PACKAGE).unwrap() else { return };
    for method in METHODS {
        let params = json!({"method": method, "key": PASSWORD, "single_user": true});
        let bridge = RelayBridge::start(&Shadowsocks::new(), params, Vec::new()).await.unwrap();
        let port = free_port().unwrap();
        let _local = start(&program, method, PASSWORD, port, &client_options(bridge.address, port)).await;
        through_socks(([127, 0, 0, 1], port).into()).await.unwrap_or_else(|error| panic!("{method}: {error:#}"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn its_client_as_one_of_two_users() {
    let Some(program) = find("ss-local", PACKAGE).unwrap() else { return };
    let (anna, ben) = (user("anna", 1), user("ben", 2));
    let params = json!({"method": "chacha20-ietf-poly1305"});
    let bridge =
        RelayBridge::start(&Shadowsocks::new(), params, vec![anna.clone(), ben.clone()]).await.unwrap();
    for who in [&anna, &ben] {
        let spec = bridge.client_spec(who).unwrap();
        let password = spec.params["key"].as_str().unwrap();
        let port = free_port().unwrap();
        let options = client_options(bridge.address, port);
        let _local = start(&program, "chacha20-ietf-poly1305", password, port, &options).await;
        through_socks(([127, 0, 0, 1], port).into()).await.unwrap();
    }
    let mut seen = bridge.users_seen();
    seen.dedup();
    assert_eq!(seen, ["anna", "ben"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn its_tunnel_carries_dns_through_our_server() {
    let Some(program) = find("ss-tunnel", PACKAGE).unwrap() else { return };
    let params = json!({"method": "aes-256-gcm", "key": PASSWORD, "single_user": true});
    let bridge = RelayBridge::start(&Shadowsocks::new(), params, Vec::new()).await.unwrap();
    let (dns, port) = (dns_service().await.unwrap(), free_port().unwrap());
    let mut options = client_options(bridge.address, port);
    options.extend(["-L".to_owned(), dns.to_string()]);
    let _tunnel = start(&program, "aes-256-gcm", PASSWORD, port, &options).await;
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let query = dns_query(7, "example.org");
    socket.send_to(&query, ("127.0.0.1", port)).await.unwrap();
    let mut answer = vec![0; 2048];
    let heard = tokio::time::timeout(std::time::Duration::from_secs(10), socket.recv(&mut answer)).await;
    answer.truncate(heard.expect("an answer in time").unwrap());
    dns_service_address(&query, &answer).unwrap();
}
