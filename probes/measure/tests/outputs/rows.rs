//! Rows of the OONI data format: valid against the schema, and read back to what they were made of.

use commucat_measure::{
    Run,
    output::{LINE_BYTES_MAX, ReadError, read_bytes, read_file, rows, write_jsonl},
};
use jsonschema::Validator;
use serde_json::{Value, json};

use crate::sample::{clear, days, interfered, offline};

const SCHEMA: &str = include_str!("../../schema/ooni-0.2.0.json");

pub fn schema() -> Validator {
    jsonschema::validator_for(&serde_json::from_str(SCHEMA).unwrap()).unwrap()
}

fn jsonl(runs: &[Run]) -> Vec<u8> {
    let mut bytes = Vec::new();
    runs.iter().for_each(|run| write_jsonl(run, &mut bytes).unwrap());
    bytes
}

pub fn values(run: &Run) -> Vec<Value> {
    rows(run).iter().map(|row| serde_json::to_value(row).unwrap()).collect()
}

pub fn assert_valid(schema: &Validator, row: &Value) {
    let problems: Vec<_> =
        schema.iter_errors(row).map(|error| format!("{} at {}", error, error.instance_path())).collect();
    assert!(problems.is_empty(), "{}: {problems:#?}", row["test_name"]);
}

#[test]
fn every_row_of_every_run_is_valid() {
    let schema = schema();
    for run in [interfered(), clear(), offline()].iter().chain(&days(3)) {
        values(run).iter().for_each(|row| assert_valid(&schema, row));
    }
}

#[test]
fn a_row_of_a_run_without_subtests_is_valid() {
    let mut run = interfered();
    run.subtests.clear();
    let rows = values(&run);
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0]["test_name"], "commucat_run");
    assert_valid(&schema(), &rows[0]);
}

#[test]
fn the_schema_refuses_what_is_wrong() {
    let schema = schema();
    let good = values(&interfered());
    let wrong = |row: usize, pointer: &str, value: Value| {
        let mut row = good[row].clone();
        *row.pointer_mut(pointer).unwrap_or_else(|| panic!("{pointer} is not there")) = value;
        assert!(!schema.is_valid(&row), "{pointer}");
    };
    wrong(0, "/probe_ip", json!("198.51.100.7"));
    wrong(0, "/data_format_version", json!("0.3.0"));
    wrong(0, "/measurement_start_time", json!("2026-11-21T17:03:42Z"));
    wrong(0, "/probe_asn", json!("64500"));
    wrong(0, "/test_name", json!("web_connectivity"));
    wrong(1, "/test_keys/queries/0/failure", json!("timeout"));
    wrong(1, "/test_keys/queries/0/answers/0/ipv4", json!("2001:db8::1"));
    wrong(2, "/test_keys/tls_handshakes/0/network", json!("tls"));
    wrong(2, "/test_keys/tcp_connect/0/status/success", json!(false));
    wrong(2, "/test_keys/x_commucat/verdict", json!("tls.haunted"));
    let mut extra = good[0].clone();
    extra["probe_city"] = json!("somewhere");
    assert!(!schema.is_valid(&extra));
}

#[test]
fn the_schema_knows_every_verdict() {
    let schema: Value = serde_json::from_str(SCHEMA).unwrap();
    let known = schema["$defs"]["verdict"]["enum"].as_array().unwrap();
    let explained: Vec<_> = commucat_measure::explain::all().map(|one| json!(one.id)).collect();
    assert!(explained.iter().all(|id| known.contains(id)));
    assert_eq!(known.len(), explained.len());
}

#[test]
fn events_carry_what_was_seen() {
    let rows = values(&interfered());
    let test = |name: &str| rows.iter().find(|row| row["test_name"] == format!("commucat_{name}")).unwrap();
    let queries = test("dns")["test_keys"]["queries"].as_array().unwrap();
    let failures: Vec<_> = queries.iter().map(|query| query["failure"].clone()).collect();
    let expected = json!([
        null,
        "dns_bogon_error",
        null,
        "dns_bogon_error",
        "generic_timeout_error",
        "dns_refused_error",
        null
    ]);
    assert_eq!(json!(failures), expected, "two answers to one question are two queries");
    assert_eq!(queries[1]["transaction_id"], queries[2]["transaction_id"]);
    assert_eq!(queries[1]["answers"][0]["ipv4"], "10.10.34.34");

    let tls = &test("tls")["test_keys"];
    let reset = tls["tls_handshakes"].as_array().unwrap();
    assert!(
        reset
            .iter()
            .any(|one| one["failure"] == "connection_reset" && one["server_name"] == "blocked.example")
    );
    assert!(tls["tcp_connect"].as_array().unwrap().iter().all(|one| one["status"]["success"] == true));
    assert_eq!(tls["x_commucat"]["verdict"], "tls.rst_after_ch", "the surest finding comes first");
    assert_eq!(tls["x_commucat"]["control"]["same_server"], json!({"passed": 6, "made": 8}));

    let fet = &test("fet")["test_keys"]["tcp_connect"];
    let refused =
        fet.as_array().unwrap().iter().filter(|one| one["status"]["failure"] == "connection_refused");
    assert_eq!(refused.count(), 1);

    let quic = &test("quic")["test_keys"];
    assert_eq!(quic["tls_handshakes"][0]["network"], "udp");
    assert_eq!(quic["network_events"][1]["operation"], "write_to");

    let freeze = &test("freeze")["test_keys"];
    assert_eq!(freeze["x_commucat"]["thresholds"]["packets"]["median"], 25.0);
    assert_eq!(freeze["x_commucat"]["residual_s"], 60);
    let events = freeze["network_events"].as_array().unwrap();
    assert!(
        events
            .iter()
            .any(|one| one["operation"] == "bytes_received_cumulative" && one["num_bytes"] == 17_376)
    );
    assert!(
        events.iter().any(|one| one["operation"] == "write" && one["failure"] == "generic_timeout_error")
    );

    let transport = &test("transport")["test_keys"];
    assert_eq!((&transport["tunnel"], &transport["bootstrap_time"]), (&json!("shadowsocks"), &json!(0.25)));
    assert_eq!(test("allowlist")["test_keys"]["x_commucat"]["verdict"], "inconclusive");
    assert_eq!(test("udp")["test_keys"]["x_commucat"]["verdict"], "ok");
}

