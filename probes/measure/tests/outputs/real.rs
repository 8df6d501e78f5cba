//! A run that was really made, on loopback: what the probe observes fits every form.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use commucat_control::{Control, ControlConfig, Listen, RunningControl};
use commucat_measure::{
    Consent, Event, Names, Ports, ProbeConfig, Progress, Risk, Run, Server, Targets, Timing,
    output::{Format, Look, Page, State, Table, html, read_bytes, render},
    quick,
    redact::{RedactionKey, Redactor},
};
use commucat_verdict::observations::ServerKind;

/// Draws the table as a terminal would.
#[derive(Default)]
struct Drawn {
    table: Mutex<Table>,
    texts: Mutex<Vec<String>>,
}

impl Progress for Drawn {
    fn event(&self, event: &Event<'_>) {
        let mut table = self.table.lock().unwrap();
        table.apply(event);
        self.texts.lock().unwrap().push(table.to_text(Look::default()));
    }
}

async fn server(ip: [u8; 4]) -> RunningControl {
    let any = Listen::from(SocketAddr::from((ip, 0)));
    let config = ControlConfig {
        tcp: vec![any; 12],
        udp: vec![any; 8],
        quic: vec![any; 8],
        ..ControlConfig::default()
    };
    Control::start(config).await.unwrap()
}

fn entry(kind: ServerKind, server: &RunningControl) -> Server {
    let at = server.addresses();
    let ports = |addresses: &[SocketAddr]| Ports::new(addresses.iter().map(SocketAddr::port)).unwrap();
    Server {
        kind,
        address: at.tcp[0].ip(),
        tcp: ports(&at.tcp),
        udp: ports(&at.udp),
        quic: ports(&at.quic),
        pin: Some(server.certificate_pin()),
        token: None,
    }
}

async fn measured(progress: &Arc<Drawn>) -> Run {
    let (foreign, domestic) = (server([127, 0, 0, 1]).await, server([127, 0, 0, 3]).await);
    let targets = Targets {
        lab: true,
        servers: vec![entry(ServerKind::Foreign, &foreign), entry(ServerKind::Domestic, &domestic)],
        names: Names { blocked: vec!["blocked.example".to_owned()], ..Names::default() },
        consent: Consent::up_to(Risk::Medium),
        timing: Timing { timeout_min_ms: 400, dns_window_ms: 200 },
        ..Targets::default()
    };
    let config = ProbeConfig::new(targets, 7).with_budget(Duration::from_secs(120));
    let progress: Arc<dyn Progress> = Arc::<Drawn>::clone(progress);
    quick(config, progress).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_real_run_fits_every_form() {
    let drawn = Arc::new(Drawn::default());
    let run = measured(&drawn).await;

    let schema = super::rows::schema();
    let rows = super::rows::values(&run);
    assert_eq!(rows.len(), run.subtests.len());
    rows.iter().for_each(|row| super::rows::assert_valid(&schema, row));
    let shaken = |row: &serde_json::Value| row["test_keys"]["tls_handshakes"].as_array().unwrap().len();
    assert!(rows.iter().map(shaken).sum::<usize>() > 10, "handshakes became events");

    let text = render(&run, Format::Jsonl, Look::default()).unwrap();
    let read = read_bytes(text.as_bytes()).unwrap();
    assert_eq!(read.skipped_count, 0, "{:?}", read.skipped);
    assert_eq!(read.runs[0].findings, run.findings);
    assert_eq!(read.runs[0].subtests, run.subtests);
    assert_eq!(read.runs[0].observations.series.len(), run.observations.series.len());

    let hidden = Redactor::new(RedactionKey::fresh().unwrap()).run(&run);
    super::rows::values(&hidden).iter().for_each(|row| super::rows::assert_valid(&schema, row));
    let page = html(&Page::of(std::slice::from_ref(&hidden)).redacted(true));
    assert!(
        page.contains("id=\"hellos-t\"") && page.contains("id=\"curve-t\""),
        "the pictures are drawn from real data"
    );
    super::page::keep("real", &page);

    let texts = drawn.texts.lock().unwrap();
    assert!(texts.iter().any(|text| text.contains("trials passed")), "something moved while it ran");
    assert!(
        texts.iter().flat_map(|text| text.lines()).all(|line| line.chars().count() <= Look::default().width)
    );
    let table = drawn.table.lock().unwrap();
    assert!(
        table.rows().iter().all(|row| !matches!(row.state, State::Waiting | State::Running)),
        "{:?}",
        table.rows()
    );
    println!("{}", Table::of(&run).to_text(Look::default()));
}
