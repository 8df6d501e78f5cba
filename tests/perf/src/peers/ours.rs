//! CommuCat: a bridge with one endpoint and a client with a port forward. Every call of our command line stands in this file.

use std::{
    env,
    fs::{self, File},
    io::Write,
    net::SocketAddr,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, bail};

use super::{
    Ends, Plan, Product,
    credentials::{SERVER_NAME, WS_PATH, flow},
};
use crate::{
    cells::Row,
    process::{Process, free_address, output_of},
};

/// Its id.
pub const ID: &str = "commucat";
/// The user of the bridge.
const USER: &str = "bench";
/// The congestion control that programs get when they ask for none.
const CONGESTION: &str = "/proc/sys/net/ipv4/tcp_congestion_control";

/// A CommuCat that is ready to start.
#[derive(Debug)]
pub struct Ours {
    program: PathBuf,
    version: String,
    /// Connections that share all streams where a row has no flow; 0 is one for each stream, as in the other products.
    carriers: u8,
}

impl Ours {
    /// Takes the given program, or the one that was built beside the harness. Over REALITY without a flow, all streams share so many `carriers`;
    /// with 0 each has a connection of its own.
    ///
    /// # Errors
    /// When there is none, or it does not start.
    pub fn find(given: Option<&Path>, carriers: u8) -> anyhow::Result<Self> {
        let program = match given {
            Some(path) => path.to_owned(),
            None => env::current_exe()?.with_file_name("commucat"),
        };
        if !program.exists() {
            bail!("{} is not built; `cargo build --release -p commucat` does it", program.display());
        }
        let version = output_of(Command::new(&program).arg("--version"))?;
        let mut version = version.trim().rsplit(' ').next().unwrap_or_default().to_owned();
        if carriers > 0 {
            version += &format!(" ({carriers} carriers)");
        }
        Ok(Self { program, version, carriers })
    }

    fn command(&self, plan: &Plan<'_>) -> Command {
        let mut command = Command::new(&self.program);
        // A person's own settings must not leak into a measurement.
        for (name, _) in env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("COMMUCAT_")) {
            command.env_remove(name);
        }
        command.current_dir(plan.dir).env("COMMUCAT_LOG", "error");
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
        matches!(row, Row::Shadowsocks | Row::WebSocket | Row::Reality | Row::Vision)
    }

    fn start(&self, plan: &Plan<'_>) -> anyhow::Result<Ends> {
        let config = plan.dir.join("bridge.toml");
        write_private(&config, &bridge(plan, free_address()?, self.carriers)?)?;
        let (config, state) = (text(&config)?, text(&plan.dir.join("state"))?);
        let place = ["--config", &config, "--state", &state];
        output_of(self.command(plan).args(["user", "add", USER]).args(place))?;
        let server = Process::start("server", self.command(plan).arg("serve").args(place), plan.dir)?;
        let link = output_of(self.command(plan).args(["user", "link", USER]).args(place))?;
        let mut connect = self.command(plan);
        connect.args(["connect", link.trim(), "--listen", &plan.socks.to_string()]);
        connect.args(["--forward", &format!("{}={}", plan.forward, plan.target)]);
        connect.args(["--no-state", "--no-assist", "--json", "--max-connections", "100000"]);
        if let Ok(congestion) = fs::read_to_string(CONGESTION) {
            // What the others use, so that the comparison is about us.
            connect.args(["--congestion", congestion.trim()]);
        }
        Ok(Ends::new(Process::start("client", &connect, plan.dir)?, server))
    }
}

const fn transport(row: Row) -> &'static str {
    match row {
        Row::Shadowsocks => "shadowsocks",
        Row::WebSocket => "websocket",
        Row::Reality | Row::Vision => "reality",
    }
}

/// The bridge's configuration: one endpoint, limits out of the way, nothing beside it.
fn bridge(plan: &Plan<'_>, admin: SocketAddr, carriers: u8) -> anyhow::Result<String> {
    let keys = plan.credentials;
    let params = match plan.row {
        Row::Shadowsocks => {
            format!("method = \"2022-blake3-aes-128-gcm\"\nkey = \"{}\"\n", keys.shadowsocks_key)
        }
        Row::WebSocket => format!(
            "key = \"{}\"\npath = \"{WS_PATH}\"\ncert_pem = \"\"\"\n{}\"\"\"\nkey_pem = \"\"\"\n{}\"\"\"\n",
            keys.bridge_key,
            fs::read_to_string(&keys.certificate)?,
            fs::read_to_string(&keys.private_key)?,
        ),
        Row::Reality | Row::Vision => format!(
            "target = \"{}\"\nserver_names = [\"{SERVER_NAME}\"]\nprivate_key = \"{}\"\nshort_ids = [\"{}\"]\n{}",
            plan.site,
            keys.reality_private,
            keys.short_id,
            match flow(plan.row) {
                "" => format!("carriers = {carriers}\n"),
                // A flow leaves each stream its own connection anyway.
                flow => format!("flow = \"{flow}\"\n"),
            },
        ),
    };
    Ok(format!(
        "[server]\npublic = \"127.0.0.1\"\nmax_connections = 100000\nadmin_bind = \"{admin}\"\n\n\
         [[endpoints]]\ntransport = \"{}\"\nlisten = \"{}\"\n\n\
         [endpoints.params]\n{params}\n\
         [egress]\nallow_private = true\n\n\
         [limits]\nmax_handshakes = 10000\nmax_connections_per_user = 100000\n\n\
         [rate.connect]\nper_minute = 10000000\nburst = 1000000\n\n\
         [assist]\nenabled = false\n\n\
         [log]\nlevel = \"error\"\n",
        transport(plan.row),
        plan.bridge,
    ))
}

/// The bridge refuses a configuration with keys that others can read.
fn write_private(path: &Path, text: &str) -> anyhow::Result<()> {
    let mut file = File::options().write(true).create_new(true).mode(0o600).open(path)?;
    Ok(file.write_all(text.as_bytes())?)
}

fn text(path: &Path) -> anyhow::Result<String> {
    path.to_str().map(str::to_owned).with_context(|| format!("{} is no text", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peers::{Credentials, tests::plan};

    #[test]
    fn the_bridge_listens_where_the_plan_says() {
        let keys = Credentials::generate().unwrap();
        let admin = "127.0.0.1:1005".parse().unwrap();
        let bridge = |row| bridge(&plan(row, &keys), admin, 0).unwrap();
        let ss = bridge(Row::Shadowsocks);
        assert!(ss.contains("transport = \"shadowsocks\"\nlisten = \"127.0.0.1:1001\""), "{ss}");
        assert!(ss.contains("2022-blake3-aes-128-gcm") && ss.contains("allow_private = true"), "{ss}");
        let ws = bridge(Row::WebSocket);
        let reality = bridge(Row::Reality);
        assert!(
            reality.contains("transport = \"reality\"") && reality.contains("target = \"127.0.0.1:1006\"")
        );
        assert!(reality.contains(&keys.reality_private) && !reality.contains("flow"), "{reality}");
        assert!(reality.contains("carriers = 0\n"), "{reality}");
        let vision = bridge(Row::Vision);
        assert!(vision.contains("flow = \"xtls-rprx-vision\""), "{vision}");
        assert!(ws.contains("BEGIN CERTIFICATE") && ws.contains(&keys.bridge_key), "{ws}");
    }

    #[test]
    fn a_missing_program_says_how_to_build_it() {
        let error = Ours::find(Some(Path::new("/nonexistent/commucat")), 0).unwrap_err();
        assert!(error.to_string().contains("cargo build --release -p commucat"), "{error}");
    }
}
