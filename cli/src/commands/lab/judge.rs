//! `commucat lab run` and `commucat lab matrix`: transports in profiles, and why those fail that fail.

use std::{
    io::{IsTerminal as _, Write as _},
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use commucat_censor::Profile;
use commucat_lab::{
    report::{MatrixReport, RunReport, RunResult, Standing, TerminalStyle},
    runs::{self, MatrixConfig, MatrixEvent, RunConfig},
};

use super::{Nature, Network, profile, subjects::subjects};
use crate::{
    exit::{Exit, OrExit as _},
    terminal::{self, Style, Styled, note, say, say_json},
};

/// Clears the line the cursor is on.
const CLEAR_LINE: &str = "\r\u{1b}[2K";

/// See whether transports get through a profile, once
#[derive(Debug, clap::Args)]
pub(super) struct RunArgs {
    #[command(flatten)]
    network: Network,

    /// The transports: all, or some of those that `commucat lab list` names
    #[arg(long, short, value_name = "TRANSPORT", default_value = "all", value_delimiter = ',')]
    transport: Vec<String>,

    /// Keep client.pcap, world.pcap and events.jsonl of each run in this folder
    #[arg(long, value_name = "FOLDER")]
    capture: Option<PathBuf>,

    /// One JSON line a run
    #[arg(long)]
    json: bool,
}

/// See which transports get through which profiles, many times
#[derive(Debug, clap::Args)]
pub(super) struct MatrixArgs {
    /// The profiles; all by default
    #[arg(long, short, value_name = "PROFILE", value_delimiter = ',')]
    profile: Vec<String>,

    /// The transports: all, or some of those that `commucat lab list` names
    #[arg(long, short, value_name = "TRANSPORT", default_value = "all", value_delimiter = ',')]
    transport: Vec<String>,

    #[command(flatten)]
    nature: Nature,

    /// Runs a cell
    #[arg(long, value_name = "NUMBER", default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=1000))]
    runs: u16,

    /// Runs at one time
    #[arg(long, value_name = "NUMBER", default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..=16))]
    jobs: u8,

    /// End a cell after this many runs that failed for one and the same reason; 0 makes all runs
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    give_up_after: u16,

    /// Run nothing: read the result of --format json from this file
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,

    /// How to write the result
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = Format::Table)]
    format: Format,

    /// Write it to this file
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Format {
    Table,
    Json,
    Md,
    Html,
}

pub(super) fn run(args: &RunArgs) -> anyhow::Result<Exit> {
    let profile = profile(&args.network.profile)?;
    let (mut failed, mut broken) = (false, false);
    for subject in subjects(&args.transport)? {
        let mut config = RunConfig::new(profile.clone(), args.network.nature.seed);
        config.time_scale = args.network.nature.time_scale;
        config.capture_dir = args.capture.as_ref().map(|folder| folder.join(subject.name()));
        let report = runs::run(&config, &subject);
        failed |= matches!(report.result, RunResult::Failed { .. });
        broken |= matches!(report.result, RunResult::Broken { .. });
        if args.json { say_json(&report)? } else { print(&report)? }
    }
    Ok(match (broken, failed) {
        (true, _) => Exit::Failed,
        (false, true) => Exit::Blocked,
        (false, false) => Exit::Ok,
    })
}

fn print(report: &RunReport) -> anyhow::Result<()> {
    let (sign, style, why) = match &report.result {
        RunResult::Passed => ("✓", Style::Good, "passes".to_owned()),
        RunResult::Failed { reason, .. } => ("✗", Style::Bad, reason.clone()),
        RunResult::Broken { reason } => ("?", Style::Bad, format!("could not be run: {reason}")),
        _ => ("?", Style::Dim, "ended in a way that this program does not know".to_owned()),
    };
    let figure =
        |value: Option<u64>, unit: &str| value.map(|value| format!("  {value} {unit}")).unwrap_or_default();
    note(Styled(style, format_args!("{sign} {} in {}", report.transport, report.profile)));
    say(format_args!(
        "{} {}: {why}{}{}",
        report.transport,
        report.profile,
        figure(report.bootstrap_ms, "ms to the first byte"),
        figure(report.down_kbps, "kbit/s down"),
    ))?;
    Ok(())
}

pub(super) fn matrix(args: &MatrixArgs) -> anyhow::Result<Exit> {
    let report = match &args.from {
        Some(file) => read_report(file)?,
        None => make_report(args)?,
    };
    write_report(&report, args.format, args.output.as_deref())?;
    let broken = report.cells.iter().any(|cell| cell.standing() == Standing::Unknown);
    Ok(if broken { Exit::Failed } else { Exit::Ok })
}

fn read_report(file: &Path) -> anyhow::Result<MatrixReport> {
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    serde_json::from_str(&text).or_usage("a file that `lab matrix --format json` wrote is expected")
}

fn make_report(args: &MatrixArgs) -> anyhow::Result<MatrixReport> {
    let profiles = match args.profile.as_slice() {
        [] => Profile::all(),
        some => some.iter().map(|name| profile(name)).collect::<anyhow::Result<_>>()?,
    };
    let mut config = MatrixConfig::new(profiles, subjects(&args.transport)?);
    config.runs = args.runs.into();
    config.at_once = args.jobs.into();
    config.seed = args.nature.seed;
    config.time_scale = args.nature.time_scale;
    config.give_up_after = args.give_up_after.into();
    let report = runs::matrix(&config, &progress);
    if terminal::live() {
        write!(std::io::stderr().lock(), "{CLEAR_LINE}").ok();
    }
    Ok(report)
}

/// Always on: an interrupted program leaves nothing behind, so there is nothing to stop in order.
fn progress(event: MatrixEvent<'_>) -> bool {
    if let MatrixEvent::Ends { report, done, total } = event {
        let sign = if report.passed() { "✓" } else { "✗" };
        let line = format!("{done}/{total} {sign} {} in {}", report.transport, report.profile);
        if terminal::live() {
            write!(std::io::stderr().lock(), "{CLEAR_LINE}{line}").ok();
        } else {
            note(line);
        }
    }
    true
}

fn write_report(report: &MatrixReport, format: Format, output: Option<&Path>) -> anyhow::Result<()> {
    let to_terminal = output.is_none() && std::io::stdout().is_terminal();
    let text = match format {
        Format::Table => report
            .to_terminal(TerminalStyle { width: terminal::width(), colour: terminal::colour(to_terminal) }),
        Format::Json => report.to_json()?,
        Format::Md => report.to_markdown(),
        Format::Html => report.to_html(),
    };
    match output {
        None => Ok(say(text.trim_end())?),
        Some(file) => {
            std::fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))?;
            note(format_args!("written to {}", file.display()));
            Ok(())
        }
    }
}
