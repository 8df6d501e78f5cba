//! shadowsocks-rust (the crate `shadowsocks-service`: what `sslocal` and `ssserver` run) against ours, both ways.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::{net::SocketAddr, time::Duration};

use commucat_shadowsocks::{ID, Shadowsocks};
use commucat_tests_interop::{
    RelayBridge,
    programs::free_address,
    shadowsocks::{Ending, KEY_16, KEY_32, through_our_client, through_socks, user},
};
use commucat_transport_api::{PluggableTransport as _, Spec};
use serde_json::{Value, json};
use shadowsocks_service::config::{Config, ConfigType};
use tokio::{net::TcpStream, task::JoinHandle};

const START_TIME: Duration = Duration::from_secs(20);

/// A task that ends with the test.
struct Task(JoinHandle<std::io::Result<()>>);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn listening(at: SocketAddr) {
    let connected = async {
        while TcpStream::connect(at).await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(START_TIME, connected).await.expect("it should listen");
}

/// Its client, as a SOCKS5 port.
async fn its_local(server: SocketAddr, method: &str, password: &str) -> (Task, SocketAddr) {
    let at = free_address().unwrap();
    let config = json!({
        "local_address": "127.0.0.1", "local_port": at.port(), "mode": "tcp_and_udp",
        "server": server.ip().to_string(), "server_port": server.port(), "method": method, "password": password,
    });
    let config = Config::load_from_json_str(&config.to_string(), ConfigType::Local).unwrap();
    let task = Task(tokio::spawn(async move { shadowsocks_service::run_local(config).await }));
    listening(at).await;
    (task, at)
}

/// Its server.
async fn its_server(method: &str, password: &str, users: Value) -> (Task, SocketAddr) {
    let at = free_address().unwrap();
    let mut server = json!({
        "server": "127.0.0.1", "server_port": at.port(), "mode": "tcp_and_udp", "method": method, "password": password,
    });
    if !users.is_null() {
        server["users"] = users;
    }
    let config = json!({ "servers": [server] });
    let config = Config::load_from_json_str(&config.to_string(), ConfigType::Server).unwrap();
    let task = Task(tokio::spawn(async move { shadowsocks_service::run_server(config).await }));
    listening(at).await;
    (task, at)
}

/// Method, password, and what our server has to be told beyond them.
fn single_user() -> [(&'static str, &'static str); 6] {
    [
        ("2022-blake3-aes-128-gcm", KEY_16),
        ("2022-blake3-aes-256-gcm", KEY_32),
        ("2022-blake3-chacha20-poly1305", KEY_32),
        ("aes-128-gcm", "a password"),
        ("aes-256-gcm", "a password"),
        ("chacha20-ietf-poly1305", "a password"),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn its_client_with_our_server_one_user() {
    for (method, key) in single_user() {
        let params = json!({"method": method, "key": key, "single_user": true});
        let bridge = RelayBridge::start(&Shadowsocks::new(), params, Vec::new()).await.unwrap();
        let (_task, socks) = its_local(bridge.address, method, key).await;
        through_socks(socks, Ending::HalfClose).await.expect(method);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn its_client_with_our_server_two_users() {
    let methods = [
        json!({"method": "2022-blake3-aes-128-gcm", "key": KEY_16}),
        json!({"method": "2022-blake3-aes-256-gcm", "key": KEY_32}),
        json!({"method": "2022-blake3-chacha20-poly1305"}),
        json!({"method": "chacha20-ietf-poly1305"}),
    ];
    for params in methods {
        let (anna, ben) = (user("anna", 1), user("ben", 2));
        let users = vec![anna.clone(), ben.clone()];
        let bridge = RelayBridge::start(&Shadowsocks::new(), params.clone(), users).await.unwrap();
        for who in [&anna, &ben] {
            let spec = bridge.client_spec(who).unwrap();
            let password = spec.params["key"].as_str().unwrap();
            let (_task, socks) =
                its_local(bridge.address, params["method"].as_str().unwrap(), password).await;
            through_socks(socks, Ending::HalfClose)
                .await
                .unwrap_or_else(|error| panic!("{params}: {error:#}"));
        }
        let mut seen = bridge.users_seen();
        seen.dedup();
        assert_eq!(seen, ["anna", "ben"], "{params}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn our_client_with_its_server_one_user() {
    for (method, key) in single_user() {
        let (_task, server) = its_server(method, key, Value::Null).await;
        let spec = Spec::new(ID, server.into(), json!({"method": method, "key": key})).unwrap();
        let client = Shadowsocks::new().client(&spec).unwrap();
        through_our_client(&*client, Ending::HalfClose).await.expect(method);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn our_client_with_its_server_two_users() {
    let keys_16 = ["8PHy8/T19vf4+fr7/P3+/w==", "AgICAgICAgICAgICAgICAg=="];
    let keys_32 =
        ["8PHy8/T19vf4+fr7/P3+/wABAgMEBQYHCAkKCwwNDg8=", "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI="];
    for (method, key, keys) in
        [("2022-blake3-aes-128-gcm", KEY_16, keys_16), ("2022-blake3-aes-256-gcm", KEY_32, keys_32)]
    {
        let users = json!([{"name": "anna", "password": keys[0]}, {"name": "ben", "password": keys[1]}]);
        let (_task, server) = its_server(method, key, users).await;
        for user_key in keys {
            let params = json!({"method": method, "key": format!("{key}:{user_key}")});
            let spec = Spec::new(ID, server.into(), params).unwrap();
            let client = Shadowsocks::new().client(&spec).unwrap();
            through_our_client(&*client, Ending::HalfClose).await.expect(method);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn our_prefix_is_a_salt_like_any_other_to_its_server() {
    for (method, key) in [("2022-blake3-aes-256-gcm", KEY_32), ("chacha20-ietf-poly1305", "a password")] {
        let (_task, server) = its_server(method, key, Value::Null).await;
        let params = json!({"method": method, "key": key, "prefix": "POST%20"});
        let client = Shadowsocks::new().client(&Spec::new(ID, server.into(), params).unwrap()).unwrap();
        through_our_client(&*client, Ending::HalfClose).await.expect(method);
    }
}
