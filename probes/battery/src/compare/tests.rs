//! The rules of the comparison on answers made by hand.

use super::*;
use crate::{Answer, End, Family, RecordFact, Reply, Thresholds, TlsFacts};

fn bytes(length: u64, digest: &str) -> Answer {
    let reply = Reply {
        length,
        first: String::new(),
        digest: digest.to_owned(),
        first_after_ms: 1,
        http: None,
        tls: None,
        truncated: false,
    };
    Answer::new(Some(reply), End::Fin { after_ms: 2, sent: 9 })
}

fn fin(after_ms: u64) -> Answer {
    Answer::new(None, End::Fin { after_ms, sent: 9 })
}

fn silence() -> Answer {
    Answer::new(None, End::Open)
}

fn survey(rounds: Vec<Answer>) -> Survey {
    let observed = vec![Observed { probe: "p".to_owned(), family: Family::Random, rounds }];
    Survey { observed, thresholds: Vec::new() }
}

fn aspects(left: Vec<Answer>, right: Vec<Answer>) -> (Vec<Aspect>, Vec<Aspect>) {
    let found = compare(&survey(left), &survey(right));
    let differences = found.differences.iter().map(|difference| difference.aspect).collect();
    (differences, found.unstable.iter().map(|unstable| unstable.aspect).collect())
}

#[test]
fn silence_and_an_end_are_told_apart_by_name() {
    let found = compare(&survey(vec![silence()]), &survey(vec![fin(1)]));
    assert_eq!(found.compared, 1);
    assert_eq!(found.differences[0].to_string(), "p: kind of answer: silence against an end without a byte");
}

#[test]
fn what_differs_from_itself_is_unstable() {
    let (differences, unstable) =
        aspects(vec![bytes(9, "a"), bytes(9, "b")], vec![bytes(9, "c"), bytes(9, "d")]);
    assert_eq!((differences, unstable), (vec![], vec![Aspect::Bytes]));
    // Random bytes of another length are another thing.
    let (differences, unstable) =
        aspects(vec![bytes(9, "a"), bytes(9, "b")], vec![bytes(8, "c"), bytes(8, "d")]);
    assert_eq!((differences, unstable), (vec![Aspect::Length], vec![Aspect::Bytes]));
    // One that is steady against one that never is.
    let (differences, _) = aspects(vec![bytes(9, "a"), bytes(9, "a")], vec![bytes(9, "c"), bytes(9, "d")]);
    assert_eq!(differences, [Aspect::Bytes]);
    // A server that was silent once as the other is.
    let (differences, unstable) = aspects(vec![fin(1), silence()], vec![silence(), silence()]);
    assert_eq!((differences, unstable), (vec![], vec![Aspect::Class]));
}

#[test]
fn delays_differ_by_class_and_by_much() {
    for (left, right, expected) in [
        (1, 290, 0),
        (290, 310, 0),
        (250, 900, 1),
        (2_900, 3_100, 0),
        (1_000, 10_000, 1),
        (31_000, 29_000, 0),
    ] {
        let (differences, _) = aspects(vec![fin(left)], vec![fin(right)]);
        assert_eq!(differences.len(), expected, "{left} ms and {right} ms");
    }
}

#[test]
fn records_of_a_signature_may_vary_and_others_not() {
    let flight = |kind, length| {
        let mut answer = bytes(100, "");
        let records = vec![RecordFact { kind: 22, length: 90 }, RecordFact { kind, length }];
        let tls = TlsFacts { records, ..TlsFacts::default() };
        answer.reply.as_mut().unwrap().tls = Some(tls);
        vec![answer]
    };
    assert_eq!(aspects(flight(23, 100), flight(23, 103)).0, []);
    assert_eq!(aspects(flight(23, 100), flight(23, 110)).0, [Aspect::TlsRecords]);
    assert_eq!(aspects(flight(21, 2), flight(21, 3)).0, [Aspect::TlsRecords]);
}

#[test]
fn thresholds_are_compared() {
    let with = |close, reset| Survey {
        observed: Vec::new(),
        thresholds: vec![Thresholds { close, reset, reset_is_steady: true, tried: 64 }],
    };
    let found = compare(&with(Some(50), None), &with(None, None));
    assert_eq!(
        found.differences[0].to_string(),
        "thresholds: bytes until it closes: 50 bytes against never (up to 64 bytes)"
    );
    let differences = |left, right| compare(&with(Some(5), left), &with(Some(5), right)).differences.len();
    for (left, right, expected) in [(6, 6, 0), (50, 51, 1), (4097, 4609, 0), (4097, 8193, 1), (1023, 1024, 1)]
    {
        assert_eq!(differences(Some(left), Some(right)), expected, "{left} and {right}");
    }
    assert_eq!(differences(Some(4097), None), 1);
    let mut chance = with(Some(5), Some(4097));
    chance.thresholds[0].reset_is_steady = false;
    assert!(compare(&chance, &with(Some(5), None)).differences.is_empty(), "what is chance tells nothing");
}
