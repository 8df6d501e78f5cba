//! shadowsocks-rust: `sslocal` and `ssserver`, built from the crate registry into the cache, because nobody packs them.

use std::{path::PathBuf, process::Command};

use anyhow::{Context, bail};
use serde_json::{Value, json};

use super::{Ends, Plan, Product, write_json};
use crate::{cache::Cache, cells::Row, process::Process};

/// Its id.
pub const ID: &str = "shadowsocks-rust";
/// The pinned release.
const VERSION: &str = "1.25.0";
/// What the row needs, and what its own releases have for speed.
const FEATURES: &str = "local,server,local-tunnel,multi-threaded,aead-cipher-2022";

/// A shadowsocks-rust that is ready to start.
#[derive(Debug)]
pub struct ShadowsocksRust {
    bin: PathBuf,
}

impl ShadowsocksRust {
    /// Finds the programs in the cache; builds them there when `install` says so, which takes minutes.
    ///
    /// # Errors
    /// When they are not there or do not build.
    pub fn prepare(cache: &Cache, install: bool) -> anyhow::Result<Self> {
        let root = cache.tools().join(format!("shadowsocks-rust-{VERSION}"));
        let bin = root.join("bin");
        let missing = ["sslocal", "ssserver"].iter().any(|program| !bin.join(program).exists());
        if missing && install {
            build(cache, &root)?;
        } else if missing {
            bail!("not built; `./run bench --install-peers` builds it once, which takes minutes");
        }
        Ok(Self { bin })
    }
}

impl Product for ShadowsocksRust {
    fn id(&self) -> &str {
        ID
    }

    fn version(&self) -> &str {
        VERSION
    }

    fn speaks(&self, row: Row) -> bool {
        row == Row::Shadowsocks
    }

    fn start(&self, plan: &Plan<'_>) -> anyhow::Result<Ends> {
        let run = |name: &str, program: &str, config: &Value| {
            let path = write_json(plan, &format!("{name}.json"), config)?;
            Process::start(name, Command::new(self.bin.join(program)).arg("-c").arg(path), plan.dir)
        };
        let server = run("server", "ssserver", &server(plan))?;
        Ok(Ends::new(run("client", "sslocal", &client(plan))?, server))
    }
}

fn build(cache: &Cache, root: &std::path::Path) -> anyhow::Result<()> {
    crate::report::say(&format!("building shadowsocks-rust {VERSION} at low priority; this takes minutes"));
    let mut command = Command::new("nice");
    command.args(["-n", "19", "cargo", "install", "--locked", "shadowsocks-rust", "--version", VERSION]);
    command.args(["--no-default-features", "--features", FEATURES, "--bin", "sslocal", "--bin", "ssserver"]);
    let objects = cache.tools().join("build");
    command.arg("--root").arg(root).arg("--target-dir").arg(&objects);
    // Our own flags must not leak into somebody else's build.
    command.env_remove("RUSTFLAGS").env_remove("CARGO_ENCODED_RUSTFLAGS");
    let status = command.status().context("starting cargo install")?;
    if !status.success() {
        bail!("cargo install ended with {status}");
    }
    // A gigabyte that nobody needs again.
    std::fs::remove_dir_all(&objects).ok();
    Ok(())
}

fn server(plan: &Plan<'_>) -> Value {
    json!({
        "server": plan.bridge.ip(),
        "server_port": plan.bridge.port(),
        "method": "2022-blake3-aes-128-gcm",
        "password": plan.credentials.shadowsocks_key,
        "mode": "tcp_only",
        "no_delay": true,
    })
}

fn client(plan: &Plan<'_>) -> Value {
    json!({
        "servers": [{
            "address": plan.bridge.ip(),
            "port": plan.bridge.port(),
            "method": "2022-blake3-aes-128-gcm",
            "password": plan.credentials.shadowsocks_key,
        }],
        "locals": [
            {
                "protocol": "tunnel",
                "mode": "tcp_only",
                "local_address": plan.forward.ip(),
                "local_port": plan.forward.port(),
                "forward_address": plan.target.ip(),
                "forward_port": plan.target.port(),
            },
            {
                "protocol": "socks",
                "mode": "tcp_only",
                "local_address": plan.socks.ip(),
                "local_port": plan.socks.port(),
            },
        ],
        "no_delay": true,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peers::{Credentials, tests::plan};

    #[test]
    fn both_ends_agree() {
        let keys = Credentials::generate().unwrap();
        let plan = plan(Row::Shadowsocks, &keys);
        let (server, client) = (server(&plan), client(&plan));
        assert_eq!(server["server_port"], client["servers"][0]["port"]);
        assert_eq!(server["password"], client["servers"][0]["password"]);
        assert_eq!(client["locals"][0]["local_port"], 1002);
        assert_eq!(client["locals"][0]["forward_port"], 1004);
        assert_eq!(client["locals"][1]["local_port"], 1003);
    }

    #[test]
    fn absence_says_what_to_do() {
        let dir = tempfile::tempdir().unwrap();
        let error = ShadowsocksRust::prepare(&Cache::at(dir.path()), false).unwrap_err();
        assert!(error.to_string().contains("--install-peers"), "{error}");
    }
}
