//! Every policy on its victim and its innocent.

use std::env;

use commucat_lab::{
    check_privileges,
    victims::{SuiteConfig, all, run_suite},
};

use crate::stage::skip;

/// How often each case runs, when nothing else is said: what fits into a common test run.
const REPEAT_DEFAULT: usize = 3;

#[test]
fn every_policy_stops_its_victim_and_spares_its_innocent() {
    if let Err(missing) = check_privileges() {
        return skip(&format!("no lab here: {missing}"));
    }
    let mut config = SuiteConfig::default();
    config.repeat = number("COMMUCAT_LAB_REPEAT").unwrap_or(REPEAT_DEFAULT);
    config.seed =
        number("COMMUCAT_LAB_SEED").and_then(|seed| u64::try_from(seed).ok()).unwrap_or(config.seed);
    if let Some(jobs) = number("COMMUCAT_LAB_JOBS").and_then(std::num::NonZeroUsize::new) {
        config.jobs = jobs;
    }
    let report = run_suite(all(), config, |run| {
        if run.problem.is_some() {
            println!("{run}");
            run.events.iter().for_each(|event| println!("    {event}"));
        }
    });
    println!("{} cases, {} times, {} labs in {:?}", report.cases, report.repeat, report.runs, report.elapsed);
    assert_eq!(report.wrong.len(), 0, "of {} runs", report.runs);
}

fn number(variable: &str) -> Option<usize> {
    env::var(variable).ok().map(|text| text.parse().expect("a number"))
}
