//! `commucat lab check`: whether the lab's censors do what they say, on this machine.

use std::num::NonZeroUsize;

use commucat_lab::victims::{self, Case, SuiteConfig, run_suite};

use crate::{
    exit::{Exit, usage},
    terminal::{note, say, say_json},
};

/// See that each policy hurts its victim and spares its innocent, over real sockets
#[derive(Debug, clap::Args)]
pub(super) struct CheckArgs {
    /// Only these policies
    policy: Vec<String>,

    /// How often, each time with another seed
    #[arg(long, value_name = "NUMBER", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1000))]
    repeat: u16,

    /// The first seed
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    seed: u64,

    /// Labs at one time
    #[arg(long, value_name = "NUMBER", default_value_t = victims::JOBS_DEFAULT)]
    jobs: NonZeroUsize,

    /// The result as one JSON document
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &CheckArgs) -> anyhow::Result<Exit> {
    let known = |name: &String| victims::all().iter().any(|case| case.policy == name.as_str());
    if let Some(unknown) = args.policy.iter().find(|name| !known(name)) {
        return Err(usage(format_args!("no policy is called {unknown}"), "`commucat lab list` shows them"));
    }
    let wanted = |case: &&Case| args.policy.is_empty() || args.policy.iter().any(|name| name == case.policy);
    let cases: Vec<Case> = victims::all().iter().filter(wanted).copied().collect();
    let mut config = SuiteConfig::default();
    config.repeat = args.repeat.into();
    config.seed = args.seed;
    config.jobs = args.jobs;
    let report = run_suite(&cases, config, |run| {
        if run.problem.is_some() {
            note(run);
        }
    });
    if args.json {
        say_json(&report)?;
    } else {
        let seconds = report.elapsed.as_secs();
        let wrong = report.wrong.len();
        say(format_args!("{} cases, {} runs in {seconds} s: {wrong} went wrong", report.cases, report.runs))?;
    }
    Ok(if report.wrong.is_empty() { Exit::Ok } else { Exit::Failed })
}
