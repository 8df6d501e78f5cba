//! The subtests, and `quick`, which runs those that matter.

use std::{
    io::{IsTerminal as _, Write as _},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::Context as _;
use clap::ValueEnum as _;
use commucat_measure::{
    Consent, ProbeConfig, QUICK_BUDGET, Risk, Run, SINGLE_BUDGET, Targets,
    output::{Format, Look, render},
};
use commucat_verdict::observations::Subtest;

use super::live::Live;
use crate::{
    exit::{Exit, OrExit as _, usage},
    terminal::{self, note, say},
};

/// Where a shell of the lab says which targets it has.
const TARGETS_VARIABLE: &str = "COMMUCAT_PROBE_TARGETS";

/// Whom to ask, what may be done, and how to write the result
#[derive(Debug, clap::Args)]
pub(super) struct MeasureArgs {
    /// The targets: control servers, resolvers, names (configs/probe-targets.toml shows every key)
    #[arg(long, value_name = "FILE", env = TARGETS_VARIABLE)]
    targets: Option<PathBuf>,

    /// What may be done: low talks to control servers, medium also asks for names believed blocked, high also sends active probes
    #[arg(long, value_name = "CLASS", value_enum)]
    risk: Option<RiskClass>,

    /// Decides every random choice: order, names, ports
    #[arg(long, value_name = "NUMBER")]
    seed: Option<u64>,

    /// Time for all of it, in seconds
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(5..=3600))]
    budget: Option<u64>,

    #[command(flatten)]
    pub(super) form: Form,
}

/// How to write a result.
#[derive(Debug, clap::Args)]
pub(super) struct Form {
    /// How to write the result
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = FormatName::Table)]
    format: FormatName,

    /// One line of JSON a subtest, as --format jsonl
    #[arg(long, conflicts_with = "format")]
    json: bool,

    /// Write it to this file
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,

    /// No progress
    #[arg(long, short)]
    quiet: bool,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(super) enum RiskClass {
    Low,
    Medium,
    High,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum FormatName {
    Table,
    Json,
    Jsonl,
    Md,
    Html,
    Junit,
    Prom,
}

impl RiskClass {
    pub(super) const fn consent(self) -> Consent {
        Consent::up_to(match self {
            Self::Low => Risk::Low,
            Self::Medium => Risk::Medium,
            Self::High => Risk::High,
        })
    }
}

impl Form {
    fn format(&self) -> anyhow::Result<Format> {
        let name = if self.json { FormatName::Jsonl } else { self.format };
        let name = name.to_possible_value().context("a format has a name")?;
        name.get_name().parse().or_exit(Exit::Usage)
    }

    /// Whether rows are drawn at the terminal while they fill.
    pub(super) fn live(&self) -> bool {
        !self.quiet && terminal::live()
    }

    /// Writes a run.
    pub(super) fn write(&self, run: &Run) -> anyhow::Result<()> {
        let to_terminal = self.output.is_none() && std::io::stdout().is_terminal();
        let look =
            Look { width: terminal::width(), colour: terminal::colour(to_terminal), ..Look::default() };
        let text = render(run, self.format()?, look)?;
        write(&text, self.output.as_deref())
    }
}

/// Writes a document to a file, or to standard output.
pub(super) fn write(text: &str, output: Option<&Path>) -> anyhow::Result<()> {
    let Some(file) = output else { return Ok(say(text.trim_end())?) };
    let mut made = std::fs::File::create(file).with_context(|| format!("cannot write {}", file.display()))?;
    made.write_all(text.as_bytes())
        .and_then(|()| made.sync_all())
        .with_context(|| format!("cannot write {}: is there space left?", file.display()))?;
    note(format_args!("written to {}", file.display()));
    Ok(())
}

impl MeasureArgs {
    /// What the run is made with.
    pub(super) fn config(&self, budget: Duration) -> anyhow::Result<ProbeConfig> {
        let Some(file) = &self.targets else {
            return Err(usage(
                "no targets: nothing here says whom to ask",
                "write a file like configs/probe-targets.toml and give it with --targets; `commucat probe serve` runs a control server",
            ));
        };
        let mut targets = Targets::load(file).or_usage("configs/probe-targets.toml shows every key")?;
        if let Some(risk) = self.risk {
            targets.consent = targets.consent.or(risk.consent());
        }
        let budget = self.budget.map_or(budget, Duration::from_secs);
        Ok(ProbeConfig::new(targets, self.seed.unwrap_or_else(fresh_seed)).with_budget(budget))
    }
}

fn fresh_seed() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.map_or(1, |now| u64::try_from(now.as_nanos() & u128::from(u64::MAX)).unwrap_or(1))
}

pub(super) async fn quick(args: MeasureArgs) -> anyhow::Result<Exit> {
    let config = args.config(QUICK_BUDGET)?;
    let live = Live::start(args.form.live());
    let run = commucat_measure::quick(config, Arc::<Live>::clone(&live)).await.or_exit(Exit::Usage);
    finish(&args, run, &live)
}

pub(super) async fn single(subtest: Subtest, args: MeasureArgs) -> anyhow::Result<Exit> {
    let config = args.config(SINGLE_BUDGET)?;
    let live = Live::start(args.form.live());
    let run = commucat_measure::single(subtest, config, Arc::<Live>::clone(&live)).await.or_exit(Exit::Usage);
    finish(&args, run, &live)
}

fn finish(args: &MeasureArgs, run: anyhow::Result<Run>, live: &Live) -> anyhow::Result<Exit> {
    live.clear();
    let run = run?;
    args.form.write(&run)?;
    Ok(Exit::Code(run.exit_code()))
}
