//! What can be done with runs that were kept: compare, explain, report.

use std::path::PathBuf;

use commucat_measure::{
    diff::diff as compare,
    explain::{all, explain as lookup, nearest},
    output::read_file,
    redact::{RedactionKey, Redactor},
    report::Report,
};

use super::measure::write;
use crate::{
    exit::{Exit, OrExit as _, usage},
    terminal::{note, say, say_json},
};

/// Say what changed between two files of runs
#[derive(Debug, clap::Args)]
pub(super) struct DiffArgs {
    /// Runs before
    before: PathBuf,
    /// Runs after
    after: PathBuf,
    /// As one JSON document
    #[arg(long)]
    json: bool,
}

/// Say what a verdict means, how it was measured, and what to do
#[derive(Debug, clap::Args)]
pub(super) struct ExplainArgs {
    /// The verdict, such as flow.freeze_packets; without it all are listed
    verdict: Option<String>,
    /// As JSON
    #[arg(long)]
    json: bool,
}

/// Make one page of files of runs, fit to be shown to somebody who helps
#[derive(Debug, clap::Args)]
pub(super) struct ReportArgs {
    /// Files of runs (--format jsonl, or a watch's journal)
    #[arg(required = true)]
    files: Vec<PathBuf>,

    /// The page to write
    #[arg(long, short, value_name = "FILE", default_value = "report.html")]
    output: PathBuf,

    /// Replace addresses and private names by keyed hashes. This is what happens anyway, unless --no-redact is given
    #[arg(long, overrides_with = "no_redact")]
    redact: bool,

    /// Leave addresses and names as they are: a page for your own eyes
    #[arg(long)]
    no_redact: bool,

    /// Keep the key of the hashes in this file, so that reports made with it can be compared
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,

    /// Replace this host or word, too; may be given many times
    #[arg(long, value_name = "TEXT")]
    hide: Vec<String>,
}

pub(super) fn diff(args: &DiffArgs) -> anyhow::Result<Exit> {
    let [before, after] = [&args.before, &args.after].map(|file| read_file(file).or_exit(Exit::Usage));
    let found = compare(&before?.runs, &after?.runs);
    if args.json {
        say_json(&found)?
    } else {
        say(format_args!("{found}"))?
    }
    Ok(if found.is_empty() { Exit::Ok } else { Exit::Code(1) })
}

pub(super) fn explain(args: &ExplainArgs) -> anyhow::Result<Exit> {
    let Some(verdict) = &args.verdict else {
        if args.json {
            say_json(&all().collect::<Vec<_>>())?;
            return Ok(Exit::Ok);
        }
        for one in all() {
            say(format_args!("{:<24} {}", one.id, one.title))?;
        }
        return Ok(Exit::Ok);
    };
    let Some(explanation) = lookup(verdict) else {
        let hint = nearest(verdict).map_or_else(
            || "`commucat probe explain` lists them".to_owned(),
            |near| format!("did you mean {near}?"),
        );
        return Err(usage(format_args!("no verdict is called {verdict}"), hint));
    };
    if args.json {
        say_json(explanation)?
    } else {
        say(explanation)?
    }
    Ok(Exit::Ok)
}

pub(super) fn report(args: &ReportArgs) -> anyhow::Result<Exit> {
    let redactor = if args.no_redact { None } else { Some(redactor(args)?) };
    let report = Report::read(&args.files, redactor.as_ref()).or_exit(Exit::Usage)?;
    for (file, skipped) in report.skipped() {
        note(format_args!("{}:{}: skipped: {}", file.display(), skipped.line, skipped.why));
    }
    write(&report.html(), Some(&args.output))?;
    Ok(Exit::Ok)
}

fn redactor(args: &ReportArgs) -> anyhow::Result<Redactor> {
    let key = match &args.key {
        Some(file) => RedactionKey::kept(file).or_exit(Exit::Usage)?,
        None => RedactionKey::fresh()?,
    };
    Ok(args.hide.iter().fold(Redactor::new(key), |redactor, word| redactor.hide(word)))
}
