//! `commucat probe watch`: again and again, written down, and what changed.

use std::{path::PathBuf, sync::Arc, time::Duration};

use commucat_measure::{
    ProbeConfig, QUICK_BUDGET, RUN_FORMAT, Run, Vantage,
    watch::{Feed, Journal, watch},
};
use commucat_verdict::observations::Observations;

use super::measure::MeasureArgs;
use crate::{
    exit::{Exit, OrExit as _},
    running,
    terminal::{note, say},
};

/// The journal turns over at this size.
const JOURNAL_BYTES: u64 = 64 << 20;
/// Older journals that are kept.
const JOURNALS_KEPT: u8 = 4;

/// Measure again and again, keep each run, and say what changed
#[derive(Debug, clap::Args)]
pub(super) struct WatchArgs {
    /// From the beginning of one run to the next: 15m, 1h
    #[arg(long, value_name = "TIME", default_value = "15m", value_parser = duration)]
    every: Duration,

    /// The file that runs are appended to
    #[arg(long, value_name = "FILE", default_value = "watch.jsonl")]
    journal: PathBuf,

    #[command(flatten)]
    measure: MeasureArgs,
}

fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || "a time such as 90s, 15m or 2h is expected".to_owned();
    let (number, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or_else(wrong)?;
    let number: u64 = number.parse().map_err(|_error| wrong())?;
    let seconds = match unit {
        "s" => number,
        "m" => number.saturating_mul(60),
        "h" => number.saturating_mul(3600),
        _ => return Err(wrong()),
    };
    Ok(Duration::from_secs(seconds))
}

pub(super) async fn run(args: WatchArgs) -> anyhow::Result<Exit> {
    let config = args.measure.config(QUICK_BUDGET)?;
    let journal = Journal::open(&args.journal, JOURNAL_BYTES, JOURNALS_KEPT).or_exit(Exit::Usage)?;
    note(format_args!("runs go to {}; ctrl-C ends", args.journal.display()));
    let mut seed = config.seed;
    let measure = || {
        seed = seed.wrapping_add(1);
        one(ProbeConfig { seed, ..config.clone() })
    };
    let tell = |feed: Feed<'_>| {
        say(format_args!("run {}: {}", feed.number, verdicts(feed.run)))?;
        match feed.changed {
            Some(changed) if !changed.is_empty() => say(format_args!("{changed}")),
            _ => Ok(()),
        }
    };
    let runs = watch(args.every, Some(journal), ended(), measure, tell).await?;
    note(format_args!("{runs} runs"));
    Ok(Exit::Ok)
}

async fn one(config: ProbeConfig) -> Run {
    // The targets were checked when they were read.
    match commucat_measure::quick(config, Arc::new(())).await {
        Ok(run) => run,
        Err(error) => nothing(&error.to_string()),
    }
}

/// A run that could not be made, as the journal keeps it.
fn nothing(why: &str) -> Run {
    Run {
        format: RUN_FORMAT,
        software_version: env!("CARGO_PKG_VERSION").to_owned(),
        command: format!("quick: {why}"),
        started_unix_ms: 0,
        took_ms: 0,
        seed: 0,
        vantage: Vantage::default(),
        subtests: Vec::new(),
        observations: Observations::default(),
        findings: Vec::new(),
    }
}

async fn ended() {
    if let Err(error) = running::end_signal().await {
        tracing::warn!(%error, "ctrl-C cannot be heard");
        std::future::pending::<()>().await;
    }
}

fn verdicts(run: &Run) -> String {
    let ids: Vec<_> = run.findings.iter().map(|finding| &*finding.verdict_id).collect();
    if ids.is_empty() { "nothing found".to_owned() } else { ids.join(" ") }
}
