//! `commucat probe transport`: a link, end to end.

use std::{sync::Arc, time::Duration};

use commucat_measure::{TransportConfig, TransportReport, transport};
use commucat_net::SystemNet;
use commucat_transport_api::{HostPort, Net, Secret};

use crate::{
    commands::connect,
    exit::{Exit, OrExit as _},
    given,
    hellos::HelloArgs,
    terminal::{note, say, say_json},
};

/// Measure a link end to end: handshake, round trips, bytes both ways
#[derive(Debug, clap::Args)]
pub(super) struct TransportArgs {
    /// A link, a file that holds one, or - for standard input
    #[arg(value_name = "LINK|FILE")]
    link: String,

    /// A control server to move bytes to through the bridge
    #[arg(long, value_name = "HOST:PORT")]
    control: Option<HostPort>,

    /// Its port that echoes datagrams
    #[arg(long, value_name = "HOST:PORT")]
    control_udp: Option<HostPort>,

    /// Its token
    #[arg(long, value_name = "WORD", env = "COMMUCAT_PROBE_TOKEN", hide_env_values = true)]
    token: Option<String>,

    /// Only the endpoints of this transport
    #[arg(long, value_name = "TRANSPORT")]
    only: Vec<String>,

    /// Time for each step, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=300))]
    timeout: u64,

    /// One JSON line an endpoint
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    hellos: HelloArgs,
}

pub(super) async fn run(args: TransportArgs) -> anyhow::Result<Exit> {
    let bundle = args.hellos.bundle()?;
    let link = connect::only(given::link(&bundle, &args.link)?, &args.only)?;
    let net: Arc<dyn Net> = SystemNet::new();
    let mut failed = false;
    for spec in &link.endpoints {
        let client = bundle.client(spec).or_usage("ask whoever runs the bridge for the link again")?;
        let mut config = TransportConfig::new(spec.transport.to_string());
        config.control.clone_from(&args.control);
        config.control_udp.clone_from(&args.control_udp);
        config.token = args.token.clone().map(Secret::new);
        config.patience = Duration::from_secs(args.timeout);
        let report = transport(&client, &net, &config).await;
        failed |= report.failure.is_some();
        if args.json { say_json(&report)? } else { print(&report)? }
    }
    Ok(Exit::Code(u8::from(failed)))
}

#[allow(clippy::cast_precision_loss, reason = "one digit is shown")]
fn print(report: &TransportReport) -> anyhow::Result<()> {
    let ms = |us: u64| us as f64 / 1000.0;
    say(format_args!("{}:", report.transport))?;
    for step in &report.probe.steps {
        match &step.outcome {
            Ok(took) => say(format_args!("  ✓ {} {} ms", step.name, took.as_millis()))?,
            Err(failure) => say(format_args!("  ✗ {}: {failure}", step.name))?,
        }
    }
    let dials = report.dials;
    say(format_args!(
        "  {} dials ({} failed), first byte p50 {:.1} ms, p95 {:.1} ms",
        dials.count + report.dials_failed,
        report.dials_failed,
        ms(dials.p50_us),
        ms(dials.p95_us)
    ))?;
    if let Some(trips) = report.round_trips {
        say(format_args!("  round trips p50 {:.1} ms, p95 {:.1} ms", ms(trips.p50_us), ms(trips.p95_us)))?;
    }
    for (way, moved) in [("up", report.up), ("down", report.down)] {
        if let Some(moved) = moved {
            say(format_args!("  {} bytes {way} at {} kbit/s", moved.bytes, moved.kbps))?;
        }
    }
    if let Some(loss) = report.datagrams {
        say(format_args!("  {} of {} datagrams came back", loss.answered, loss.sent))?;
    }
    if let Some(failure) = &report.failure {
        say(format_args!("  failed: {failure}"))?;
    }
    report.left_out.iter().for_each(|left| note(format_args!("  not measured: {left}")));
    Ok(())
}
