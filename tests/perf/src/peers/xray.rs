//! Xray, from the wheel `xray-core`: a library that runs inside a Python process. The host adds a few MiB of memory and no work.

use std::{path::PathBuf, process::Command};

use serde_json::{Value, json};

use super::{
    Ends, Plan, Product,
    credentials::{SERVER_NAME, WS_PATH, flow},
    wheels, write_json,
};
use crate::{cache::Cache, cells::Row, process::Process};

/// Its id.
pub const ID: &str = "xray";

/// The Xray inside the pinned wheel.
const CORE_VERSION: &str = "26.10.10";
/// Runs a configuration until the process is ended.
const HOST: &str = "import signal, sys, xray; xray.startFromJSON(open(sys.argv[1]).read()); signal.pause()";

/// An Xray that is ready to start.
#[derive(Debug)]
pub struct Xray {
    library: PathBuf,
    version: String,
}

impl Xray {
    /// Fetches and unpacks the pinned wheel for this machine's Python.
    ///
    /// # Errors
    /// When there is no such wheel.
    pub fn prepare(cache: &Cache) -> anyhow::Result<Self> {
        let library = wheels::unpacked(cache, &wheels::XRAY)?;
        Ok(Self { library, version: format!("{CORE_VERSION} (wheel {})", wheels::XRAY.version) })
    }

    fn run(&self, plan: &Plan<'_>, name: &str, config: &Value) -> anyhow::Result<Process> {
        let path = write_json(plan, &format!("{name}.json"), config)?;
        let mut command = Command::new(wheels::PYTHON);
        command.args(["-c", HOST]).arg(path).env("PYTHONPATH", &self.library);
        Process::start(name, &command, plan.dir)
    }
}

impl Product for Xray {
    fn id(&self) -> &str {
        ID
    }

    fn version(&self) -> &str {
        &self.version
    }

    fn speaks(&self, row: Row) -> bool {
        matches!(row, Row::Shadowsocks | Row::WebSocket | Row::Reality | Row::Vision)
    }

    fn start(&self, plan: &Plan<'_>) -> anyhow::Result<Ends> {
        let server = self.run(plan, "server", &server(plan))?;
        Ok(Ends::new(self.run(plan, "client", &client(plan))?, server))
    }
}

fn log() -> Value {
    // Without "access": "none" it would write a line a connection.
    json!({ "loglevel": "error", "access": "none" })
}

fn server(plan: &Plan<'_>) -> Value {
    let keys = plan.credentials;
    let mut inbound = match plan.row {
        Row::Shadowsocks => json!({
            "protocol": "shadowsocks",
            "settings": {
                "method": "2022-blake3-aes-128-gcm",
                "password": keys.shadowsocks_key,
                "network": "tcp",
            },
        }),
        Row::WebSocket => json!({
            "protocol": "vless",
            "settings": { "clients": [{ "id": keys.uuid }], "decryption": "none" },
            "streamSettings": {
                "network": "ws",
                "security": "tls",
                "wsSettings": { "path": WS_PATH },
                "tlsSettings": {
                    "minVersion": "1.3",
                    // Absolute: relative ones are looked for beside the library.
                    "certificates": [{ "certificateFile": keys.certificate, "keyFile": keys.private_key }],
                },
            },
        }),
        Row::Reality | Row::Vision => json!({
            "protocol": "vless",
            "settings": { "clients": [{ "id": keys.uuid, "flow": flow(plan.row) }], "decryption": "none" },
            "streamSettings": {
                "network": "raw",
                "security": "reality",
                "realitySettings": {
                    "target": plan.site.to_string(),
                    "serverNames": [SERVER_NAME],
                    "privateKey": keys.reality_private,
                    "shortIds": [keys.short_id],
                },
            },
        }),
    };
    listen(&mut inbound, plan.bridge);
    // Since 26.5 a server refuses targets on private addresses unless it is told otherwise.
    let outbound = json!({ "protocol": "freedom", "settings": { "finalRules": [{ "action": "allow" }] } });
    json!({ "log": log(), "inbounds": [inbound], "outbounds": [outbound] })
}

