//! This program again, as a bridge or as a client, in a process of its own.

use std::{net::SocketAddr, path::Path, process::Stdio};

use anyhow::{Context as _, bail};
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::Command,
    task::JoinSet,
};

/// A running child; killed when dropped.
pub(super) struct Child {
    pub(super) link: String,
    pub(super) proxy: SocketAddr,
    _process: tokio::process::Child,
    /// Reads on, so that the child never waits for a full pipe.
    _drain: JoinSet<()>,
}

impl Child {
    pub(super) async fn bridge(state: &Path) -> anyhow::Result<Self> {
        let state = state.to_str().context("the temporary directory has a name that is no text")?;
        let args = [
            "up",
            "--json",
            "--state",
            state,
            "--listen",
            "127.0.0.1",
            "--public",
            "127.0.0.1",
            "--allow-private",
            "--web-port",
            "0",
            "--admin",
            "127.0.0.1:0",
        ];
        let (event, process, drain) = spawn(&args, "ready").await.context("the bridge did not start")?;
        let link =
            event.get("link").and_then(Value::as_str).context("the bridge printed no link")?.to_owned();
        Ok(Self { link, proxy: ([127, 0, 0, 1], 0).into(), _process: process, _drain: drain })
    }

    pub(super) async fn client(link: &str, only: Option<&str>) -> anyhow::Result<Self> {
        let mut args = vec!["connect", "--json", "--listen", "127.0.0.1:0", "--no-state", link];
        args.extend(only.iter().flat_map(|transport| ["--only", transport]));
        let (event, process, drain) = spawn(&args, "listening").await.context("the client did not start")?;
        let proxy = event.get("address").and_then(Value::as_str).context("the client printed no address")?;
        Ok(Self { link: link.to_owned(), proxy: proxy.parse()?, _process: process, _drain: drain })
    }
}

type Running = (Value, tokio::process::Child, JoinSet<()>);

/// Starts it and reads its JSON lines until the one that says it is up.
async fn spawn(args: &[&str], event: &str) -> anyhow::Result<Running> {
    let program = std::env::current_exe().context("cannot find this program's own file")?;
    let mut process = Command::new(program)
        .args(args)
        .env("COMMUCAT_LOG", "error")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let stdout = process.stdout.take().context("no standard output")?;
    let mut lines = BufReader::new(stdout).lines();
    while let Some(line) = lines.next_line().await? {
        let value: Value = serde_json::from_str(&line).with_context(|| format!("not a JSON line: {line}"))?;
        if value.get("event").and_then(Value::as_str) == Some(event) {
            let mut drain = JoinSet::new();
            drain.spawn(async move { while let Ok(Some(_line)) = lines.next_line().await {} });
            return Ok((value, process, drain));
        }
    }
    let status = process.wait().await?;
    bail!("it ended with {status} before it was up (its own message stands above)")
}
