//! What changed between two sets of runs: findings that came and went, limits that moved, ways that opened or closed.

use std::{collections::BTreeMap, fmt};

use commucat_verdict::{Thresholds, ids, observations::Spread};
use serde::Serialize;

use crate::{
    Run, explain,
    output::{Summary, Utc, number},
};

/// A limit has moved when it changed by more than this share and left the range that was measured before.
const MOVED: f64 = 0.1;
/// A finding became rarer or more frequent when its share of the runs changed by more than this.
const OFTENER: f64 = 0.5;

/// What changed.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Diff {
    /// What stands before.
    pub before: Side,
    /// What stands after.
    pub after: Side,
    /// Findings that were not there before.
    pub appeared: Vec<Share>,
    /// Findings that are not there any more.
    pub vanished: Vec<Share>,
    /// Findings that are in far more or far fewer of the runs than before.
    pub frequency: Vec<Share>,
    /// Limits that moved.
    pub moved: Vec<Moved>,
    /// Ways out that work now and did not before.
    pub opened: Vec<String>,
    /// Ways out that worked before and do not now.
    pub closed: Vec<String>,
}

/// One of the two sets.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Side {
    /// How many runs.
    pub runs: usize,
    /// When the first began, milliseconds since 1970.
    pub first_unix_ms: Option<u64>,
    /// When the last began.
    pub last_unix_ms: Option<u64>,
}

/// In how many runs a finding stands, before and after.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Share {
    /// The verdict id.
    pub verdict: String,
    /// Runs with it before.
    pub before: usize,
    /// Runs with it after.
    pub after: usize,
}

/// A limit that moved.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Moved {
    /// The verdict id.
    pub verdict: String,
    /// What was counted: `packets`, `bytes`, `connections` or `kbit/s`.
    pub unit: &'static str,
    /// The middle of what was measured before.
    pub before: f64,
    /// The middle of what was measured after.
    pub after: f64,
}

/// Compares two sets of runs.
pub fn diff(before: &[Run], after: &[Run]) -> Diff {
    let (old, new) = (counts(before), counts(after));
    let mut diff = Diff { before: side(before), after: side(after), ..Diff::default() };
    let mut verdicts: Vec<_> = old.keys().chain(new.keys()).collect();
    verdicts.sort();
    verdicts.dedup();
    for verdict in verdicts {
        let count = |counts: &BTreeMap<String, usize>| counts.get(verdict).copied().unwrap_or(0);
        let share = Share { verdict: verdict.clone(), before: count(&old), after: count(&new) };
        let change = part(share.after, after.len()) - part(share.before, before.len());
        match (share.before, share.after) {
            (0, _) => diff.appeared.push(share),
            (_, 0) => diff.vanished.push(share),
            _ if change.abs() > OFTENER => diff.frequency.push(share),
            _ => {}
        }
    }
    diff.moved = moved(before, after);
    let (old, new) = (ways(before), ways(after));
    diff.opened = new.iter().filter(|way| !old.contains(way)).cloned().collect();
    diff.closed = old.into_iter().filter(|way| !new.contains(way)).collect();
    diff
}

impl Diff {
    /// Whether nothing changed.
    pub fn is_empty(&self) -> bool {
        self.appeared.is_empty()
            && self.vanished.is_empty()
            && self.frequency.is_empty()
            && self.moved.is_empty()
            && self.opened.is_empty()
            && self.closed.is_empty()
    }
}