fn client(plan: &Plan<'_>) -> Value {
    let keys = plan.credentials;
    let (host, port) = (plan.bridge.ip(), plan.bridge.port());
    let outbound = match plan.row {
        Row::Shadowsocks => json!({
            "protocol": "shadowsocks",
            "settings": { "servers": [{
                "address": host,
                "port": port,
                "method": "2022-blake3-aes-128-gcm",
                "password": keys.shadowsocks_key,
            }] },
        }),
        Row::WebSocket => json!({
            "protocol": "vless",
            "settings": { "vnext": [{
                "address": host,
                "port": port,
                "users": [{ "id": keys.uuid, "encryption": "none" }],
            }] },
            "streamSettings": {
                "network": "ws",
                "security": "tls",
                "wsSettings": { "path": WS_PATH },
                "tlsSettings": { "serverName": SERVER_NAME, "pinnedPeerCertSha256": keys.certificate_sha256 },
            },
        }),
        Row::Reality | Row::Vision => json!({
            "protocol": "vless",
            "settings": { "vnext": [{
                "address": host,
                "port": port,
                "users": [{ "id": keys.uuid, "encryption": "none", "flow": flow(plan.row) }],
            }] },
            "streamSettings": {
                "network": "raw",
                "security": "reality",
                "realitySettings": {
                    "serverName": SERVER_NAME,
                    "fingerprint": "chrome",
                    "password": keys.reality_public,
                    "shortId": keys.short_id,
                },
            },
        }),
    };
    let mut forward = json!({
        "protocol": "dokodemo-door",
        "settings": { "address": plan.target.ip(), "port": plan.target.port(), "network": "tcp" },
    });
    listen(&mut forward, plan.forward);
    let mut socks = json!({ "protocol": "socks", "settings": { "auth": "noauth", "udp": false } });
    listen(&mut socks, plan.socks);
    json!({ "log": log(), "inbounds": [forward, socks], "outbounds": [outbound] })
}

fn listen(inbound: &mut Value, address: std::net::SocketAddr) {
    if let Some(fields) = inbound.as_object_mut() {
        fields.insert("listen".into(), json!(address.ip()));
        fields.insert("port".into(), json!(address.port()));
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
            assert_eq!(server["inbounds"][0]["port"], 1001);
            assert_eq!(client["inbounds"][0]["port"], 1002);
            assert_eq!(client["inbounds"][0]["settings"]["port"], 1004);
            assert_eq!(client["inbounds"][1]["port"], 1003);
            let (inbound, outbound) = (&server["inbounds"][0], &client["outbounds"][0]);
            assert_eq!(inbound["protocol"], outbound["protocol"]);
            let path = "/streamSettings/wsSettings/path";
            assert_eq!(inbound.pointer(path), outbound.pointer(path));
        }
        for row in [Row::Reality, Row::Vision] {
            let plan = plan(row, &keys);
            let (server, client) = (server(&plan), client(&plan));
            let server = &server["inbounds"][0];
            let user = "/settings/vnext/0/users/0/flow";
            assert_eq!(Some(&server["settings"]["clients"][0]["flow"]), client["outbounds"][0].pointer(user));
            assert_eq!(server["settings"]["clients"][0]["flow"], flow(row));
            let theirs = &client["outbounds"][0]["streamSettings"]["realitySettings"];
            let ours = &server["streamSettings"]["realitySettings"];
            assert_eq!(ours["target"], "127.0.0.1:1006");
            assert_eq!(ours["serverNames"][0], theirs["serverName"]);
            assert_eq!(ours["shortIds"][0], theirs["shortId"]);
            assert_eq!(
                (&ours["privateKey"], &theirs["password"]),
                (&keys.reality_private.as_str().into(), &keys.reality_public.as_str().into())
            );
        }
        let ss = client(&plan(Row::Shadowsocks, &keys));
        assert_eq!(ss["outbounds"][0]["settings"]["servers"][0]["port"], 1001);
    }
}
