//! The byte counts at which a server stops waiting: what tells probe-resistant proxies apart even when they never answer
//! (Frolov et al., NDSS 2020).

use std::collections::BTreeMap;

use commucat_transport_api::HostPort;
use fastrand::Rng;
use futures_util::{StreamExt as _, stream};
use serde::Serialize;

use crate::{End, Family, Probe, Runner};

/// After how many random bytes a server closed, and after how many it reset.
///
/// A server that read everything it was sent closes with FIN; one that left bytes unread resets. So the second number
/// tells how much it reads before it decides. The search assumes that a server that gives up after some bytes gives up
/// after more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Thresholds {
    /// Fewest bytes after which the server ended the connection in any way.
    pub close: Option<usize>,
    /// Fewest bytes after which it reset the connection.
    pub reset: Option<usize>,
    /// Whether the second number came out again each time it was tried: whether bytes are left unread when a server
    /// closes can be a matter of chance, and then it tells nothing.
    pub reset_is_steady: bool,
    /// The longest run of bytes that was tried.
    pub tried: usize,
}

/// How often a count is tried again to see whether it is steady.
const CONFIRMATIONS: usize = 2;

/// How a server took a number of bytes, in the order in which they follow as the number grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Outcome {
    Open,
    Closed,
    Reset,
}

pub(crate) async fn search(runner: &Runner, to: &HostPort, seed: u64) -> Thresholds {
    let longest = runner.limits().threshold_bytes;
    let mut bytes = vec![0; longest];
    Rng::with_seed(seed).fill(&mut bytes);
    let mut search = Search { runner, to, bytes, known: BTreeMap::new() };
    let mut counts: Vec<usize> = std::iter::successors(Some(1usize), |count| count.checked_mul(2))
        .take_while(|count| *count < longest)
        .collect();
    counts.push(longest);
    search.try_all(&counts).await;
    let close = search.first(Outcome::Closed).await;
    let reset = search.first(Outcome::Reset).await;
    let reset_is_steady = search.is_steady(reset, longest).await;
    Thresholds { close, reset, reset_is_steady, tried: longest }
}

struct Search<'a> {
    runner: &'a Runner,
    to: &'a HostPort,
    bytes: Vec<u8>,
    known: BTreeMap<usize, Outcome>,
}

impl Search<'_> {
    /// Whether counts around that of the first reset come out again as they did.
    async fn is_steady(&self, reset: Option<usize>, longest: usize) -> bool {
        let mut expected = vec![(longest, reset.is_some())];
        if let Some(reset) = reset {
            expected.extend([(reset, true), (reset - 1, false)]);
        }
        expected.retain(|(count, _)| *count > 0);
        let counts: Vec<usize> = expected.iter().map(|(count, _)| *count).collect();
        for _confirmation in 0..CONFIRMATIONS {
            let outcomes: BTreeMap<_, _> = self.outcomes(&counts).await.into_iter().collect();
            let as_before = |(count, resets): &(usize, bool)| {
                outcomes.get(count).map(|seen| *seen == Outcome::Reset) == Some(*resets)
            };
            if !expected.iter().all(as_before) {
                return false;
            }
        }
        true
    }

    /// Tries several counts side by side, and remembers what came of them.
    async fn try_all(&mut self, counts: &[usize]) {
        let outcomes = self.outcomes(counts).await;
        self.known.extend(outcomes);
    }

    async fn outcomes(&self, counts: &[usize]) -> Vec<(usize, Outcome)> {
        let (runner, to, bytes) = (self.runner, self.to, &self.bytes);
        stream::iter(counts.iter().copied().enumerate())
            .map(|(index, count)| async move {
                let sent = bytes.get(..count).unwrap_or(bytes);
                let probe = Probe::send("threshold", Family::Random, sent);
                let outcome = match runner.probe_from(index, to, &probe).await.end {
                    End::Fin { .. } => Outcome::Closed,
                    End::Rst { .. } => Outcome::Reset,
                    End::Open | End::NoConnection { .. } => Outcome::Open,
                };
                (count, outcome)
            })
            .buffer_unordered(runner.limits().parallel.max(1))
            .collect()
            .await
    }

    /// The fewest bytes with at least this outcome, by bisection between what is known.
    async fn first(&mut self, wanted: Outcome) -> Option<usize> {
        loop {
            let (&above, _) = self.known.iter().find(|(_, outcome)| **outcome >= wanted)?;
            let below = self.known.range(..above).next_back().map_or(0, |(&count, _)| count);
            if above - below <= 1 {
                return Some(above);
            }
            self.try_all(&[below + (above - below) / 2]).await;
        }
    }
}
