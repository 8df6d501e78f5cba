//! `commucat probe serve`: the control server that measurements talk to.

use std::path::PathBuf;

use anyhow::Context as _;
use commucat_control::{Certificate, Control, ControlConfig, Listen};
use commucat_transport_api::Secret;

use crate::{
    exit::{Exit, OrExit as _},
    running,
    terminal::{note, say, say_json},
};

/// Run a control server for measurements, beside a bridge or at home
#[derive(Debug, clap::Args)]
pub(super) struct ServeArgs {
    /// TCP ports: TLS, HTTP and echo. The more, the better limits can be measured
    #[arg(long, value_name = "ADDRESS:PORTS", default_values = ["[::]:443", "[::]:2053", "[::]:8000-8015"])]
    tcp: Vec<Listen>,

    /// UDP ports that echo
    #[arg(long, value_name = "ADDRESS:PORTS", default_values = ["[::]:3478", "[::]:8000-8003"])]
    udp: Vec<Listen>,

    /// UDP ports that speak QUIC
    #[arg(long, value_name = "ADDRESS:PORTS", default_values = ["[::]:443", "[::]:8443"])]
    quic: Vec<Listen>,

    /// Everything from this TOML file instead
    #[arg(long, value_name = "FILE", conflicts_with_all = ["tcp", "udp", "quic", "token", "keep"])]
    config: Option<PathBuf>,

    /// Serve only who knows this word
    #[arg(long, value_name = "WORD", env = "COMMUCAT_PROBE_TOKEN", hide_env_values = true)]
    token: Option<String>,

    /// Keep the certificate in this file, so that its pin stays
    #[arg(long, value_name = "FILE")]
    keep: Option<PathBuf>,

    /// Say where it listens as one JSON line
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(args: ServeArgs) -> anyhow::Result<Exit> {
    let config = match &args.config {
        Some(file) => {
            let text =
                std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
            toml::from_str(&text).or_usage("the guide's page about probes shows every key")?
        }
        None => given(&args),
    };
    let control = Control::start(config)
        .await
        .or_usage("choose free ports with --tcp, --udp and --quic; ports below 1024 are for root")?;
    let pin = control.certificate_pin();
    let addresses = control.addresses();
    if args.json {
        say_json(&serde_json::json!({ "addresses": addresses, "pin": pin.to_string() }))?;
    } else {
        note("This is a control server for `commucat probe`. ctrl-C ends it. In a targets file:");
        say("[[server]]")?;
        say("kind = \"foreign\"")?;
        say("address = \"…\"  # as others reach this machine")?;
        for (name, list) in [("tcp", &addresses.tcp), ("udp", &addresses.udp), ("quic", &addresses.quic)] {
            let ports: Vec<_> = list.iter().map(|at| at.port().to_string()).collect();
            say(format_args!("{name} = [{}]", ports.join(", ")))?;
        }
        say(format_args!("pin = \"{pin}\""))?;
    }
    running::end_signal().await?;
    let stats = control.stop().await;
    note(format_args!("{stats:?}"));
    Ok(Exit::Ok)
}

fn given(args: &ServeArgs) -> ControlConfig {
    let certificate = match &args.keep {
        Some(file) => Certificate::Kept { file: file.clone(), names: vec!["localhost".to_owned()] },
        None => Certificate::default(),
    };
    let mut config = ControlConfig::default();
    config.tcp.clone_from(&args.tcp);
    config.udp.clone_from(&args.udp);
    config.quic.clone_from(&args.quic);
    config.certificate = certificate;
    config.token = args.token.clone().map(Secret::new);
    config
}
