//! A clean network: everything is measured, nothing is found.

use std::sync::{Arc, Mutex};

use commucat_measure::{Event, ProbeConfig, Progress, Run, Status};
use commucat_verdict::{
    conclude,
    observations::{Counting, Payload, ServerKind, Subtest},
};

use crate::support::{World, found, quick};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_quick_set_measures_everything_and_finds_nothing() {
    let world = World::start().await;
    let run = quick(world.targets(), 1).await;
    assert_eq!(found(&run), Vec::<&str>::new(), "{:#?}", run.findings);
    for report in &run.subtests {
        // The only resolver of a test machine may be anything or nothing; no lookup leaves it without a target.
        if report.subtest != Subtest::Dns {
            assert_eq!(report.status, Status::Done, "{report:?}");
        }
    }
    assert_eq!(run.exit_code(), 0);
    let series = &run.observations.series;
    assert!(series.iter().all(|one| one.failed() == 0), "{:#?}", series.iter().find(|one| one.failed() > 0));
    for payload in [
        Payload::Request,
        Payload::Hello,
        Payload::HelloEch,
        Payload::QuicV1,
        Payload::QuicUnknown,
        Payload::DatagramLarge,
        Payload::WireGuard,
        Payload::OpenVpn,
        Payload::Dtls,
        Payload::Random,
        Payload::TlsRecord,
        Payload::Ssh,
        Payload::Http,
    ] {
        let measured =
            |one: &&commucat_verdict::observations::Series| one.condition.payload == payload && one.passes();
        assert!(series.iter().find(measured).is_some(), "{payload} was not measured");
    }
    // The hello arrived as it was sent.
    let compared = series
        .iter()
        .flat_map(|one| &one.trials)
        .find_map(|trial| trial.tls.as_ref().filter(|tls| tls.ja4_seen.is_some()));
    let compared = compared.unwrap();
    assert_eq!(compared.ja4_seen, compared.ja4_sent);
    let bulk: Vec<_> =
        run.observations.transfers.iter().filter(|one| one.condition.subtest == Subtest::Freeze).collect();
    assert_eq!(bulk.len(), 2);
    for transfer in bulk {
        assert!(transfer.moved >= 64 * 1024, "{transfer:?}");
        assert!(transfer.counting != Counting::Kernel || transfer.packets.unwrap() > 6);
        assert!(transfer.curve.len() >= 2);
    }
    assert!(run.observations.environment.unwrap().clock_ahead_s.unwrap().abs() <= 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_can_be_written_read_and_judged_again() {
    let world = World::start().await;
    let run = quick(world.targets(), 2).await;
    let text = serde_json::to_string(&run).unwrap();
    let again: Run = serde_json::from_str(&text).unwrap();
    assert_eq!(again, run);
    assert_eq!(conclude(&again.observations), run.findings);
}

#[derive(Default)]
struct Listening(Mutex<Vec<String>>);

impl Progress for Listening {
    fn event(&self, event: &Event<'_>) {
        let line = match event {
            Event::Planned(subtests) => format!("planned {}", subtests.len()),
            Event::Started(subtest) => format!("started {subtest}"),
            Event::Ended { report, .. } => format!("ended {}", report.subtest),
            Event::Trial { trial, .. } => format!("trial {}", trial.number),
            _ => return,
        };
        self.0.lock().unwrap().push(line);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn progress_is_told_and_trials_are_numbered_once() {
    let world = World::start().await;
    let heard = Arc::new(Listening::default());
    let config = ProbeConfig::new(world.targets(), 3);
    let shared: Arc<dyn Progress> = Arc::<Listening>::clone(&heard);
    let run = commucat_measure::single(Subtest::Tls, config, shared).await.unwrap();
    let heard = heard.0.lock().unwrap();
    assert_eq!(heard[0], "planned 2");
    let at = |line: &str| heard.iter().position(|one| one == line).unwrap();
    assert!(at("started env") < at("ended env") && at("ended env") < at("started tls"));
    assert_eq!(heard.last().map(String::as_str), Some("ended tls"));
    let mut numbers: Vec<u32> =
        run.observations.series.iter().flat_map(|one| &one.trials).map(|trial| trial.number).collect();
    let count = numbers.len();
    numbers.sort_unstable();
    numbers.dedup();
    assert_eq!(numbers.len(), count);
    // Each trial to the foreign server came from a port of its own.
    let trials = run.observations.series.iter().filter(|one| one.condition.server == ServerKind::Foreign);
    assert!(trials.flat_map(|one| &one.trials).all(|trial| trial.source_port != 0));
}
