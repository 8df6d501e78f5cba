//! The harness end to end on itself: the pair of relays as subject, short windows, no foreign program. No timing is asserted.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::process::Command;

use clap::Parser;
use commucat_tests_perf::{
    cells::Row,
    options::Options,
    peers::{Field, relays::Relays},
    report::json,
    sample::{LIMIT, Reading},
    session,
    summary::RowSummary,
};

#[test]
fn a_whole_round_of_the_relays_beside_themselves() {
    let arguments =
        ["bench", "--quick", "--rounds", "1", "--rows", "ss,vision", "--window", "0.1", "--streams", "1,3"];
    let cells = ["--cells", "bulk,first-byte,connections,end", "--allow-busy"];
    let mut options = Options::parse_from(arguments.into_iter().chain(cells)).settled().unwrap();
    options.subject = LIMIT.to_owned();
    let relays = Relays::of(env!("CARGO_BIN_EXE_bench").into());
    let record = session::run(&options, Field::of(vec![Box::new(relays)]), Vec::new()).unwrap();
    let failed = record.samples.iter().find(|sample| matches!(sample.reading, Reading::Failed { .. }));
    assert_eq!(failed, None);
    // Bulk: four cells, two products, two passes; first bytes through the forward alone.
    let count = |row: Row, prefix: &str| {
        record.of_row(row).filter(|sample| sample.cell.to_string().starts_with(prefix)).count()
    };
    let counts = |row| ["up/", "down/", "first-byte/", "cipher"].map(|prefix| count(row, prefix));
    assert_eq!(counts(Row::Shadowsocks), [8, 8, 4, 1]);
    // With TLS inside, which the relays know nothing of, and without a cipher of the row's own.
    assert_eq!(counts(Row::Vision), [8, 8, 4, 0]);
    // On a busy machine a single short window may see nothing; all of them together must see both processes work.
    let (mut moved, mut client, mut server) = (0, 0.0, 0.0);
    for sample in &record.samples {
        if let Reading::Bulk { bytes, client_cpu_s, server_cpu_s, .. } = sample.reading {
            moved += bytes;
            client += client_cpu_s;
            server += server_cpu_s;
        }
    }
    assert!(moved > 0 && client > 0.0 && server > 0.0, "{moved} bytes, {client} s, {server} s");
    assert!(RowSummary::of(&record, Row::Shadowsocks).is_none(), "the limit alone is no product");
}

#[test]
fn the_command_line_lists_what_there_is() {
    let cache = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_bench"))
        .args(["--list", "--peers", "shadowsocks-rust", "--commucat", "/nonexistent"])
        .env("XDG_CACHE_HOME", cache.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    for wanted in [
        "row ss:",
        "cell ss up/128",
        "row vision:",
        "cell vision handshake/300",
        "product commucat: absent:",
        "product limit: two plain relays",
    ] {
        assert!(text.contains(wanted), "{wanted:?} is missing in\n{text}");
    }
}

#[test]
fn a_missing_subject_is_an_error_that_says_so() {
    let cache = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_bench"))
        .args(["--peers", "shadowsocks-rust", "--commucat", "/nonexistent", "--shared-network"])
        .env("XDG_CACHE_HOME", cache.path())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("commucat cannot be measured"), "{text}");
}

#[test]
fn a_record_of_another_day_is_reported() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("r.json");
    std::fs::write(&path, RECORD).unwrap();
    assert_eq!(json::read(&path).unwrap().samples.len(), 3);
    let output = Command::new(env!("CARGO_BIN_EXE_bench")).arg("--from").arg(&path).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("0.50 [0.50]") && text.contains("held: ss up/1: CPU"), "{text}");
}

const RECORD: &str = r#"{
  "format": 1, "circumstances": {}, "subject": "commucat", "notes": [],
  "products": [{"id": "commucat", "version": "1", "absent": null}, {"id": "xray", "version": "2", "absent": null}],
  "samples": [
    {"row": "ss", "round": 0, "pass": 0, "product": "commucat", "cell": "up/1",
     "reading": {"kind": "bulk", "bytes": 1000000000, "seconds": 1, "client_cpu_s": 0.25, "server_cpu_s": 0.25, "stalled_streams": 0}},
    {"row": "ss", "round": 0, "pass": 0, "product": "commucat-again", "cell": "up/1",
     "reading": {"kind": "bulk", "bytes": 1000000000, "seconds": 1, "client_cpu_s": 0.25, "server_cpu_s": 0.25, "stalled_streams": 0}},
    {"row": "ss", "round": 0, "pass": 0, "product": "xray", "cell": "up/1",
     "reading": {"kind": "bulk", "bytes": 1000000000, "seconds": 1, "client_cpu_s": 0.5, "server_cpu_s": 0.5, "stalled_streams": 0}}
  ]
}"#;
