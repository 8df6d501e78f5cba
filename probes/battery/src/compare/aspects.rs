//! The aspects in which two answers differ, with both values as people read them.

use std::time::Duration;

use super::{Aspect, Differing, PACE_SLACK, RECORD_LENGTH_SLACK, RESET_SLACK_FROM, RESET_SLACK_PART};
use crate::{Answer, Class, HttpFacts, Pace, RecordFact, Reply, Thresholds, TlsFacts};

/// Content type of encrypted records (RFC 8446 §5.2).
const APPLICATION_DATA: u8 = 23;
/// Content type of handshake messages: in TLS 1.2 they hold signatures in the clear.
const HANDSHAKE: u8 = 22;

pub(super) fn answers_differ(left: &Answer, right: &Answer) -> Differing {
    let mut out = Vec::new();
    if left.class() != right.class() {
        out.push((Aspect::Class, describe(left), describe(right)));
        return out;
    }
    if left.class() == Class::Bytes && left.end.name() != right.end.name() {
        out.push((Aspect::End, left.end.name().to_owned(), right.end.name().to_owned()));
    }
    if let (Some(one), Some(other)) = (left.end.close_delay(), right.end.close_delay()) {
        pace(Aspect::ClosePace, one, other, &mut out);
    }
    if let (Some(one), Some(other)) = (&left.reply, &right.reply) {
        let delay = |reply: &Reply| Duration::from_millis(reply.first_after_ms);
        pace(Aspect::FirstBytePace, delay(one), delay(other), &mut out);
        replies(one, other, &mut out);
    }
    out
}

pub(super) fn thresholds_differ(left: &Thresholds, right: &Thresholds) -> Differing {
    let say = |count: Option<usize>, tried: usize| {
        count.map_or_else(|| format!("never (up to {tried} bytes)"), |count| format!("{count} bytes"))
    };
    let mut out = Vec::new();
    let mut push = |aspect, one: Option<usize>, other: Option<usize>| {
        out.push((aspect, say(one, left.tried), say(other, right.tried)));
    };
    if left.close != right.close {
        push(Aspect::CloseThreshold, left.close, right.close);
    }
    if left.reset_is_steady && right.reset_is_steady && !resets_match(left.reset, right.reset) {
        push(Aspect::ResetThreshold, left.reset, right.reset);
    }
    out
}

fn resets_match(left: Option<usize>, right: Option<usize>) -> bool {
    match (left, right) {
        (Some(one), Some(other)) if one.min(other) >= RESET_SLACK_FROM => {
            one.abs_diff(other) <= one.max(other) / RESET_SLACK_PART
        }
        _ => left == right,
    }
}

/// An answer in a few words.
fn describe(answer: &Answer) -> String {
    match (answer.class(), &answer.reply) {
        (Class::Bytes, Some(reply)) => {
            format!("{} ({} bytes), then {}", protocol(reply), reply.length, answer.end.name())
        }
        (Class::Silence, _) => "silence".to_owned(),
        (Class::Fin, _) => "an end without a byte".to_owned(),
        (Class::Rst, _) => "a reset without a byte".to_owned(),
        _ => "no connection".to_owned(),
    }
}

fn pace(aspect: Aspect, left: Duration, right: Duration, out: &mut Differing) {
    let (short, long) = (left.min(right), left.max(right));
    let apart = long.saturating_sub(short);
    if Pace::of(left) != Pace::of(right) && apart > PACE_SLACK && apart > long / 3 {
        let say = |delay: Duration| format!("{} ms", delay.as_millis());
        out.push((aspect, say(left), say(right)));
    }
}

fn protocol(reply: &Reply) -> String {
    match (&reply.http, &reply.tls) {
        (Some(http), None) => format!("HTTP {}", http.status),
        (Some(http), Some(_)) => format!("HTTP {} in TLS", http.status),
        (None, Some(tls)) => tls_kind(tls).to_owned(),
        (None, None) => format!("bytes {}…", reply.first),
    }
}

/// What an answer in TLS is, without numbers that vary.
fn tls_kind(tls: &TlsFacts) -> &'static str {
    match (&tls.session, &tls.hello, &tls.alert) {
        (Some(session), ..) if session.finished => "a TLS session",
        (_, Some(_), _) => "a TLS server flight",
        (_, None, Some(_)) => "a TLS alert",
        _ => "TLS records",
    }
}

