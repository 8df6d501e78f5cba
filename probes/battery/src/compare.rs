//! What two servers do differently: by probe and by aspect, with both values. Never a bare yes or no.

mod aspects;
#[cfg(test)]
mod tests;

use std::{collections::BTreeSet, fmt, time::Duration};

use serde::Serialize;

use self::aspects::{answers_differ, thresholds_differ};
use crate::{Observed, Survey};

/// Delays that differ by less are of one class: a loaded machine wakes late.
pub const PACE_SLACK: Duration = Duration::from_millis(400);
/// Bytes by which encrypted records may differ: two DER integers of an ECDSA signature shrink by a few bytes.
pub const RECORD_LENGTH_SLACK: u16 = 6;

/// From this many bytes on, the counts after which servers reset may differ by a part of one in [`RESET_SLACK_PART`]: how
/// much the kernel still held when the server gave up depends on how the bytes came in, and a relay changes that.
pub const RESET_SLACK_FROM: usize = 1024;
/// See [`RESET_SLACK_FROM`].
pub const RESET_SLACK_PART: usize = 3;

/// In what two answers can differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Aspect {
    /// Silence, an end, a reset, bytes.
    Class,
    /// How the connection ended.
    End,
    /// How fast it ended.
    ClosePace,
    /// How fast the first byte came.
    FirstBytePace,
    /// Which protocol answered.
    Protocol,
    /// The status line.
    HttpStatus,
    /// The fields and their order.
    HttpFields,
    /// The body.
    HttpBody,
    /// What the server hello chose.
    TlsHello,
    /// The alert.
    TlsAlert,
    /// Types and lengths of records.
    TlsRecords,
    /// Certificate, application protocol and close of the session.
    TlsSession,
    /// Number of bytes of an answer in no protocol we read.
    Length,
    /// Those bytes.
    Bytes,
    /// The byte count at which it closes.
    CloseThreshold,
    /// The byte count at which it resets.
    ResetThreshold,
}

impl Aspect {
    /// Its name for people.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Class => "kind of answer",
            Self::End => "end of the connection",
            Self::ClosePace => "time to the end",
            Self::FirstBytePace => "time to the first byte",
            Self::Protocol => "protocol of the answer",
            Self::HttpStatus => "HTTP status",
            Self::HttpFields => "HTTP fields",
            Self::HttpBody => "HTTP body",
            Self::TlsHello => "TLS server hello",
            Self::TlsAlert => "TLS alert",
            Self::TlsRecords => "TLS records",
            Self::TlsSession => "TLS session",
            Self::Length => "length of the answer",
            Self::Bytes => "bytes of the answer",
            Self::CloseThreshold => "bytes until it closes",
            Self::ResetThreshold => "bytes until it resets",
        }
    }
}

/// One thing that two servers do differently.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Difference {
    /// The probe that shows it; `thresholds` for the search.
    pub probe: String,
    /// In what.
    pub aspect: Aspect,
    /// What the first server does.
    pub left: String,
    /// What the second server does.
    pub right: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {} against {}", self.probe, self.aspect.name(), self.left, self.right)
    }
}

/// An aspect in which a server differs from itself, so that nothing can be told from it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Unstable {
    /// The probe.
    pub probe: String,
    /// In what.
    pub aspect: Aspect,
}

/// What the comparison of two servers shows.
#[derive(Clone, Debug, Default, Serialize)]
#[non_exhaustive]
pub struct Comparison {
    /// Probes that both servers were given.
    pub compared: usize,
    /// What they do differently.
    pub differences: Vec<Difference>,
    /// What could not be told.
    pub unstable: Vec<Unstable>,
    /// Probes that only one of the two was given.
    pub unpaired: Vec<String>,
}

impl Comparison {
    /// Probes that tell the two apart.
    pub fn telling(&self) -> BTreeSet<&str> {
        self.differences.iter().map(|difference| &*difference.probe).collect()
    }
}

/// Compares what two servers answered to one battery.
pub fn compare(left: &Survey, right: &Survey) -> Comparison {
    let mut comparison = Comparison::default();
    for one in &left.observed {
        match right.of(&one.probe) {
            Some(other) => {
                comparison.compared += 1;
                compare_probe(one, other, &mut comparison);
            }
            None => comparison.unpaired.push(one.probe.clone()),
        }
    }
    let only_right = right.observed.iter().filter(|one| left.of(&one.probe).is_none());
    comparison.unpaired.extend(only_right.map(|one| one.probe.clone()));
    judge("thresholds", &left.thresholds, &right.thresholds, thresholds_differ, &mut comparison);
    comparison
}

fn compare_probe(left: &Observed, right: &Observed, into: &mut Comparison) {
    judge(&left.probe, &left.rounds, &right.rounds, answers_differ, into);
}

/// The aspects of two values that differ, with both.
type Differing = Vec<(Aspect, String, String)>;

/// Holds an aspect against the two servers when every round of the one differs in it from every round of the other, and
/// at least one of them agrees with itself. What differs only sometimes is unstable.
fn judge<T>(probe: &str, left: &[T], right: &[T], differ: fn(&T, &T) -> Differing, into: &mut Comparison) {
    let pairs: Vec<Differing> =
        left.iter().flat_map(|one| right.iter().map(move |other| differ(one, other))).collect();
    let seen: BTreeSet<Aspect> = pairs.iter().flatten().map(|(aspect, ..)| *aspect).collect();
    for aspect in seen {
        let find = |pair: &Differing| pair.iter().find(|(found, ..)| *found == aspect).cloned();
        let always: Option<Vec<_>> = pairs.iter().map(find).collect();
        let steady = agrees(left, aspect, differ) || agrees(right, aspect, differ);
        match always.and_then(|all| all.into_iter().next()) {
            Some((_, one, other)) if steady => {
                into.differences.push(Difference {
                    probe: probe.to_owned(),
                    aspect,
                    left: one,
                    right: other,
                });
            }
            _ => into.unstable.push(Unstable { probe: probe.to_owned(), aspect }),
        }
    }
}

/// Whether a server agrees with itself in an aspect, over all its rounds.
fn agrees<T>(rounds: &[T], aspect: Aspect, differ: fn(&T, &T) -> Differing) -> bool {
    let Some((first, rest)) = rounds.split_first() else { return true };
    rest.iter().all(|other| differ(first, other).iter().all(|(found, ..)| *found != aspect))
}
