//! A bridge behind a site that is somebody else's: OpenSSL's server, whose visitors must not notice.

use std::{fs, path::Path, process::Stdio, time::Duration};

use crate::support::{Client, Origin, Process, closed_port, commucat, curl, run, tool};

const NAME: &str = "site.example.org";

/// OpenSSL's server with a page that tells its own parameters; `None` after the line that says what was skipped.
fn site(folder: &Path, port: u16) -> Option<Process> {
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

/// A running bridge before the site, and the link of its user.
struct Deployed {
    bridge: Process,
    port: u16,
    link: String,
}

impl Deployed {
    fn before(site: u16, folder: &Path) -> Self {
        let port = closed_port();
        let keys = commucat()
            .args(["reality", "keys", "--json", "--target"])
            .arg(format!("127.0.0.1:{site}"))
            .output();
        let keys: serde_json::Value = serde_json::from_slice(&keys.unwrap().stdout).unwrap();
        let mut params = keys["server"].clone();
        params["server_names"] = serde_json::json!([NAME]);
        let config = serde_json::json!({
            "server": { "public": "127.0.0.1", "admin_bind": "127.0.0.1:0" },
            "egress": { "allow_private": true },
            "endpoints": [{ "transport": "reality", "listen": format!("127.0.0.1:{port}"), "params": params }],
        });
        let (file, state) = (folder.join("bridge.yaml"), folder.join("state"));
        // JSON is YAML.
        fs::write(&file, config.to_string()).unwrap();
        let link =
            run(commucat().args(["user", "add", "anna", "--config"]).arg(&file).arg("--state").arg(&state));
        assert_eq!(link.code, Some(0), "{link:?}");
        let mut bridge =
            Process::start(commucat().args(["serve", "--config"]).arg(&file).arg("--state").arg(&state));
        bridge.wait_for("listening");
        Self { bridge, port, link: link.stdout.trim().to_owned() }
    }
}

#[test]
fn a_person_browses_and_a_stranger_sees_the_site() {
    let (folder, origin, at) = (tempfile::tempdir().unwrap(), Origin::start(), closed_port());
    let Some(_site) = site(folder.path(), at) else { return };
    let mut deployed = Deployed::before(at, folder.path());

    let client = Client::start(&deployed.link);
    let Some(page) = curl(&["--proxy", &client.socks(), &origin.url("/page")]) else { return };
    assert!(page.stdout.contains("the page of the origin"), "{page:?}\n{}", deployed.bridge.said());

    let native = run(commucat().args(["link", "convert", &deployed.link])).stdout;
    assert!(native.starts_with("vless://"), "other programs read this: {native}");

    let certificate = folder.path().join("cert.pem");
    let connect = format!("{NAME}:{}:127.0.0.1", deployed.port);
    let url = format!("https://{NAME}:{}/", deployed.port);
    let stranger = curl(&["--cacert", certificate.to_str().unwrap(), "--resolve", connect.as_str(), &url]);
    let stranger = stranger.unwrap();
    assert!(stranger.stdout.contains("s_server"), "{stranger:?}");
}

/// Twenty transfers at once need no more than three connections, and each ends whole.
#[test]
fn many_transfers_share_few_connections() {
    const TRANSFERS: usize = 20;
    let (folder, origin, at) = (tempfile::tempdir().unwrap(), Origin::start(), closed_port());
    let Some(_site) = site(folder.path(), at) else { return };
    let mut deployed = Deployed::before(at, folder.path());
    let client = Client::start(&deployed.link);
    let (proxy, url) = (client.socks(), origin.url("/slow"));
    let running: Vec<_> = (0..TRANSFERS)
        .map(|index| {
            let file = folder.path().join(format!("blob-{index}"));
            let mut curl = tool("curl", "curl")?;
            curl.args(["--disable", "--silent", "--max-time", "50", "--proxy", &proxy, &url, "--output"]);
            Some((curl.arg(&file).stdin(Stdio::null()).spawn().unwrap(), file))
        })
        .map_while(|transfer| transfer)
        .collect();
    let mut most = 0;
    let mut unfinished = running;
    while !unfinished.is_empty() {
        most = most.max(connections_to(deployed.port));
        std::thread::sleep(Duration::from_millis(100));
        unfinished.retain_mut(|(curl, file)| {
            let Some(ended) = curl.try_wait().unwrap() else { return true };
            assert!(ended.success(), "{ended}\n{}", deployed.bridge.said());
            assert!(fs::read(file).unwrap() == origin.blob, "a transfer came changed");
            false
        });
    }
    assert!((1..=3).contains(&most), "{most} connections at once");
}

/// Connections of this machine to a port of its own that are open now, as their dialling ends have them.
fn connections_to(port: u16) -> usize {
    const ESTABLISHED: &str = "01";
    let table = fs::read_to_string("/proc/net/tcp").unwrap();
    let peer = format!(":{port:04X}");
    table
        .lines()
        .filter(|line| {
            let mut fields = line.split_whitespace().skip(2);
            fields.next().is_some_and(|remote| remote.ends_with(&peer)) && fields.next() == Some(ESTABLISHED)
        })
        .count()
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
