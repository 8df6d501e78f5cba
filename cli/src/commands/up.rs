//! `commucat up`: a bridge from nothing with one command.

use std::{
    io::IsTerminal as _,
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    sync::Arc,
};

use anyhow::Context as _;
use commucat_bundle::Bundle;
use commucat_net::SystemNet;
use commucat_proto::link::Link;
use commucat_server::{Bridge, RunningBridge, setup};
use commucat_transport_api::{Host, Net};

use super::serve;
use crate::{
    exit::{Exit, OrExit as _, usage},
    qr, running,
    terminal::{self, Style, Styled, note, say, say_json},
};

/// Start a bridge: the first time makes keys, configuration and a user; prints one link and a QR code
#[derive(Debug, clap::Args)]
pub(crate) struct UpArgs {
    /// Where keys, configuration and users are kept [default: /var/lib/commucat as root, else ~/.local/share/commucat]
    #[arg(long, value_name = "DIRECTORY")]
    state: Option<PathBuf>,

    /// The address or name under which clients reach this machine; found out when not given
    #[arg(long, value_name = "HOST")]
    public: Option<String>,

    /// What links call this bridge
    #[arg(long, value_name = "TEXT")]
    name: Option<String>,

    /// The address to listen on, at the first start [default: all]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<IpAddr>,

    /// The port of the web endpoint, at the first start; 0 takes a free one [default: 443, else 8443]
    #[arg(long, value_name = "PORT")]
    web_port: Option<u16>,

    /// Where health and metrics are served, at the first start; port 0 takes a free one [default: 127.0.0.1:9464]
    #[arg(long, value_name = "ADDRESS:PORT")]
    admin: Option<SocketAddr>,

    /// The user whose link is shown
    #[arg(long, value_name = "NAME")]
    user: Option<String>,

    /// Most connections at once, for this run
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    max_connections: Option<u32>,

    /// Let users reach private addresses behind this machine, for this run
    #[arg(long)]
    allow_private: bool,

    /// JSON lines on standard output, for programs
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(args: UpArgs) -> anyhow::Result<()> {
    running::raise_descriptor_limit();
    let bundle = Bundle::standard();
    let net: Arc<dyn Net> = SystemNet::new();
    let options = options(&args)?;
    let prepared = setup::prepare(options, &bundle, &*net, std::env::vars()).await;
    let prepared = prepared.context("the bridge cannot be set up").or_exit(Exit::Usage)?;
    for warning in &prepared.warnings {
        note(format_args!("{} {warning}", Styled(Style::Bold, "note:")));
    }
    let mut config = prepared.config;
    config.egress.allow_private |= args.allow_private;
    config.server.max_connections = args.max_connections.unwrap_or(config.server.max_connections);
    let started = Bridge::start(config, bundle, net, prepared.storage).await;
    let bridge = started.context("the bridge cannot start").or_exit(Exit::Failed)?;
    let public = bridge.config().public_host();
    let link = bridge.client_link(&prepared.user, public.as_ref()).context("no link can be made")?;
    announce(&bridge, &link, prepared.state.path(), args.json)?;
    commucat_server::notify::ready();
    let overrides =
        serve::Overrides { allow_private: args.allow_private, max_connections: args.max_connections };
    serve::until_stopped(&bridge, &prepared.state.config_path(), overrides).await?;
    drop(prepared.lock);
    Ok(())
}

fn options(args: &UpArgs) -> anyhow::Result<setup::SetupOptions> {
    let mut options = setup::SetupOptions::new(serve::actor());
    let hint = "write an address or a name, without a port";
    let public = args.public.as_deref().map(Host::parse).transpose();
    options.public = public.map_err(|error| usage(format!("--public: {error}"), hint))?;
    options.state.clone_from(&args.state);
    options.name.clone_from(&args.name);
    options.user.clone_from(&args.user);
    options.listen = args.listen;
    options.web_port = args.web_port;
    options.admin_bind = args.admin;
    Ok(options)
}

fn announce(bridge: &RunningBridge, link: &Link, state: &std::path::Path, json: bool) -> anyhow::Result<()> {
    let text = link.to_text();
    let endpoints = bridge.endpoints();
    if json {
        let listening: Vec<_> = endpoints
            .iter()
            .map(|endpoint| serde_json::json!({ "transport": endpoint.transport, "listen": endpoint.listen }))
            .collect();
        return say_json(&serde_json::json!({
            "event": "ready",
            "link": text.expose(),
            "admin": bridge.admin_addr(),
            "endpoints": listening,
            "state": state,
        }));
    }
    for endpoint in &endpoints {
        let listen = endpoint.listen.map_or_else(|| "its carrier".to_owned(), |address| address.to_string());
        note(format_args!("listening  {} on {listen}", endpoint.transport));
    }
    note(format_args!("state      {}", state.display()));
    if let Some(admin) = bridge.admin_addr() {
        note(format_args!("health     http://{admin}/readyz, metrics http://{admin}/metrics"));
    }
    draw(text.expose())?;
    say(text.expose())?;
    note("");
    note(Styled(Style::Bold, "What to do next"));
    note("  Give this link to one person; whoever has it can use the bridge as that user.");
    note("  On their machine:    commucat connect 'LINK'");
    note("  More people:         commucat user add NAME");
    note("  If it does not work: commucat doctor 'LINK'");
    note("  Behind a firewall:   open the ports above (TCP, and UDP for shadowsocks).");
    Ok(())
}

/// The QR code, when it fits on the terminal; a drawing that wraps is of no use.
fn draw(link: &str) -> anyhow::Result<()> {
    let is_terminal = std::io::stdout().is_terminal();
    let code = match qr::encode(link) {
        Ok(code) => code,
        Err(error) => {
            note(format_args!("no QR code: {error:#}"));
            return Ok(());
        }
    };
    let columns = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    if let Some(columns) = columns.filter(|columns: &usize| is_terminal && *columns < qr::width(&code)) {
        note(format_args!(
            "(the QR code needs {} columns and the terminal has {columns}: commucat link qr LINK --svg FILE)",
            qr::width(&code)
        ));
        return Ok(());
    }
    Ok(say(qr::terminal(&code, terminal::colour(is_terminal)))?)
}
