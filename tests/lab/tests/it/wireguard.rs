//! WireGuard in user space, as Debian packages it (wireguard-go, wireguard-tools).

use commucat_lab::{Place, PlaceChild};

use crate::stage::{Stage, program, run, succeed, until};

/// One end: the program, and the public key it was given.
struct End<'a> {
    place: &'a Place,
    private: String,
    public: String,
    _program: PlaceChild,
}

/// Its control socket would lie in a folder that all places share.
const OWN_RUN: &str = "mount -t tmpfs tmpfs /run && mkdir /run/wireguard";

impl<'a> End<'a> {
    fn start(place: &'a Place) -> Self {
        succeed(place.command("sh").args(["-c", OWN_RUN]));
        let mut program = place.command("wireguard-go");
        program.args(["--foreground", "wg0"]).env("WG_PROCESS_FOREGROUND", "1").env("LOG_LEVEL", "error");
        let program = program.spawn().unwrap();
        until("wireguard-go answers", || run(place.command("wg").args(["show", "wg0"])).status.success());
        let private = succeed(place.command("wg").arg("genkey")).trim().to_owned();
        let script = format!("echo {private} | wg pubkey");
        let public = succeed(place.command("sh").args(["-c", &script])).trim().to_owned();
        Self { place, private, public, _program: program }
    }

    /// Gives it its key, its peer and an address.
    fn set(&self, own: &str, peer: &Self, peer_is: &str) {
        let script = format!(
            "echo {} >/run/wireguard/key && wg set wg0 private-key /run/wireguard/key {peer_is} &&
             ip address add {own}/24 dev wg0 && ip link set wg0 mtu 1420 up",
            self.private,
        )
        .replace("PEER", &peer.public);
        succeed(self.place.command("sh").args(["-c", &script]));
    }
}

/// Brings up a tunnel and pings through it.
fn ping_through(stage: &Stage) -> bool {
    let (server, client) = (End::start(stage.lab.world()), End::start(stage.lab.client()));
    server.set("10.99.0.1", &client, "listen-port 51821 peer PEER allowed-ips 10.99.0.2/32");
    client.set("10.99.0.2", &server, "peer PEER endpoint 203.0.113.10:51821 allowed-ips 10.99.0.1/32");
    let mut ping = stage.lab.client().command("ping");
    run(ping.args(["-n", "-q", "-c", "3", "-i", "0.3", "-W", "1", "-I", "wg0", "10.99.0.1"])).status.success()
}

fn missing() -> bool {
    program("wireguard-go", "wireguard-go").is_none()
        || program("wg", "wireguard-tools").is_none()
        || program("ip", "iproute2").is_none()
        || program("ping", "iputils-ping").is_none()
}

#[test]
fn its_handshake_is_recognised() {
    if missing() {
        return;
    }
    let Some(stage) = Stage::with("vpn-sig") else { return };
    assert!(!ping_through(&stage), "a ping came through");
    stage.blamed("vpn-sig");
}

#[test]
fn without_a_censor_it_carries() {
    if missing() {
        return;
    }
    let Some(stage) = Stage::with("clean") else { return };
    assert!(ping_through(&stage), "no ping came through");
    stage.untouched();
}
