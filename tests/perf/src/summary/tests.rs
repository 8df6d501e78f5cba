//! Hand-made samples whose ratios can be checked in the head.

use super::*;
use crate::sample::{Circumstances, FORMAT, Participant};

const UP: &str = "up/1";

fn bulk(product: &str, round: u32, pass: u32, bytes: u64, cpu_s: f64) -> Sample {
    Sample {
        row: Row::Shadowsocks,
        round,
        pass,
        product: product.to_owned(),
        cell: UP.parse().unwrap(),
        foreign_cores: Some(0.0),
        disturbed: false,
        reading: Reading::Bulk {
            bytes,
            seconds: 1.0,
            client_cpu_s: cpu_s / 2.0,
            server_cpu_s: cpu_s / 2.0,
            stalled_streams: 0,
        },
    }
}

fn cipher(round: u32) -> Sample {
    let reading = Reading::Cipher { record_bytes: 1, seal_s_per_gb: 0.05, open_s_per_gb: 0.05 };
    Sample { cell: Cell::Cipher, reading, ..bulk(LIMIT, round, 0, 0, 0.0) }
}

pub(crate) fn record(samples: Vec<Sample>) -> Record {
    let participant =
        |id: &str| Participant { id: id.to_owned(), version: Some("1".to_owned()), absent: None };
    Record {
        format: FORMAT,
        circumstances: Circumstances::default(),
        subject: "commucat".to_owned(),
        products: ["commucat", "sing-box", "xray", LIMIT].map(participant).to_vec(),
        samples,
        notes: Vec::new(),
    }
}

const GB: u64 = 1_000_000_000;

/// Two rounds: we take 0.5 then 0.6 CPU-s/GB, sing-box 1.0, Xray 2.0, the relays 0.3, the cipher 0.1.
pub(crate) fn two_rounds() -> Vec<Sample> {
    let mut samples = Vec::new();
    for (round, ours) in [(0, 0.5), (1, 0.6)] {
        for pass in 0..2 {
            samples.push(bulk("xray", round, pass, GB, 2.0));
            samples.push(bulk("commucat", round, pass, 2 * GB, 2.0 * ours));
            samples.push(bulk("commucat-again", round, pass, 2 * GB, 2.1 * ours));
            samples.push(bulk("sing-box", round, pass, GB, 1.0));
            samples.push(bulk(LIMIT, round, pass, 4 * GB, 1.2));
        }
        samples.push(cipher(round));
    }
    samples
}

fn near(a: f64, b: f64) -> bool {
    (a - b).abs() < 1e-9
}

#[test]
fn ratios_are_taken_round_by_round_against_the_best_peer() {
    let summary = RowSummary::of(&record(two_rounds()), Row::Shadowsocks).unwrap();
    assert_eq!(summary.products, ["commucat", "sing-box", "xray"]);
    let cpu = summary.metric(UP.parse().unwrap(), Kind::CpuPerGb).unwrap();
    assert_eq!(cpu.best_peer.as_deref(), Some("sing-box"));
    let ratio = cpu.ratio.unwrap();
    assert!(near(ratio.median, 0.55) && near(ratio.min, 0.5) && near(cpu.worst().unwrap(), 0.6));
    assert!(near(cpu.noise.unwrap(), 0.05));
    assert_eq!(cpu.clear(), Some(true));
    let throughput = summary.metric(UP.parse().unwrap(), Kind::Throughput).unwrap();
    assert!(
        near(throughput.ratio.unwrap().median, 2.0)
            && near(throughput.figures["commucat"].spread.median, 16.0)
    );
}

#[test]
fn eta_is_the_limit_of_the_same_round_over_the_figure() {
    let summary = RowSummary::of(&record(two_rounds()), Row::Shadowsocks).unwrap();
    let cpu = summary.metric(UP.parse().unwrap(), Kind::CpuPerGb).unwrap();
    // (0.3 + 0.1) / 0.5 and / 0.6, the median between them.
    assert!(near(cpu.figures["commucat"].eta.unwrap(), f64::midpoint(0.8, 0.4 / 0.6)));
    assert!(near(cpu.figures["sing-box"].eta.unwrap(), 0.4));
    let throughput = summary.metric(UP.parse().unwrap(), Kind::Throughput).unwrap();
    assert!(near(throughput.figures["commucat"].eta.unwrap(), 0.5));
}

#[test]
fn a_row_without_a_cipher_has_the_relays_alone_as_its_limit() {
    let samples = two_rounds().into_iter().filter(|sample| sample.cell != Cell::Cipher);
    let samples = samples.map(|sample| Sample { row: Row::Vision, ..sample }).collect();
    let summary = RowSummary::of(&record(samples), Row::Vision).unwrap();
    let cpu = summary.metric(UP.parse().unwrap(), Kind::CpuPerGb).unwrap();
    assert!(near(cpu.figures["sing-box"].eta.unwrap(), 0.3));
}

