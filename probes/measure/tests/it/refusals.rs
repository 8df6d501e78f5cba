//! What is not done without consent, and what is said instead.

use commucat_measure::{Consent, Status, Targets};
use commucat_verdict::observations::{NameClass, Payload, Subtest};

use crate::support::{World, quick, single};

fn status(run: &commucat_measure::Run, subtest: Subtest) -> &Status {
    &run.subtests.iter().find(|report| report.subtest == subtest).unwrap().status
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_consent_nothing_of_medium_risk_is_sent() {
    let world = World::start().await;
    let run = quick(Targets { consent: Consent::default(), ..world.targets() }, 4).await;
    for subtest in [Subtest::Fet, Subtest::Throttle] {
        let Status::Refused { reason } = status(&run, subtest) else {
            panic!("{:?}", status(&run, subtest));
        };
        assert!(reason.contains("--risk medium"), "{reason}");
    }
    assert_eq!(status(&run, Subtest::Tls), &Status::Done);
    let tls = run.subtests.iter().find(|report| report.subtest == Subtest::Tls).unwrap();
    assert!(tls.details.as_ref().unwrap().to_string().contains("--risk medium"), "what was left out is told");
    for series in &run.observations.series {
        assert_ne!(series.condition.name, Some(NameClass::Blocked), "{}", series.condition);
        assert_ne!(series.condition.payload, Payload::Random, "{}", series.condition);
    }
    assert_eq!(run.exit_code(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_targets_lack_is_said() {
    let world = World::start().await;
    let mut targets = world.targets();
    targets.servers.iter_mut().for_each(|server| server.quic = commucat_measure::Ports::default());
    targets.cdns.clear();
    for (subtest, word) in [(Subtest::Quic, "quic ports"), (Subtest::Ech, "[[cdn]]")] {
        let run = single(subtest, targets.clone(), 5).await;
        let Status::Skipped { reason } = status(&run, subtest) else {
            panic!("{:?}", status(&run, subtest));
        };
        assert!(reason.contains(word), "{reason}");
    }
}
