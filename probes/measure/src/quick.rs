//! Running subtests: one, or the quick set, within a budget. A subtest that breaks never stops the others.

mod runner;

use std::{sync::Arc, time::Duration};

use commucat_transport_api::Phase;
use commucat_verdict::observations::{Decision, Observations, ServerKind, Subtest};

use self::runner::Runner;
use crate::{
    methods::{MethodError, allowlist, conns, dns, ech, env, fet, freeze, quic, throttle, tls, udp},
    progress::Progress,
    run::{Run, Status},
    targets::{TargetError, Targets},
};

/// Default budget of a run of the quick set.
pub const QUICK_BUDGET: Duration = Duration::from_secs(60);
/// Default budget of a run of one subtest.
pub const SINGLE_BUDGET: Duration = Duration::from_secs(300);
/// Largest budget.
pub const BUDGET_MAX: Duration = Duration::from_secs(3_600);

/// The quick set, in order: what may bring a punishment comes last, and the counting of connections last of all.
const QUICK: [Subtest; 11] = [
    Subtest::Env,
    Subtest::Dns,
    Subtest::Tls,
    Subtest::Quic,
    Subtest::Udp,
    Subtest::Allowlist,
    Subtest::Ech,
    Subtest::Freeze,
    Subtest::Fet,
    Subtest::Throttle,
    Subtest::Conns,
];

/// What a run needs.
#[derive(Clone, Debug)]
pub struct ProbeConfig {
    /// Whom to ask.
    pub targets: Targets,
    /// Decides every random choice: order, names, ports.
    pub seed: u64,
    /// Time for the whole run.
    pub budget: Duration,
}

impl ProbeConfig {
    /// With these targets, the budget of the quick set, and this seed.
    pub const fn new(targets: Targets, seed: u64) -> Self {
        Self { targets, seed, budget: QUICK_BUDGET }
    }

    /// The same with another budget.
    #[must_use]
    pub fn with_budget(mut self, budget: Duration) -> Self {
        self.budget = budget.min(BUDGET_MAX);
        self
    }
}

/// Runs the quick set.
///
/// # Errors
/// The targets name nothing that could be measured.
pub async fn quick(config: ProbeConfig, progress: Arc<dyn Progress>) -> Result<Run, TargetError> {
    config.targets.check()?;
    let runner = Runner::new(config, "quick", progress);
    runner.plan(&QUICK);
    environment(&runner).await;
    let abroad = abroad(&runner.observed());
    match abroad {
        Abroad::Answers => everything(&runner).await,
        Abroad::Hears => hellos_only(&runner).await,
        Abroad::Silent => {
            runner.stage(Subtest::Dns, |bench, until| async move { dns::run(&bench, until).await }).await;
            skip_rest(&runner, "the control server abroad does not answer at all");
        }
        Abroad::NotMeasured => skip_rest(&runner, "the surroundings could not be measured"),
    }
    Ok(runner.finish())
}

/// Runs one subtest, after a look at the surroundings.
///
/// # Errors
/// The targets name nothing that could be measured.
pub async fn single(
    subtest: Subtest,
    config: ProbeConfig,
    progress: Arc<dyn Progress>,
) -> Result<Run, TargetError> {
    config.targets.check()?;
    let runner = Runner::new(config, subtest.as_str(), progress);
    let both = [Subtest::Env, subtest];
    runner.plan(if subtest == Subtest::Env { &[Subtest::Env] } else { &both });
    environment(&runner).await;
    if subtest == Subtest::Env {
        return Ok(runner.finish());
    }
    if abroad(&runner.observed()) == Abroad::NotMeasured {
        skip_rest(&runner, "the surroundings could not be measured");
        return Ok(runner.finish());
    }
    runner
        .stage(subtest, move |bench, until| async move {
            match subtest {
                Subtest::Dns => dns::run(&bench, until).await,
                Subtest::Tls => tls::run(&bench, until).await,
                Subtest::Quic => quic::run(&bench, until).await,
                Subtest::Udp => udp::run(&bench, until).await,
                Subtest::Freeze => freeze::run(&bench, until).await,
                Subtest::Conns => conns::run(&bench, until, false).await,
                Subtest::Throttle => throttle::run(&bench, until, false).await,
                Subtest::Allowlist => allowlist::run(&bench, until).await,
                Subtest::Fet => fet::run(&bench, until).await,
                Subtest::Ech => ech::run(&bench, until).await,
                other => Err(MethodError::Meaningless {
                    why: format!("`{other}` needs an address of its own: run it by its subcommand"),
                }),
            }
        })
        .await;
    Ok(runner.finish())
}