#[test]
fn single_visits_show_what_a_round_hides() {
    let mut samples = two_rounds();
    let slow = samples.iter_mut().find(|sample| sample.product == "xray").unwrap();
    if let Reading::Bulk { bytes, .. } = &mut slow.reading {
        *bytes /= 4;
    }
    let summary = RowSummary::of(&record(samples), Row::Shadowsocks).unwrap();
    let figure = &summary.metric(UP.parse().unwrap(), Kind::CpuPerGb).unwrap().figures["xray"];
    assert!(near(figure.visits.max, 8.0) && near(figure.visits.median, 2.0));
    assert!(near(figure.spread.max, 3.2));
}

#[test]
fn a_missing_round_falls_out_of_the_ratio_only() {
    let mut samples = two_rounds();
    samples.retain(|sample| !(sample.product == "sing-box" && sample.round == 0));
    let summary = RowSummary::of(&record(samples), Row::Shadowsocks).unwrap();
    let cpu = summary.metric(UP.parse().unwrap(), Kind::CpuPerGb).unwrap();
    let ratio = cpu.ratio.unwrap();
    assert!(near(ratio.min, 0.6) && near(ratio.max, 0.6));
    assert!(near(cpu.figures["commucat"].spread.min, 0.5));
}

#[test]
fn failures_and_stalls_are_counted() {
    let mut samples = two_rounds();
    samples.push(Sample { reading: Reading::Failed { reason: "why".into() }, ..bulk("xray", 1, 1, 0, 0.0) });
    let reading =
        Reading::Bulk { bytes: 1, seconds: 1.0, client_cpu_s: 0.1, server_cpu_s: 0.1, stalled_streams: 3 };
    samples.push(Sample { reading, disturbed: true, ..bulk("commucat", 1, 1, 0, 0.0) });
    let summary = RowSummary::of(&record(samples), Row::Shadowsocks).unwrap();
    assert_eq!(summary.failures[&("xray".to_owned(), UP.to_owned())], (1, "why".to_owned()));
    assert_eq!(summary.stalled, BTreeMap::from([(UP.parse().unwrap(), 1)]));
    assert_eq!(summary.disturbed, 1);
}

#[test]
fn a_row_that_was_not_measured_has_no_summary() {
    assert_eq!(RowSummary::of(&record(two_rounds()), Row::WebSocket), None);
}

#[test]
fn figures_of_the_other_kinds() {
    let first = Reading::FirstByte { micros: (1..=100).collect() };
    assert_eq!(Kind::FirstByteMedian.value(&[&first]), Some(50.0));
    assert_eq!(Kind::FirstByteTail.value(&[&first]), Some(99.0));
    let connections = Reading::Connections {
        completed: 1000,
        failed: 0,
        seconds: 2.0,
        client_cpu_s: 0.1,
        server_cpu_s: 0.1,
    };
    assert_eq!(Kind::ConnectionRate.value(&[&connections, &connections]), Some(500.0));
    assert!(near(Kind::CpuPerConnection.value(&[&connections]).unwrap(), 200.0));
    let handshakes = Reading::Handshake { connections: 100, client_cpu_s: 0.3, server_cpu_s: 0.1 };
    assert!(near(Kind::ServerCpuPerHandshake.value(&[&handshakes, &handshakes]).unwrap(), 1000.0));
    assert!(near(Kind::CpuPerHandshake.value(&[&handshakes]).unwrap(), 4000.0));
    assert_eq!(Kind::ServerCpuPerHandshake.value(&[&connections]), None);
    let memory = Reading::IdleMemory {
        connections: 1000,
        client_base_kib: 1024,
        server_base_kib: 1024,
        client_kib: 11_024,
        server_kib: 21_024,
    };
    assert_eq!(Kind::MemoryPerConnection.value(&[&memory]), Some(30.0));
    assert_eq!(Kind::BaseMemory.value(&[&memory]), Some(2.0));
    let ends =
        Reading::EndOfStream { down_ms: vec![1.0, 3.0, 2.0], up_ms: vec![], half_closes: 4, answered: 1 };
    assert_eq!(Kind::EndDown.value(&[&ends]), Some(2.0));
    assert_eq!(Kind::EndUp.value(&[&ends]), None);
    assert_eq!(Kind::Answered.value(&[&ends]), Some(25.0));
    assert_eq!(Kind::Throughput.value(&[&ends]), None);
}
