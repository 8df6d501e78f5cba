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
    /// The longest run of bytes that was tried.
    pub tried: usize,
}

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
    Thresholds {
        close: search.first(Outcome::Closed).await,
        reset: search.first(Outcome::Reset).await,
        tried: longest,
    }
}

struct Search<'a> {
    runner: &'a Runner,
    to: &'a HostPort,
    bytes: Vec<u8>,
    known: BTreeMap<usize, Outcome>,
}

impl Search<'_> {
    /// Tries several counts side by side.
    async fn try_all(&mut self, counts: &[usize]) {
        let (runner, to, bytes) = (self.runner, self.to, &self.bytes);
        let outcomes: Vec<_> = stream::iter(counts.iter().copied().enumerate())
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
            .await;
        self.known.extend(outcomes);
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
