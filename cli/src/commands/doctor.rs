//! `commucat doctor`: one sentence that says why a link does not work.

use std::{sync::Arc, time::Duration};

use commucat_client::{
    doctor::{self, ControlTarget, DoctorOptions, EndpointReport, Report},
    endpoints,
};
use commucat_net::SystemNet;
use commucat_transport_api::Net;

use super::connect;
use crate::{
    exit::{Exit, OrExit as _},
    given,
    hellos::HelloArgs,
    terminal::{Style, Styled, note, say, say_json},
};

/// Say in one sentence why a link does not work
#[derive(Debug, clap::Args)]
pub(crate) struct DoctorArgs {
    /// A link, a file that holds one, or - for standard input
    #[arg(value_name = "LINK|FILE")]
    link: String,

    /// A host to compare with, as http://HOST:PORT/PATH (domestic:http://… for one inside the country); may be given many times. Some well-known hosts by default
    #[arg(long, value_name = "URL")]
    control: Vec<ControlTarget>,

    /// Compare with nothing: connect only to the bridge
    #[arg(long, conflicts_with = "control")]
    no_controls: bool,

    /// Look only at the endpoints of this transport
    #[arg(long, value_name = "TRANSPORT")]
    only: Vec<String>,

    /// Time for one endpoint, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = doctor::PROBE_BUDGET.as_secs(), value_parser = clap::value_parser!(u64).range(1..=300))]
    timeout: u64,

    /// Everything that was measured, as one JSON document
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    hellos: HelloArgs,
}

pub(crate) async fn run(args: DoctorArgs) -> anyhow::Result<Exit> {
    let bundle = args.hellos.bundle()?;
    let link = connect::only(given::link(&bundle, &args.link)?, &args.only)?;
    let endpoints = endpoints(&bundle, &link).or_usage("ask whoever runs the bridge for the link again")?;
    let mut options = DoctorOptions { budget: Duration::from_secs(args.timeout), ..DoctorOptions::default() };
    if args.no_controls || !args.control.is_empty() {
        options.controls = args.control;
    }
    if !args.json {
        note(format_args!(
            "examining {} endpoints, beside {} controls …",
            endpoints.len(),
            options.controls.len()
        ));
    }
    let net: Arc<dyn Net> = SystemNet::new();
    let Some(report) = doctor::run(&net, &endpoints, &options).await else { return Ok(Exit::Usage) };
    if args.json {
        say_json(&report)?;
    } else {
        print(&report)?;
    }
    Ok(connect::exit_of(report.exit_code()))
}

fn print(report: &Report) -> anyhow::Result<()> {
    let style = if report.exit_code() == 0 { Style::Good } else { Style::Bad };
    for endpoint in &report.endpoints {
        print_endpoint(endpoint);
    }
    note("");
    // The sentence is the result; colour would end up in pipes, so it is only for a terminal's marks above.
    say(&report.sentence)?;
    if report.exit_code() != 0 {
        say(&report.what_to_do)?;
    }
    if let Some(warning) = &report.clock_warning {
        note(format_args!("{} {warning}", Styled(style, "note:")));
    }
    Ok(())
}

fn print_endpoint(endpoint: &EndpointReport) {
    note("");
    note(Styled(Style::Bold, format!("{} ({})", endpoint.name, endpoint.transport)));
    for step in &endpoint.probe.steps {
        let kind = if step.control { " (control)" } else { "" };
        match &step.outcome {
            Ok(took) => {
                let took = Styled(Style::Dim, format!("{} ms", took.as_millis()));
                note(format_args!("  {} {}{kind} {took}", Styled(Style::Good, "✓"), step.name));
            }
            Err(failure) => {
                note(format_args!("  {} {}{kind}: {failure}", Styled(Style::Bad, "✗"), step.name))
            }
        }
    }
    note(format_args!("  {}", endpoint.diagnosis.sentence));
}
