//! The main job: a person browses through each transport, with curl and with a browser.

use std::{
    io::{Read as _, Write as _},
    net::{Shutdown, TcpStream},
    process::Command,
};

use crate::support::{Bridge, Client, Origin, curl, run, tool};

const TRANSPORTS: [&str; 2] = ["shadowsocks", "websocket"];

#[test]
fn curl_fetches_through_socks_and_http_over_every_transport() {
    let (bridge, origin) = (Bridge::start(), Origin::start());
    let folder = tempfile::tempdir().unwrap();
    for transport in TRANSPORTS {
        let client = Client::start_with(&bridge.link, &["--only", transport]);
        for proxy in [client.socks(), client.http()] {
            let Some(page) = curl(&["--proxy", &proxy, &origin.url("/page")]) else { return };
            assert_eq!(
                page.stdout, "<title>page</title>the page of the origin\n",
                "{transport} {proxy}: {page:?}"
            );
            let file = folder.path().join("blob");
            let saved = file.to_str().unwrap();
            // --proxytunnel makes an HTTP proxy use CONNECT, as https does.
            let blob =
                curl(&["--proxytunnel", "--proxy", &proxy, "--output", saved, &origin.url("/blob")]).unwrap();
            assert_eq!(blob.code, Some(0), "{transport} {proxy}: {blob:?}");
            assert!(std::fs::read(&file).unwrap() == origin.blob, "{transport} {proxy}: other bytes arrived");
            let posted =
                curl(&["--proxy", &proxy, "--data-binary", &format!("@{saved}"), &origin.url("/echo")]);
            assert_eq!(posted.unwrap().code, Some(0), "{transport} {proxy}: upload");
        }
    }
}

#[test]
fn a_half_closed_upload_gets_its_answer_over_every_transport() {
    let (bridge, counting) = (Bridge::start(), Origin::counting());
    for transport in TRANSPORTS {
        let forward = format!("127.0.0.1:0={counting}");
        let mut client = Client::start_with(&bridge.link, &["--only", transport, "--forward", &forward]);
        let event = client.process.wait_for_event("forwarding");
        let mut stream = TcpStream::connect(event["address"].as_str().unwrap()).unwrap();
        stream.write_all(&[7; 100_000]).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert_eq!(answer, "got 100000 bytes", "{transport}");
    }
}

#[test]
fn chromium_browses_through_both_proxy_kinds() {
    let (bridge, origin) = (Bridge::start(), Origin::start());
    let client = Client::start(&bridge.link);
    for proxy in [format!("socks5://{}", client.proxy), client.http()] {
        let Some(mut chromium) = tool("chromium", "chromium") else { return };
        let profile = tempfile::tempdir().unwrap();
        let page = run(headless(&mut chromium)
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .arg(format!("--proxy-server={proxy}"))
            // Loopback goes around a proxy unless told otherwise.
            .arg("--proxy-bypass-list=<-loopback>")
            .args(["--dump-dom", &origin.url("/page")]));
        assert!(page.stdout.contains("the page of the origin"), "{proxy}: {page:?}");
    }
}

fn headless(chromium: &mut Command) -> &mut Command {
    chromium.args([
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
    ])
}

#[test]
fn a_password_on_the_local_port_is_asked_for() {
    let (bridge, origin) = (Bridge::start(), Origin::start());
    let client = Client::start_with(&bridge.link, &["--auth", "me:secret"]);
    let address = client.proxy;
    for scheme in ["socks5h", "http"] {
        let good = format!("{scheme}://me:secret@{address}");
        let Some(page) = curl(&["--proxy", &good, &origin.url("/page")]) else { return };
        assert_eq!(page.code, Some(0), "{scheme}: {page:?}");
        for bad in [format!("{scheme}://me:wrong@{address}"), format!("{scheme}://{address}")] {
            let refused = curl(&["--fail", "--proxy", &bad, &origin.url("/page")]).unwrap();
            assert_ne!(refused.code, Some(0), "{bad}");
        }
    }
}

#[test]
fn the_egress_policy_keeps_users_out_of_the_bridges_own_network() {
    let options = crate::support::BridgeOptions { public_egress_only: true, ..Default::default() };
    let (bridge, origin) = (Bridge::start_with(&options), Origin::start());
    for transport in TRANSPORTS {
        let client = Client::start_with(&bridge.link, &["--only", transport]);
        let Some(page) = curl(&["--proxy", &client.socks(), &origin.url("/page")]) else { return };
        assert_ne!(page.code, Some(0), "{transport} reached loopback of the bridge: {page:?}");
    }
}
