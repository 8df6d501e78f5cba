//! A bridge behind a site that is somebody else's: OpenSSL's server, whose visitors must not notice.

use std::fs;

use crate::support::{Client, Origin, Process, closed_port, commucat, curl, run, tool};

const NAME: &str = "site.example.org";

/// OpenSSL's server with a page that tells its own parameters; `None` after the line that says what was skipped.
fn site(folder: &std::path::Path, port: u16) -> Option<Process> {
    let [key, certificate] = ["key.pem", "cert.pem"].map(|name| folder.join(name));
    let mut made = tool("openssl", "openssl")?;
    made.args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "3", "-subj"]);
    made.arg(format!("/CN={NAME}")).args(["-addext", &format!("subjectAltName=DNS:{NAME}")]);
    assert_eq!(run(made.arg("-keyout").arg(&key).arg("-out").arg(&certificate)).code, Some(0));
    let mut server = tool("openssl", "openssl")?;
    server.args(["s_server", "-www", "-accept", &port.to_string(), "-key"]).arg(key);
    let mut process = Process::start(server.arg("-cert").arg(certificate));
    process.wait_for("ACCEPT");
    Some(process)
}

#[test]
fn a_person_browses_and_a_stranger_sees_the_site() {
    let (folder, origin) = (tempfile::tempdir().unwrap(), Origin::start());
    let (at, bridge_port) = (closed_port(), closed_port());
    let Some(_site) = site(folder.path(), at) else { return };
    let keys = run(commucat().args(["reality", "keys", "--json", "--target"]).arg(format!("127.0.0.1:{at}")));
    assert_eq!(keys.code, Some(0), "{keys:?}");
    let keys: serde_json::Value = serde_json::from_str(&keys.stdout).unwrap();
    let mut params = keys["server"].clone();
    params["server_names"] = serde_json::json!([NAME]);
    let config = serde_json::json!({
        "server": { "public": "127.0.0.1", "admin_bind": "127.0.0.1:0" },
        "egress": { "allow_private": true },
        "endpoints": [{ "transport": "reality", "listen": format!("127.0.0.1:{bridge_port}"), "params": params }],
    });
    let (file, state) = (folder.path().join("bridge.yaml"), folder.path().join("state"));
    // JSON is YAML.
    fs::write(&file, config.to_string()).unwrap();
    let link =
        run(commucat().args(["user", "add", "anna", "--config"]).arg(&file).arg("--state").arg(&state));
    assert_eq!(link.code, Some(0), "{link:?}");
    let mut bridge =
        Process::start(commucat().args(["serve", "--config"]).arg(&file).arg("--state").arg(&state));
    bridge.wait_for("listening");

    let client = Client::start(link.stdout.trim());
    let Some(page) = curl(&["--proxy", &client.socks(), &origin.url("/page")]) else { return };
    assert!(page.stdout.contains("the page of the origin"), "{page:?}\n{}", bridge.said());

    let native = run(commucat().args(["link", "convert", link.stdout.trim()])).stdout;
    assert!(native.starts_with("vless://"), "other programs read this: {native}");

    let certificate = folder.path().join("cert.pem");
    let connect = format!("{NAME}:{bridge_port}:127.0.0.1");
    let url = format!("https://{NAME}:{bridge_port}/");
    let stranger = curl(&["--cacert", certificate.to_str().unwrap(), "--resolve", connect.as_str(), &url]);
    let stranger = stranger.unwrap();
    assert!(stranger.stdout.contains("s_server"), "{stranger:?}");
}

#[test]
fn a_bridge_whose_site_is_away_says_so_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let keys = run(commucat()
        .args(["reality", "keys", "--json", "--target"])
        .arg(format!("127.0.0.1:{}", closed_port())));
    let keys: serde_json::Value = serde_json::from_str(&keys.stdout).unwrap();
    let config = serde_json::json!({
        "server": { "public": "127.0.0.1", "admin_bind": "127.0.0.1:0" },
        "endpoints": [{ "transport": "reality", "listen": "127.0.0.1:0", "public": "127.0.0.1:1", "params": keys["server"] }],
    });
    let file = folder.path().join("bridge.yaml");
    fs::write(&file, config.to_string()).unwrap();
    let ended = run(commucat()
        .args(["serve", "--config"])
        .arg(&file)
        .arg("--state")
        .arg(folder.path().join("state")));
    assert_ne!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stderr.contains("target"), "{ended:?}");
}