async fn environment(runner: &Runner) {
    runner.stage(Subtest::Env, |bench, until| async move { env::run(&bench, until).await }).await;
}

/// What came back from the control server abroad.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Abroad {
    /// A whole request passed.
    Answers,
    /// Connections open, requests fail.
    Hears,
    /// Nothing.
    Silent,
    NotMeasured,
}

fn abroad(observed: &Observations) -> Abroad {
    let foreign =
        || observed.series_of(Subtest::Env).filter(|one| one.condition.server == ServerKind::Foreign);
    if foreign().any(|one| one.decision == Decision::Passes) {
        return Abroad::Answers;
    }
    let mut trials = foreign().flat_map(|one| &one.trials).peekable();
    if trials.peek().is_none() {
        return Abroad::NotMeasured;
    }
    let opened =
        trials.any(|trial| trial.failure.as_ref().is_none_or(|failure| failure.phase > Phase::Connect));
    if opened { Abroad::Hears } else { Abroad::Silent }
}

/// The groups run beside each other where they cannot disturb each other: their flows are short and their servers'
/// ports differ. Counting of connections is alone, and last.
async fn everything(runner: &Runner) {
    tokio::join!(
        runner.stage(Subtest::Dns, |bench, until| async move { dns::run(&bench, until).await }),
        runner.stage(Subtest::Tls, |bench, until| async move { tls::harmless(&bench, until, true).await }),
        runner.stage(Subtest::Quic, |bench, until| async move { quic::harmless(&bench, until).await }),
        runner.stage(Subtest::Udp, |bench, until| async move { udp::run(&bench, until).await }),
    );
    tokio::join!(
        runner.stage(Subtest::Allowlist, |bench, until| async move { allowlist::run(&bench, until).await }),
        runner.stage(Subtest::Ech, |bench, until| async move { ech::run(&bench, until).await }),
        runner.stage(Subtest::Freeze, |bench, until| async move { freeze::run(&bench, until).await }),
    );
    runner.stage(Subtest::Fet, |bench, until| async move { fet::run(&bench, until).await }).await;
    tokio::join!(
        runner.stage(Subtest::Tls, |bench, until| async move { tls::blocked(&bench, until, true).await }),
        runner.stage(Subtest::Quic, |bench, until| async move { quic::blocked(&bench, until).await }),
    );
    runner
        .stage(Subtest::Throttle, |bench, until| async move { throttle::run(&bench, until, true).await })
        .await;
    runner.stage(Subtest::Conns, |bench, until| async move { conns::run(&bench, until, true).await }).await;
}

/// Nothing that is sent abroad arrives; hellos can still tell whether a list of names or of addresses decides.
async fn hellos_only(runner: &Runner) {
    tokio::join!(
        runner.stage(Subtest::Dns, |bench, until| async move { dns::run(&bench, until).await }),
        runner.stage(Subtest::Tls, |bench, until| async move { tls::harmless(&bench, until, true).await }),
        runner.stage(Subtest::Ech, |bench, until| async move { ech::run(&bench, until).await }),
    );
    skip_rest(runner, "requests to the control server abroad do not come through");
}

fn skip_rest(runner: &Runner, reason: &str) {
    runner.skip_missing(&Status::Skipped { reason: reason.to_owned() });
}
