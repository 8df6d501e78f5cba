//! Comparing runs.

use commucat_measure::diff::diff;
use commucat_verdict::ids;

use crate::sample::{clear, days, interfered};

#[test]
fn equal_runs_differ_in_nothing() {
    let same = diff(&[interfered()], &[interfered()]);
    assert!(same.is_empty(), "{same:?}");
    assert!(same.to_string().contains("Nothing changed."));
}

#[test]
fn what_came_and_went_is_named() {
    let came = diff(&[clear()], &[interfered()]);
    let verdicts: Vec<_> = came.appeared.iter().map(|share| share.verdict.as_str()).collect();
    assert!(verdicts.contains(&ids::FLOW_FREEZE_PACKETS) && verdicts.contains(&ids::DNS_INJECTED));
    assert!(came.vanished.is_empty());
    assert!(came.closed.iter().any(|way| way.contains("an old Chrome")), "{:?}", came.closed);
    let went = diff(&[interfered()], &[clear()]);
    assert_eq!(went.vanished.len(), came.appeared.len());
    assert_eq!(went.opened, came.closed);
    let text = came.to_string();
    assert!(text.contains("+ flow.freeze_packets      0 of 1 runs, then 1 of 1"), "{text}");
}

#[test]
fn a_limit_that_moved_is_named_and_noise_is_not() {
    let with = |packets: f64| {
        let mut run = interfered();
        let spread = run.findings[3].thresholds.packets.as_mut().unwrap();
        (spread.median, spread.low, spread.high) = (packets, packets - 1.0, packets + 1.0);
        run
    };
    assert!(diff(&[with(25.0)], &[with(26.0)]).moved.is_empty());
    assert!(diff(&[with(25.0), with(24.0)], &[with(26.0)]).moved.is_empty());
    let moved = diff(&[with(25.0)], &[with(12.0)]).moved;
    assert_eq!(moved.len(), 1);
    assert_eq!((moved[0].unit, moved[0].before, moved[0].after), ("packets", 25.0, 12.0));
}

#[test]
fn rare_and_frequent_are_told_apart() {
    let mut rare = vec![clear(); 9];
    rare.push(interfered());
    let often = vec![interfered(); 10];
    let changed = diff(&rare, &often);
    assert!(changed.appeared.is_empty());
    let share = changed.frequency.iter().find(|share| share.verdict == ids::DNS_INJECTED).unwrap();
    assert_eq!((share.before, share.after), (1, 10));
}

#[test]
fn many_runs_are_compared_at_once() {
    let runs = days(200);
    let changed = diff(&runs[..100], &runs[100..]);
    assert_eq!((changed.before.runs, changed.after.runs), (100, 100));
    assert!(changed.before.last_unix_ms < changed.after.first_unix_ms);
}

#[test]
fn nothing_can_be_compared_with_something() {
    assert!(diff(&[], &[]).is_empty());
    assert_eq!(diff(&[], &[interfered()]).appeared.len(), 7);
}
