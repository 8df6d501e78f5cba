//! Bad surroundings: nobody answers, somebody else answers, the time runs out.

use std::{sync::Arc, time::Duration};

use commucat_measure::{ProbeConfig, Server, Status, Targets};
use commucat_verdict::{
    Confidence, ids,
    observations::{ServerKind, Subtest},
};
use tokio::{io::AsyncWriteExt as _, net::TcpListener};

use crate::support::{World, entry, found, quick, server};

/// A listener's address on which nobody listens any more.
async fn dead(kind: ServerKind) -> Server {
    let gone = server([127, 0, 0, 9]).await;
    let entry = entry(kind, &gone);
    gone.stop().await;
    entry
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_server_is_no_interference() {
    let world = World::start().await;
    let mut targets = world.targets();
    targets.servers[0] = dead(ServerKind::Foreign).await;
    let run = quick(targets, 6).await;
    // Another server abroad answers: a dead one and a blocked one look the same, so it stays open.
    assert_eq!(found(&run), [ids::IP_BLOCKED]);
    assert_eq!(run.findings[0].confidence, Confidence::Open);
    assert_eq!(run.exit_code(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_domestic_control_a_whitelist_is_not_named() {
    let targets = Targets {
        servers: vec![dead(ServerKind::Foreign).await],
        timing: commucat_measure::Timing { timeout_min_ms: 200, dns_window_ms: 200 },
        ..Targets::default()
    };
    let run = quick(Targets { lab: true, ..targets }, 7).await;
    let net: Vec<_> = run.findings.iter().filter(|finding| finding.subtest == Subtest::Env).collect();
    assert_eq!(net.len(), 1, "{:?}", run.findings);
    assert_eq!(net[0].verdict_id, ids::INCONCLUSIVE);
    assert!(net[0].between.iter().any(|id| id == ids::NET_WHITELIST), "{:?}", net[0]);
    assert_eq!(run.exit_code(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_certificate_is_somebody_in_the_middle() {
    let world = World::start().await;
    let mut targets = world.targets();
    targets.servers[0].pin = targets.servers[1].pin;
    let run = quick(targets, 8).await;
    assert!(found(&run).contains(&ids::TLS_MITM), "{:?}", run.findings);
    assert_eq!(run.exit_code(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_portal_that_redirects_is_named() {
    let portal = TcpListener::bind("127.0.0.8:0").await.unwrap();
    let address = portal.local_addr().unwrap();
    let serving = tokio::spawn(async move {
        while let Ok((mut stream, _)) = portal.accept().await {
            let _sent = stream
                .write_all(
                    b"HTTP/1.1 302 Found\r\nlocation: http://portal.example/\r\ncontent-length: 0\r\n\r\n",
                )
                .await;
            // The request must be read, or the close is a reset that overtakes the answer.
            let mut rest = vec![0; 4096];
            let _read = tokio::time::timeout(
                Duration::from_millis(200),
                tokio::io::AsyncReadExt::read(&mut stream, &mut rest),
            )
            .await;
        }
    });
    let mut targets = Targets { lab: true, ..Targets::default() };
    targets.servers.push(Server {
        kind: ServerKind::Foreign,
        address: address.ip(),
        tcp: commucat_measure::Ports::new([address.port()]).unwrap(),
        udp: commucat_measure::Ports::default(),
        quic: commucat_measure::Ports::default(),
        pin: None,
        token: None,
    });
    let run = quick(targets, 9).await;
    serving.abort();
    assert!(found(&run).contains(&ids::NET_CAPTIVE), "{:?}", run.findings);
    assert_eq!(run.exit_code(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_without_time_says_so_and_concludes_nothing() {
    let world = World::start().await;
    let config = ProbeConfig::new(world.targets(), 10).with_budget(Duration::ZERO);
    let run = commucat_measure::quick(config, Arc::new(())).await.unwrap();
    assert!(run.subtests.iter().all(|report| matches!(report.status, Status::Skipped { .. })));
    assert_eq!(found(&run), Vec::<&str>::new());
    assert_eq!(run.exit_code(), 2, "nothing was measured");
}
