//! The link is true: what foreign programs measure is what was asked for.

use std::time::Duration;

use commucat_censor::Direction;
use commucat_lab::{Lab, truth};

use crate::support::{allowed, config, installed};

fn lab(link: &str) -> Lab {
    let mut config = config(link);
    config.seed = 7;
    Lab::start(config).unwrap()
}

#[test]
fn the_rate_is_the_asked_rate() {
    if !allowed() || !installed("iperf3") {
        return;
    }
    for (megabits, direction) in [(10.0, Direction::Up), (50.0, Direction::Down)] {
        let lab = lab(&format!("link?rate={megabits}mbit&delay=5ms&queue=100ms"));
        let seen = truth::throughput(&lab, direction, Duration::from_secs(3)).unwrap();
        eprintln!("{megabits} Mbit/s {direction:?}: {seen:?}");
        let share = seen.link_bit_s / (megabits * 1e6);
        assert!((0.95..=1.05).contains(&share), "{megabits} Mbit/s: {seen:?}");
    }
}

#[test]
fn the_delay_is_the_asked_delay() {
    if !allowed() || !installed("ping") {
        return;
    }
    let lab = lab("link?delay=40ms");
    let seen = truth::round_trip(&lab, 50).unwrap();
    eprintln!("40 ms each way: {seen:?}");
    // The link never shortens; how late a packet may come depends on who else uses this machine, the earliest does not.
    assert!((80.0..81.0).contains(&seen.min_ms), "{seen:?}");
}

#[test]
fn the_loss_is_the_asked_loss() {
    if !allowed() {
        return;
    }
    let lab = lab("link?loss=5%");
    for direction in [Direction::Up, Direction::Down] {
        let seen = truth::loss(&lab, direction, 10_000).unwrap();
        eprintln!("5 % {direction:?}: {seen:.4}");
        assert!((0.045..=0.055).contains(&seen), "{seen}");
    }
}

#[test]
fn an_idle_lab_is_fast() {
    if !allowed() || !installed("iperf3") {
        return;
    }
    let lab = lab("link");
    for direction in [Direction::Up, Direction::Down] {
        let seen = truth::throughput(&lab, direction, Duration::from_secs(2)).unwrap();
        eprintln!(
            "idle, {direction:?}: {:.2} Gbit/s, {} retransmits",
            seen.link_bit_s / 1e9,
            seen.retransmits
        );
    }
    eprintln!("{:?}", lab.traffic());
    assert_eq!(lab.traffic().overflow.packets, 0);
}
