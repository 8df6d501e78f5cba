//! The link is true: what foreign programs measure is what was asked for.

use std::time::Duration;

use commucat_censor::{Direction, LinkSpec};
use commucat_lab::{
    Lab,
    truth::{self, Effort},
};

use crate::support::{allowed, config, installed};

fn lab(link: &str) -> Lab {
    let mut config = config(link);
    config.seed = 7;
    Lab::start(config).unwrap()
}

/// Rates, delays and losses are emulated, so they are true on a busy machine, too.
fn assert_true(link: &str) {
    if !allowed() || !installed("iperf3") || !installed("ping") {
        return;
    }
    let mut effort = Effort::default();
    effort.transfer = Duration::from_secs(4);
    effort.pings = 50;
    let lab = lab(link);
    let truth = truth::measure(&lab, effort).unwrap();
    eprintln!("{link}: {truth:?}");
    assert_eq!(truth.deviations(&LinkSpec::parse(link).unwrap()), [""; 0], "{link}");
    assert_eq!(lab.traffic().overflow.packets, 0);
}

#[test]
fn a_slow_link_is_what_was_asked_for() {
    assert_true("link?rate=10mbit&delay=10ms&queue=50ms");
}

#[test]
fn a_faster_and_longer_link_is_what_was_asked_for() {
    assert_true("link?rate=50mbit&delay=40ms&queue=50ms");
}

#[test]
fn losses_are_what_was_asked_for() {
    if !allowed() {
        return;
    }
    for (link, share) in [("link?loss=5%", 0.05), ("link?loss=2%&burst=4", 0.02)] {
        let lab = lab(link);
        for direction in [Direction::Up, Direction::Down] {
            let seen = truth::loss(&lab, direction, 10_000).unwrap();
            eprintln!("{link} {direction:?}: {seen:.4}");
            // Losses in runs of four scatter twice as far as single ones (a standard deviation of 0.0037).
            let tolerance = if link.contains("burst") { 0.01 } else { 0.005 };
            assert!((seen - share).abs() <= tolerance, "{link}: {seen}");
        }
    }
}

/// How fast this machine is, is printed and not asserted; that the lab itself loses nothing is.
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
