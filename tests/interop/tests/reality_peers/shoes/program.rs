//! shoes 0.3.2: a proxy written in Rust, from the crate registry.

use std::{net::SocketAddr, path::PathBuf, process::Command};

use commucat_tests_interop::{
    RelayBridge,
    programs::{Running, built, free_address},
};
use serde_json::{Value, json};

use crate::{
    ends::{PRIVATE_KEY, SHORT_ID, UUID, told},
    site::NAME,
};

const VERSION: &str = "0.3.2";

/// A shoes that can be started.
pub(crate) struct Shoes {
    program: PathBuf,
    configs: tempfile::TempDir,
}

impl Shoes {
    /// Builds it when it is not there; `None` after the line that says what was skipped.
    pub(crate) fn find() -> Option<Self> {
        let program = built("shoes", VERSION).unwrap()?;
        Some(Self { program, configs: tempfile::tempdir().unwrap() })
    }

    /// JSON is YAML, which it reads.
    async fn start(&self, config: &Value, at: SocketAddr) -> Running {
        let path = self.configs.path().join(format!("{}.yaml", at.port()));
        std::fs::write(&path, config.to_string()).unwrap();
        let mut running = Running::start(Command::new(&self.program).arg(path)).unwrap();
        running.listens_at(at).await.unwrap();
        running
    }

    /// A VLESS server that imitates this site, whose address must be a name, and dials what it is asked for: where it listens.
    pub(crate) async fn server(&self, vision: bool, site: SocketAddr) -> (Running, SocketAddr) {
        let at = free_address().unwrap();
        let config = json!([{
            "address": at,
            "protocol": { "type": "tls", "reality_targets": { NAME: {
                "private_key": PRIVATE_KEY, "short_ids": [SHORT_ID], "dest": format!("localhost:{}", site.port()), "vision": vision,
                "protocol": { "type": "vless", "user_id": UUID, "udp_enabled": true },
            } } },
        }]);
        (self.start(&config, at).await, at)
    }

    /// A client of a bridge of ours: its SOCKS5 port.
    pub(crate) async fn client(&self, bridge: &RelayBridge, vision: bool) -> (Running, SocketAddr) {
        let proxy = free_address().unwrap();
        let config = json!([{
            "address": proxy,
            "protocol": { "type": "socks" },
            "rules": [{ "masks": "0.0.0.0/0", "action": "allow", "client_chain": {
                "address": bridge.address,
                "protocol": {
                    "type": "reality", "public_key": told(bridge, "public_key"), "sni_hostname": NAME,
                    "short_id": told(bridge, "short_id"), "vision": vision,
                    "protocol": { "type": "vless", "user_id": told(bridge, "user") },
                },
            } }],
        }]);
        (self.start(&config, proxy).await, proxy)
    }
}
