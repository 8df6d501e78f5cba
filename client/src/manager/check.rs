//! Background checks: when an endpoint behaves oddly, it is probed once, so that the cause can be named and a healthy
//! one is cleared. Few at a time, and not the same one again and again.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use commucat_transport_api::{Cx, Failure, Phase, ProbeReport, ProbeStep, Signal, Suspicion};
use commucat_verdict::Cause;
use tokio::task::JoinSet;

use super::Manager;

/// Time a check may take.
pub const CHECK_BUDGET: Duration = Duration::from_secs(8);
/// The same endpoint is checked again after this long at the earliest.
const CHECK_PAUSE: Duration = Duration::from_secs(15);
/// Checks that run at once.
const MAX_CHECKS: usize = 2;

/// Checks that run, and when each endpoint was last checked. Dropping it ends them.
#[derive(Debug, Default)]
pub(super) struct Checks(Mutex<Running>);

#[derive(Debug, Default)]
struct Running {
    tasks: JoinSet<()>,
    last: BTreeMap<usize, Instant>,
}

impl Manager {
    /// Checks an endpoint, unless that was done just now.
    pub(super) fn check(&self, at: usize) {
        let now = self.0.net.now();
        let Some(entry) = self.entry(at) else { return };
        let mut running = self.0.checks.0.lock().unwrap_or_else(PoisonError::into_inner);
        while running.tasks.try_join_next().is_some() {}
        let recent =
            running.last.get(&at).is_some_and(|last| now.saturating_duration_since(*last) < CHECK_PAUSE);
        if recent || running.tasks.len() >= MAX_CHECKS {
            return;
        }
        running.last.insert(at, now);
        let weak = Arc::downgrade(&self.0);
        let net = Arc::clone(&self.0.net);
        running.tasks.spawn(async move {
            let cx = Cx::new(net, CHECK_BUDGET);
            let report = cx.until_deadline(entry.endpoint.client.probe(&cx)).await.unwrap_or_else(timed_out);
            if let Some(inner) = weak.upgrade() {
                Self(inner).checked(at, &report);
            }
        });
    }

    /// Checks an endpoint whose failure has more than one explanation.
    pub(super) fn check_if_unclear(&self, at: usize, failure: &Failure) {
        if failure.suspicion() >= Suspicion::Medium {
            self.check(at);
        }
    }

    fn checked(&self, at: usize, report: &ProbeReport) {
        let change = self.core().table.handle_checked(self.0.net.now(), at, report.first_failure());
        self.tell(at, change);
        let diagnosis = self.diagnose_report(at, report);
        if diagnosis.cause != Cause::Ok {
            self.surface_diagnosis(at, diagnosis);
        }
    }
}

fn timed_out() -> ProbeReport {
    let failure = Failure::new(Phase::Connect, Signal::Timeout, CHECK_BUDGET);
    ProbeReport::new(vec![ProbeStep::new("probe", Err(failure))])
}
