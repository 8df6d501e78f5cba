//! OpenVPN as Debian packages it, TLS mode over UDP, each end known by its certificate's fingerprint.

use std::{fs, path::Path};

use commucat_lab::{Place, PlaceChild};

use crate::stage::{Stage, program, run, succeed, until};

/// A key and a certificate made by openssl, and the fingerprint that the other end is told.
fn identity(place: &Place, folder: &Path, name: &str) -> String {
    let (key, certificate) = (folder.join(format!("{name}.key")), folder.join(format!("{name}.crt")));
    let mut make = place.command("openssl");
    make.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]);
    make.args(["-days", "2", "-subj", &format!("/CN={name}"), "-keyout"])
        .arg(&key)
        .arg("-out")
        .arg(&certificate);
    succeed(&mut make);
    let mut fingerprint = place.command("openssl");
    fingerprint.args(["x509", "-noout", "-fingerprint", "-sha256", "-in"]).arg(&certificate);
    succeed(&mut fingerprint).trim().rsplit('=').next().unwrap().to_owned()
}

fn end(place: &Place, folder: &Path, name: &str, peer: &str, args: &[&str]) -> PlaceChild {
    let mut openvpn = place.command("openvpn");
    openvpn
        .args(["--dev", "tun7", "--proto", "udp4", "--dh", "none", "--verb", "3"])
        .args(["--peer-fingerprint", peer, "--data-ciphers", "AES-256-GCM"])
        .arg("--cert")
        .arg(folder.join(format!("{name}.crt")))
        .arg("--key")
        .arg(folder.join(format!("{name}.key")))
        .arg("--log")
        .arg(folder.join(format!("{name}.log")))
        .args(args);
    openvpn.spawn().unwrap()
}

/// Brings up a tunnel and pings through it.
fn ping_through(stage: &Stage, attempts: u32) -> (bool, String) {
    let folder = tempfile::tempdir().unwrap();
    let (world, client) = (stage.lab.world(), stage.lab.client());
    let (server_is, client_is) =
        (identity(world, folder.path(), "server"), identity(client, folder.path(), "client"));
    let serving =
        ["--tls-server", "--local", "203.0.113.10", "--port", "1194", "--ifconfig", "10.98.0.1", "10.98.0.2"];
    let _server = end(world, folder.path(), "server", &client_is, &serving);
    let log = |name: &str| fs::read_to_string(folder.path().join(format!("{name}.log"))).unwrap_or_default();
    until("the server waits", || log("server").contains("UDPv4 link remote"));
    let calling = [
        "--tls-client",
        "--remote",
        "203.0.113.10",
        "1194",
        "--nobind",
        "--ifconfig",
        "10.98.0.2",
        "10.98.0.1",
    ];
    let _client = end(client, folder.path(), "client", &server_is, &calling);
    for _ in 0..attempts {
        let mut ping = client.command("ping");
        if run(ping.args(["-n", "-q", "-c", "1", "-W", "1", "-I", "tun7", "10.98.0.1"])).status.success() {
            return (true, log("client"));
        }
        std::thread::sleep(std::time::Duration::from_millis(200));
    }
    (false, log("client") + &log("server"))
}

fn missing() -> bool {
    program("openvpn", "openvpn").is_none()
        || program("openssl", "openssl").is_none()
        || program("ip", "iproute2").is_none()
        || program("ping", "iputils-ping").is_none()
}

#[test]
fn its_handshake_is_recognised() {
    if missing() {
        return;
    }
    let Some(stage) = Stage::with("vpn-sig") else { return };
    let (came, log) = ping_through(&stage, 8);
    assert!(!came, "{log}");
    stage.blamed("vpn-sig");
}

#[test]
fn without_a_censor_it_carries() {
    if missing() {
        return;
    }
    let Some(stage) = Stage::with("clean") else { return };
    let (came, log) = ping_through(&stage, 20);
    assert!(came, "{log}");
    stage.untouched();
}