#[test]
fn times_are_seconds_since_the_measurement_began() {
    let rows = values(&interfered());
    let dns = rows.iter().find(|row| row["test_name"] == "commucat_dns").unwrap();
    assert_eq!(dns["test_start_time"], "2026-11-21 17:03:42");
    assert_eq!(dns["measurement_start_time"], "2026-11-21 17:03:47");
    assert_eq!(dns["test_keys"]["queries"][0]["t0"], 0.001);
    assert_eq!(dns["test_keys"]["queries"][0]["t"], 0.031);
}

#[test]
fn rows_are_read_back_to_what_they_were() {
    let runs = [interfered(), clear(), offline()];
    let read = read_bytes(&jsonl(&runs)).unwrap();
    assert_eq!(read.skipped_count, 0, "{:?}", read.skipped);
    assert!(read.runs == runs, "something changed on the way");
}

#[test]
fn rows_of_several_runs_may_be_mixed() {
    let (one, other) = (jsonl(&[interfered()]), jsonl(&[clear()]));
    let lines =
        |bytes: &[u8]| bytes.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect::<Vec<_>>();
    let mut mixed = Vec::new();
    let (one, other) = (lines(&one), lines(&other));
    for at in 0..one.len().max(other.len()) {
        mixed.extend(one.get(at).into_iter().chain(other.get(at)).flatten());
    }
    assert!(read_bytes(&mixed).unwrap().runs == [interfered(), clear()]);
}

#[test]
fn unknown_keys_are_tolerated_and_other_lines_are_named() {
    let mut lines = Vec::new();
    for mut row in values(&interfered()) {
        row["new_top_level"] = json!({"deep": [1, 2]});
        row["test_keys"]["new_events"] = json!([]);
        row["test_keys"]["x_commucat"]["mood"] = json!("wary");
        row["test_keys"]["x_commucat"]["observations"]["smells"] = json!(["odd"]);
        lines.push(row.to_string());
    }
    lines.push("not JSON".to_owned());
    lines.push(
        json!({"data_format_version": "0.2.0", "test_name": "web_connectivity", "test_keys": {}}).to_string(),
    );
    lines.push(String::new());
    let read = read_bytes(lines.join("\n").as_bytes()).unwrap();
    assert!(read.runs == [interfered()]);
    assert_eq!(read.skipped_count, 2, "{:?}", read.skipped);
}

#[test]
fn a_newer_format_is_said_and_skipped() {
    let mut rows = values(&interfered());
    rows.iter_mut().for_each(|row| row["test_keys"]["x_commucat"]["run"]["format"] = json!(9));
    let text = rows.iter().map(Value::to_string).collect::<Vec<_>>().join("\n");
    let read = read_bytes(text.as_bytes()).unwrap();
    assert!(read.runs.is_empty());
    assert!(read.skipped[0].why.contains("newer version"), "{:?}", read.skipped);
}

#[test]
fn a_line_has_a_length() {
    let long = vec![b'x'; LINE_BYTES_MAX + 10];
    assert!(matches!(read_bytes(&long), Err(ReadError::LineTooLong { line: 1 })));
    let mut after = b"\n".to_vec();
    after.extend_from_slice(&long);
    assert!(matches!(read_bytes(&after), Err(ReadError::LineTooLong { line: 2 })));
}

#[test]
fn a_file_without_runs_says_so() {
    let scratch = tempfile::tempdir().unwrap();
    let file = scratch.path().join("empty.jsonl");
    std::fs::write(&file, "{}\n").unwrap();
    assert!(matches!(read_file(&file), Err(ReadError::Empty { .. })));
    assert!(matches!(read_file(&scratch.path().join("nowhere")), Err(ReadError::Io { .. })));
}