fn replies(left: &Reply, right: &Reply, out: &mut Differing) {
    let kind = |reply: &Reply| match (&reply.http, &reply.tls) {
        (Some(_), None) => "HTTP",
        (Some(_), Some(_)) => "HTTP in TLS",
        (None, Some(tls)) => tls_kind(tls),
        (None, None) => "other bytes",
    };
    if kind(left) != kind(right) {
        out.push((Aspect::Protocol, protocol(left), protocol(right)));
        return;
    }
    if let (Some(one), Some(other)) = (&left.tls, &right.tls) {
        tls(one, other, out);
    }
    match (&left.http, &right.http) {
        (Some(one), Some(other)) => http(one, other, out),
        _ if left.tls.is_none() => {
            unequal(Aspect::Length, &left.length, &right.length, out);
            unequal(Aspect::Bytes, &left.digest, &right.digest, out);
        }
        _ => unequal(Aspect::Bytes, &left.digest, &right.digest, out),
    }
}

fn http(left: &HttpFacts, right: &HttpFacts, out: &mut Differing) {
    let status = |http: &HttpFacts| format!("{} {}", http.status, http.reason);
    unequal(Aspect::HttpStatus, &status(left), &status(right), out);
    if left.fields != right.fields {
        out.push((Aspect::HttpFields, only(left, right), only(right, left)));
    }
    let body = |http: &HttpFacts| format!("{} bytes {}", http.body_length, http.body_digest);
    if left.body_digest != right.body_digest {
        out.push((Aspect::HttpBody, body(left), body(right)));
    }
}

/// The fields that only the one has; when both have the same ones, their order.
fn only(one: &HttpFacts, other: &HttpFacts) -> String {
    let lacks = |http: &HttpFacts, field: &String| !http.fields.contains(field);
    let own: Vec<_> = one.fields.iter().filter(|field| lacks(other, field)).cloned().collect();
    if !own.is_empty() {
        return own.join(", ");
    }
    let names = one.fields.iter().map(|field| field.split_once(':').map_or(&**field, |(name, _value)| name));
    if other.fields.iter().any(|field| lacks(one, field)) {
        return "nothing more".to_owned();
    }
    format!("the order {}", names.collect::<Vec<_>>().join(", "))
}

fn tls(left: &TlsFacts, right: &TlsFacts, out: &mut Differing) {
    if left.hello != right.hello {
        let say = |facts: &TlsFacts| {
            facts.hello.as_ref().map_or_else(
                || "none".to_owned(),
                |hello| {
                    format!(
                        "version {:04x}, cipher {:04x}, group {:04x}, extensions {:?}, session id of {} bytes{}",
                        hello.version,
                        hello.cipher,
                        hello.group.unwrap_or(0),
                        hello.extensions,
                        hello.session_id_length,
                        if hello.retry { ", a retry" } else { "" }
                    )
                },
            )
        };
        out.push((Aspect::TlsHello, say(left), say(right)));
    }
    if left.alert != right.alert {
        let say = |facts: &TlsFacts| {
            facts.alert.map_or_else(
                || "none".to_owned(),
                |(level, description)| format!("{description} (level {level})"),
            )
        };
        out.push((Aspect::TlsAlert, say(left), say(right)));
    }
    if !records_match(&left.records, &right.records) {
        out.push((Aspect::TlsRecords, layout(&left.records), layout(&right.records)));
    }
    if left.session != right.session {
        out.push((Aspect::TlsSession, format!("{:?}", left.session), format!("{:?}", right.session)));
    }
}

fn records_match(left: &[RecordFact], right: &[RecordFact]) -> bool {
    left.len() == right.len()
        && left.iter().zip(right).all(|(one, other)| {
            let slack =
                if matches!(one.kind, APPLICATION_DATA | HANDSHAKE) { RECORD_LENGTH_SLACK } else { 0 };
            one.kind == other.kind && one.length.abs_diff(other.length) <= slack
        })
}

fn layout(records: &[RecordFact]) -> String {
    let parts: Vec<_> = records.iter().map(|record| format!("{}:{}", record.kind, record.length)).collect();
    parts.join(" ")
}

fn unequal<T: PartialEq + ToString>(aspect: Aspect, left: &T, right: &T, out: &mut Differing) {
    if left != right {
        out.push((aspect, left.to_string(), right.to_string()));
    }
}
