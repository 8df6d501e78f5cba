//! A transport over another one, from an operator's configuration to a page: Shadowsocks inside WebSocket.

use std::fs;

use crate::support::{Client, Origin, Process, closed_port, commucat, curl, run};

#[test]
fn shadowsocks_inside_websocket_carries_a_page() {
    let (folder, origin, port) = (tempfile::tempdir().unwrap(), Origin::start(), closed_port());
    let file = folder.path().join("bridge.yaml");
    let config = format!(
        "server: {{ public: 127.0.0.1, admin_bind: '127.0.0.1:0' }}
egress: {{ allow_private: true }}
endpoints:
  - transport: shadowsocks
    params: {{ method: 2022-blake3-aes-128-gcm, key: AAECAwQFBgcICQoLDA0ODw== }}
    via:
      transport: websocket
      listen: '127.0.0.1:{port}'
      params: {{ auth: none, path: /stream, tls: 'off' }}
"
    );
    fs::write(&file, config).unwrap();
    let state = folder.path().join("state");
    let checked = run(commucat().args(["serve", "--check", "--config"]).arg(&file));
    assert_eq!(checked.code, Some(0), "{checked:?}");
    let user = |args: &[&str]| {
        let out =
            run(commucat().arg("user").args(args).arg("--config").arg(&file).arg("--state").arg(&state));
        assert_eq!(out.code, Some(0), "{out:?}");
        out.stdout.trim().to_owned()
    };
    let link = user(&["add", "anna"]);
    assert_eq!(user(&["link", "anna"]), link);
    let mut bridge =
        Process::start(commucat().args(["serve", "--config"]).arg(&file).arg("--state").arg(&state));
    bridge.wait_for("listening");

    let client = Client::start(&link);
    let Some(page) = curl(&["--proxy", &client.socks(), &origin.url("/page")]) else { return };
    assert!(page.stdout.contains("the page of the origin"), "{page:?}\n{}", bridge.said());
    let native = run(commucat().args(["link", "convert", &link])).stdout;
    assert!(native.contains("plugin=v2ray-plugin"), "other programs know this as a plug-in: {native}");
    let again = Client::start(native.trim());
    let page = curl(&["--proxy", &again.socks(), &origin.url("/page")]).unwrap();
    assert!(page.stdout.contains("the page of the origin"), "{page:?}");
}
