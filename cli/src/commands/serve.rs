//! `commucat serve`: a bridge from an operator's configuration, and the loop that every running bridge is in.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::Context as _;
use commucat_bundle::Bundle;
use commucat_net::SystemNet;
use commucat_server::{Bridge, BridgeConfig, RunningBridge, StateDir, notify, open_storage};
use tokio::signal::unix::{SignalKind, signal};

use crate::{
    exit::{Exit, OrExit as _},
    running,
    terminal::note,
};

/// Start a bridge from a configuration file
#[derive(Debug, clap::Args)]
pub(crate) struct ServeArgs {
    /// The configuration, TOML or YAML; see docs/src/configuration.md
    #[arg(long, value_name = "FILE", env = "COMMUCAT_CONFIG")]
    config: PathBuf,

    /// Where the database is kept [default: /var/lib/commucat as root, else ~/.local/share/commucat]
    #[arg(long, value_name = "DIRECTORY")]
    state: Option<PathBuf>,

    /// Only check the configuration
    #[arg(long)]
    check: bool,
}

/// What the command line puts over the configuration, also after a reload.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Overrides {
    pub(crate) allow_private: bool,
    pub(crate) max_connections: Option<u32>,
}

impl Overrides {
    fn apply(self, config: &mut BridgeConfig) {
        config.egress.allow_private |= self.allow_private;
        config.server.max_connections = self.max_connections.unwrap_or(config.server.max_connections);
    }
}

pub(crate) async fn run(args: ServeArgs) -> anyhow::Result<()> {
    running::raise_descriptor_limit();
    let bundle = Bundle::standard();
    let config = load(&args.config)?;
    config.check(&bundle).or_exit(Exit::Usage)?;
    if args.check {
        note(format_args!("{} is good: {} endpoints", args.config.display(), config.endpoints.len()));
        return Ok(());
    }
    let state = StateDir::open(args.state.as_deref()).or_exit(Exit::Usage)?;
    let lock = state.lock().or_exit(Exit::Usage)?;
    let storage = open_storage(&config, &state).await.or_exit(Exit::Failed)?;
    let started = Bridge::start(config, bundle, SystemNet::new() as Arc<_>, storage).await;
    let bridge = started.context("the bridge cannot start").or_exit(Exit::Failed)?;
    for endpoint in bridge.endpoints() {
        let listen = endpoint.listen.map(|address| address.to_string());
        tracing::info!(transport = %endpoint.transport, listen, "listening");
    }
    notify::ready();
    until_stopped(&bridge, &args.config, Overrides::default()).await?;
    drop(lock);
    Ok(())
}

fn load(path: &Path) -> anyhow::Result<BridgeConfig> {
    BridgeConfig::load(Some(path), std::env::vars()).or_exit(Exit::Usage)
}

/// Runs until it is told to end: SIGTERM drains, ctrl-C (and a second SIGTERM) ends at once, SIGHUP reloads.
pub(crate) async fn until_stopped(
    bridge: &RunningBridge,
    config: &Path,
    overrides: Overrides,
) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hangup = signal(SignalKind::hangup())?;
    loop {
        tokio::select! {
            _ = hangup.recv() => reload(bridge, config, overrides).await,
            _ = interrupt.recv() => {
                bridge.shutdown().await;
                return Ok(());
            }
            _ = terminate.recv() => break,
        }
    }
    let limit = bridge.config().server.drain;
    tracing::info!(
        connections = bridge.connections(),
        limit_s = limit.as_secs(),
        "draining; a second signal ends at once"
    );
    tokio::select! {
        drained = bridge.drain(limit) => tracing::info!(cut = drained.cut, "drained"),
        _ = terminate.recv() => bridge.shutdown().await,
        _ = interrupt.recv() => bridge.shutdown().await,
    }
    Ok(())
}

/// A configuration that cannot be used changes nothing.
async fn reload(bridge: &RunningBridge, path: &Path, overrides: Overrides) {
    notify::reloading();
    let reloaded = async {
        let mut config = BridgeConfig::load(Some(path), std::env::vars())?;
        overrides.apply(&mut config);
        // What `up` found out by itself is not in the file.
        if config.public_host().is_none() {
            config.server.public.clone_from(&bridge.config().server.public);
        }
        anyhow::Ok(bridge.reload(config).await?)
    };
    match reloaded.await {
        Ok(done) => {
            let restart = done.needs_restart.join(", ");
            tracing::info!(
                kept = done.kept,
                started = done.started,
                stopped = done.stopped,
                restart,
                "reloaded"
            );
        }
        Err(error) => {
            tracing::error!(error = format!("{error:#}"), "not reloaded; everything stays as it was")
        }
    }
    notify::ready();
}

/// Who acts, for the journal of administrative actions.
pub(crate) fn actor() -> String {
    let name = ["SUDO_USER", "USER", "LOGNAME"].iter().find_map(|name| std::env::var(name).ok());
    format!("cli:{}", name.unwrap_or_else(|| "unknown".to_owned()))
}
