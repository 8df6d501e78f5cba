//! CommuCat: a bridge with one endpoint and a client with a port forward. Every call of our command line stands in this file.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, bail};

use super::{
    Ends, Plan, Product,
    credentials::{SERVER_NAME, WS_PATH},
};
use crate::{
    cells::Row,
    process::{Process, output_of},
};

/// Its id.
pub const ID: &str = "commucat";
/// The user of the bridge.
const USER: &str = "bench";

/// A CommuCat that is ready to start.
#[derive(Debug)]
pub struct Ours {
    program: PathBuf,
    version: String,
}

impl Ours {
    /// Takes the given program, or the one that was built beside the harness.
    ///
    /// # Errors
    /// When there is none, or it does not start.
    pub fn find(given: Option<&Path>) -> anyhow::Result<Self> {
        let program = match given {
            Some(path) => path.to_owned(),
            None => std::env::current_exe()?.with_file_name("commucat"),
        };
        if !program.exists() {
            bail!("{} is not built; `cargo build --release -p commucat` does it", program.display());
        }
        let version = output_of(Command::new(&program).arg("--version"))?;
        let version = version.trim().rsplit(' ').next().unwrap_or_default().to_owned();
        Ok(Self { program, version })
    }

    fn command(&self, plan: &Plan<'_>) -> Command {
        let mut command = Command::new(&self.program);
        command.current_dir(plan.dir).env("COMMUCAT_STATE", plan.dir.join("state"));
        // A terminal's or a user's own settings must not leak into a measurement.
        command.env_remove("RUST_LOG").env("NO_COLOR", "1");
        command
    }
}

impl Product for Ours {
    fn id(&self) -> &str {
        ID
    }

    fn version(&self) -> &str {
        &self.version
    }

    fn speaks(&self, row: Row) -> bool {
        matches!(row, Row::Shadowsocks | Row::WebSocket)
    }

    fn start(&self, plan: &Plan<'_>) -> anyhow::Result<Ends> {
        let config = plan.dir.join("bridge.toml");
        fs::write(&config, bridge(plan))?;
        let config = config.to_str().context("a directory with a strange name")?.to_owned();
        output_of(self.command(plan).args(["user", "add", USER, "--config", &config]))?;
        let mut serve = self.command(plan);
        serve.args(["serve", "--config", &config]);
        let server = Process::start("server", &serve, plan.dir)?;
        let link = output_of(self.command(plan).args(["user", "link", USER, "--config", &config]))?;
        let forward = format!("{}={}", plan.forward, plan.target);
        let mut connect = self.command(plan);
        connect.args(["connect", link.trim(), "--listen", &plan.socks.to_string()]);
        connect.args(["--forward", &forward]);
        Ok(Ends::new(Process::start("client", &connect, plan.dir)?, server))
    }
}

const fn transport(row: Row) -> &'static str {
    match row {
        Row::Shadowsocks => "shadowsocks",
        Row::WebSocket => "websocket",
    }
}

/// The bridge's configuration: one endpoint, limits out of the way, nothing beside it.
fn bridge(plan: &Plan<'_>) -> String {
    let server = match plan.row {
        Row::Shadowsocks => String::new(),
        Row::WebSocket => format!(
            "domain = \"{SERVER_NAME}\"\ntls_cert = {:?}\ntls_key = {:?}\n",
            plan.credentials.certificate, plan.credentials.private_key
        ),
    };
    let params = match plan.row {
        Row::Shadowsocks => "params = { method = \"2022-blake3-aes-128-gcm\" }\n".to_owned(),
        Row::WebSocket => format!("params = {{ path = \"{WS_PATH}\" }}\n"),
    };
    format!(
        "[server]\npublic = \"127.0.0.1\"\nmax_connections = 100000\n{server}\n\
         [[endpoints]]\ntransport = \"{}\"\nlisten = \"{}\"\n{params}\n\
         [egress]\nallow_private = true\n\n\
         [limits]\nmax_handshakes = 10000\nmax_connections_per_user = 100000\n\n\
         [rate.connect]\nper_minute = 10000000\nburst = 1000000\n\n\
         [assist]\nenabled = false\n\n\
         [log]\nlevel = \"error\"\n",
        transport(plan.row),
        plan.bridge,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peers::{Credentials, tests::plan};

    #[test]
    fn the_bridge_listens_where_the_plan_says() {
        let keys = Credentials::generate().unwrap();
        let ss = bridge(&plan(Row::Shadowsocks, &keys));
        assert!(ss.contains("transport = \"shadowsocks\"\nlisten = \"127.0.0.1:1001\""), "{ss}");
        assert!(ss.contains("2022-blake3-aes-128-gcm") && ss.contains("allow_private = true"), "{ss}");
        let ws = bridge(&plan(Row::WebSocket, &keys));
        assert!(ws.contains("cert.pem") && ws.contains(SERVER_NAME), "{ws}");
    }

    #[test]
    fn a_missing_program_says_how_to_build_it() {
        let error = Ours::find(Some(Path::new("/nonexistent/commucat"))).unwrap_err();
        assert!(error.to_string().contains("cargo build --release -p commucat"), "{error}");
    }
}
