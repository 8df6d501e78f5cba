//! Xray as the Python wheel `xray-core`: a library that runs inside a Python process.

use std::net::SocketAddr;

use commucat_tests_interop::{
    programs::{Running, free_address},
    wheels::{Installed, Wheel},
};
use serde_json::{Value, json};

/// The wheel's version; the core inside is 26.10.10.
const VERSION: &str = "1.8.26.13";
/// SHA-256 of the wheels for CPython 3.11, 3.12 and 3.13 on x86-64 Linux.
const HASHES: [&str; 3] = [
    "eacc9c4ee4ef4cd11fff8335ed18dad210addc8902d6135a2b434444415bca29",
    "36785808dae64e521cfd707fa2f4f04160ed39c0a53ccb6fbdec4d70a1b4040c",
    "8dedbd54b40a5ac5f0b86e17b68fbb0d01fbfd5b00c9bf4512efd30afc1a48f3",
];
/// Runs a configuration until the process is ended.
const HOST: &str = "import signal, sys, xray; xray.startFromJSON(open(sys.argv[1]).read()); signal.pause()";
const WHEEL: Wheel<'static> =
    Wheel { name: "xray-core", version: VERSION, hashes: &HASHES, python: None, module: "xray", host: HOST };

/// An Xray that can be started.
pub(crate) struct Xray(Installed);

impl Xray {
    /// Installs the wheel when it is not there; `None` after the line that says what was skipped.
    pub(crate) fn find() -> Option<Self> {
        WHEEL.find().unwrap().map(Self)
    }

    fn start(&self, name: &str, config: &Value, cone: bool) -> Running {
        let mut command = self.0.command(name, config).unwrap();
        if !cone {
            command.env("XRAY_CONE_DISABLED", "true");
        }
        Running::start(&mut command).unwrap()
    }

    /// A VLESS server with these REALITY settings, which dials what it is asked for.
    pub(crate) async fn server(&self, at: SocketAddr, user: &str, flow: &str, reality: &Value) -> Running {
        let config = json!({
            "log": { "loglevel": "warning", "access": "none" },
            "inbounds": [{
                "listen": at.ip(), "port": at.port(), "protocol": "vless",
                "settings": { "clients": [{ "id": user, "flow": flow }], "decryption": "none" },
                "streamSettings": { "network": "raw", "security": "reality", "realitySettings": reality },
            }],
            // Since 26.5 a server refuses targets on private addresses unless it is told otherwise.
            "outbounds": [{ "protocol": "freedom", "settings": { "finalRules": [{ "action": "allow" }] } }],
        });
        let mut running = self.start(&format!("server-{}", at.port()), &config, true);
        running.listens_at(at).await.unwrap();
        running
    }

    /// A client of this bridge with these REALITY settings: its SOCKS5 port. With `cone` its UDP is XUDP.
    pub(crate) async fn client(
        &self,
        bridge: SocketAddr,
        user: &str,
        flow: &str,
        reality: &Value,
        cone: bool,
    ) -> (Running, SocketAddr) {
        let proxy = free_address().unwrap();
        let config = json!({
            "log": { "loglevel": "warning", "access": "none" },
            "inbounds": [{
                "listen": proxy.ip(), "port": proxy.port(), "protocol": "socks",
                "settings": { "auth": "noauth", "udp": true },
            }],
            "outbounds": [{
                "protocol": "vless",
                "settings": { "vnext": [{
                    "address": bridge.ip(), "port": bridge.port(),
                    "users": [{ "id": user, "encryption": "none", "flow": flow }],
                }] },
                "streamSettings": { "network": "raw", "security": "reality", "realitySettings": reality },
            }],
        });
        let mut running = self.start(&format!("client-{}", proxy.port()), &config, cone);
        running.listens_at(proxy).await.unwrap();
        (running, proxy)
    }
}
