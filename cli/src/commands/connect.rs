//! `commucat connect`: a link in, one local proxy port out.

use std::{net::SocketAddr, path::PathBuf};

use anyhow::Context as _;
use commucat_client::{Credentials, DEFAULT_LISTEN, DEFAULT_MAX_CONNECTIONS, Forward, Options, Runtime};
use commucat_net::{SystemNet, SystemNetOptions};
use commucat_proto::link::Link;

use crate::{
    exit::{Exit, OrExit as _, usage},
    given,
    hellos::HelloArgs,
    live::{self, Report},
    running,
    terminal::{Style, Styled, note, say_json},
};

/// Open a local proxy port (SOCKS5 and HTTP) that goes through a bridge
#[derive(Debug, clap::Args)]
pub(crate) struct ConnectArgs {
    /// A link (commucat://, ss://, commucat-ws://), a file that holds one, or - for standard input
    #[arg(value_name = "LINK|FILE")]
    link: String,

    /// Where the local port listens; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS:PORT", default_value_t = DEFAULT_LISTEN)]
    listen: SocketAddr,

    /// Ask local programs for a user name and a password
    #[arg(long, value_name = "USER:PASSWORD", env = "COMMUCAT_PROXY_AUTH", hide_env_values = true)]
    auth: Option<String>,

    /// Let other machines use the port without a password
    #[arg(long)]
    allow_remote: bool,

    /// Also forward a local TCP port to a host behind the bridge; may be given many times
    #[arg(long, value_name = "LOCAL=HOST:PORT")]
    forward: Vec<Forward>,

    /// Use only the endpoints of this transport
    #[arg(long, value_name = "TRANSPORT")]
    only: Vec<String>,

    /// Do not ask the bridge what it serves now
    #[arg(long)]
    no_assist: bool,

    /// Where to remember which endpoint worked
    #[arg(long, value_name = "DIRECTORY", conflicts_with = "no_state")]
    state: Option<PathBuf>,

    /// Remember nothing
    #[arg(long)]
    no_state: bool,

    /// Most connections at once
    #[arg(long, value_name = "N", default_value_t = DEFAULT_MAX_CONNECTIONS)]
    max_connections: usize,

    /// TCP congestion control towards the bridge, where the kernel has it
    #[arg(long, value_name = "NAME", default_value = "bbr")]
    congestion: String,

    /// JSON lines on standard output, for programs
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    hellos: HelloArgs,
}

pub(crate) async fn run(args: ConnectArgs) -> anyhow::Result<()> {
    running::raise_descriptor_limit();
    let bundle = args.hellos.bundle()?;
    let link = only(given::link(&bundle, &args.link)?, &args.only)?;
    let options = options(&args)?;
    let report = Report::choose(args.json);
    let net = SystemNet::with_options(SystemNetOptions::default().with_congestion(&args.congestion));
    let forwards = options.forwards.clone();
    let hint = "choose another port with --listen 127.0.0.1:PORT";
    let runtime = Runtime::start(net, &bundle, &link, options)
        .await
        .context("the client cannot start")
        .or_usage(hint)?;
    announce(&runtime, &forwards, report)?;
    tokio::select! {
        reported = live::watch(runtime.status(), report) => reported?,
        signal = running::end_signal() => signal?,
    }
    if report == Report::Line {
        note("");
    }
    runtime.shutdown().await;
    Ok(())
}

fn options(args: &ConnectArgs) -> anyhow::Result<Options> {
    let credentials = match &args.auth {
        None => None,
        Some(text) => {
            let parsed = Credentials::parse(text);
            Some(parsed.ok_or_else(|| usage("--auth is no USER:PASSWORD", "each has 1 to 255 bytes"))?)
        }
    };
    let state_dir = if args.no_state { None } else { args.state.clone().or_else(default_state) };
    if let Some(directory) = &state_dir {
        let cannot = || format!("cannot make {}", directory.display());
        running::make_private_directory(directory)
            .with_context(cannot)
            .or_usage("choose another with --state, or give --no-state")?;
    }
    Ok(Options {
        listen: args.listen,
        credentials,
        allow_remote: args.allow_remote,
        forwards: args.forward.clone(),
        state_dir,
        max_connections: args.max_connections,
        assist: !args.no_assist,
    })
}

/// `$XDG_STATE_HOME/commucat`, as the base directory specification says.
fn default_state() -> Option<PathBuf> {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let home = set("XDG_STATE_HOME").or_else(|| set("HOME").map(|home| home.join(".local/state")))?;
    Some(home.join("commucat"))
}

/// Only the endpoints of these transports; all when none is named.
pub(crate) fn only(link: Link, transports: &[String]) -> anyhow::Result<Link> {
    if transports.is_empty() {
        return Ok(link);
    }
    let wanted = |name: &str| transports.iter().any(|transport| transport == name);
    let endpoints: Vec<_> =
        link.endpoints.iter().filter(|spec| wanted(spec.transport.as_str())).cloned().collect();
    if endpoints.is_empty() {
        let has: Vec<_> = link.endpoints.iter().map(|spec| spec.transport.to_string()).collect();
        return Err(usage(
            "the link has no endpoint of that transport",
            format!("it has: {}", has.join(", ")),
        ));
    }
    Ok(Link::new(&link.name, endpoints, link.assist))
}

fn announce(runtime: &Runtime, forwards: &[Forward], report: Report) -> anyhow::Result<()> {
    let address = runtime.local_addr();
    let ports = || runtime.forward_addrs().iter().zip(forwards);
    if report == Report::Json {
        say_json(
            &serde_json::json!({ "event": "listening", "address": address, "protocols": ["socks5", "http"] }),
        )?;
        return ports().try_for_each(|(local, forward)| {
            let target = forward.target.to_string();
            say_json(&serde_json::json!({ "event": "forwarding", "address": local, "target": target }))
        });
    }
    note(format_args!("proxy    {} (SOCKS5 and HTTP on one port)", Styled(Style::Bold, address)));
    note(format_args!("         try: curl -x socks5h://{address} https://example.org/"));
    for (local, forward) in ports() {
        note(format_args!("forward  {local} to {}", forward.target));
    }
    note("         ctrl-C ends it");
    Ok(())
}

/// The exit code for a diagnosis of the doctor.
pub(crate) const fn exit_of(code: u8) -> Exit {
    match code {
        0 => Exit::Ok,
        2 => Exit::Usage,
        3 => Exit::Unreachable,
        4 => Exit::Rejected,
        5 => Exit::Blocked,
        _ => Exit::Failed,
    }
}