impl fmt::Display for Diff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "before  {}", self.before)?;
        writeln!(f, "after   {}", self.after)?;
        if self.is_empty() {
            return writeln!(f, "\nNothing changed.");
        }
        let shares = [
            ("appeared", '+', &self.appeared),
            ("vanished", '-', &self.vanished),
            ("frequency", '~', &self.frequency),
        ];
        for (heading, mark, shares) in shares.into_iter().filter(|(_, _, shares)| !shares.is_empty()) {
            writeln!(f, "\n{heading}")?;
            for share in shares {
                let (before, after) = (self.before.runs, self.after.runs);
                writeln!(
                    f,
                    "  {mark} {:<24} {} of {before} runs, then {} of {after}  ({})",
                    share.verdict,
                    share.before,
                    share.after,
                    explain::title(&share.verdict),
                )?;
            }
        }
        if !self.moved.is_empty() {
            writeln!(f, "\nlimits moved")?;
        }
        for moved in &self.moved {
            let (before, after) = (number(moved.before), number(moved.after));
            writeln!(f, "  ~ {:<24} {before} {unit}, then {after} {unit}", moved.verdict, unit = moved.unit)?;
        }
        for (heading, mark, ways) in [("works now", '+', &self.opened), ("works no more", '-', &self.closed)]
        {
            if !ways.is_empty() {
                writeln!(f, "\n{heading}")?;
            }
            for way in ways {
                writeln!(f, "  {mark} {way}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = if self.runs == 1 { "run" } else { "runs" };
        write!(f, "{} {plural}", self.runs)?;
        match (self.first_unix_ms, self.last_unix_ms) {
            (Some(first), Some(last)) if first < last => {
                write!(f, ", {} to {} UTC", Utc::from_unix_ms(first), Utc::from_unix_ms(last))
            }
            (Some(first), _) => write!(f, ", {} UTC", Utc::from_unix_ms(first)),
            _ => Ok(()),
        }
    }
}

/// In how many runs each finding stands.
fn counts(runs: &[Run]) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for run in runs {
        let mut own: Vec<&str> = run.findings.iter().map(|finding| &*finding.verdict_id).collect();
        own.sort_unstable();
        own.dedup();
        for id in own.into_iter().filter(|id| *id != ids::OK) {
            *counts.entry(id.to_owned()).or_default() += 1;
        }
    }
    counts
}

fn moved(before: &[Run], after: &[Run]) -> Vec<Moved> {
    let (old, new) = (limits(before), limits(after));
    let mut moved = Vec::new();
    for ((verdict, unit), old) in &old {
        let Some(new) = new.get(&(verdict.clone(), *unit)) else { continue };
        let (was, is) = (middle(old), middle(new));
        let low = old.iter().map(|spread| spread.low).fold(f64::INFINITY, f64::min);
        let high = old.iter().map(|spread| spread.high).fold(f64::NEG_INFINITY, f64::max);
        if (is - was).abs() > MOVED * was.abs() && !(low..=high).contains(&is) {
            moved.push(Moved { verdict: verdict.clone(), unit, before: was, after: is });
        }
    }
    moved
}

fn limits(runs: &[Run]) -> BTreeMap<(String, &'static str), Vec<Spread>> {
    let mut limits = BTreeMap::<_, Vec<Spread>>::new();
    for finding in runs.iter().flat_map(|run| &run.findings) {
        let Thresholds { packets, bytes, conns, kbps } = finding.thresholds;
        let units = [("packets", packets), ("bytes", bytes), ("connections", conns), ("kbit/s", kbps)];
        for (unit, spread) in units.into_iter().filter_map(|(unit, spread)| Some((unit, spread?))) {
            limits.entry((finding.verdict_id.to_string(), unit)).or_default().push(spread);
        }
    }
    limits
}

/// The median of the medians.
fn middle(spreads: &[Spread]) -> f64 {
    let mut medians: Vec<_> = spreads.iter().map(|spread| spread.median).collect();
    medians.sort_by(f64::total_cmp);
    let at = |at: usize| medians.get(at).copied().unwrap_or(0.0);
    let half = medians.len() / 2;
    if medians.len() % 2 == 1 { at(half) } else { f64::midpoint(at(half.saturating_sub(1)), at(half)) }
}

/// The ways that work in the last run that has any.
fn ways(runs: &[Run]) -> Vec<String> {
    let of = |run: &Run| Summary::of(run).works.into_iter().map(|way| way.what).collect::<Vec<_>>();
    runs.iter().rev().map(of).find(|ways| !ways.is_empty()).unwrap_or_default()
}

fn side(runs: &[Run]) -> Side {
    let times = || runs.iter().map(|run| run.started_unix_ms);
    Side { runs: runs.len(), first_unix_ms: times().min(), last_unix_ms: times().max() }
}

#[allow(clippy::cast_precision_loss, reason = "runs are far fewer than 2^53")]
fn part(count: usize, of: usize) -> f64 {
    if of == 0 { 0.0 } else { count as f64 / of as f64 }
}
