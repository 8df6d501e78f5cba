//! Runs probes over a network that is handed in.

mod talk;

use std::{sync::Arc, time::Duration};

use commucat_transport_api::{BoxFuture, HostPort, Net, Signal};
use futures_util::{StreamExt as _, stream};
use serde::Serialize;

use self::talk::Talk;
use crate::{Answer, BatteryError, End, Family, Probe, Step, Thresholds, threshold};

/// How long and how often.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How long to wait for a connection.
    pub connect: Duration,
    /// How long to wait for an answer, or for an end, after the last byte was sent.
    pub patience: Duration,
    /// A server that sent nothing for this long has said what it says, between two steps.
    pub quiet: Duration,
    /// Probes that run at one time. Few: many connections at once are themselves something that servers answer to.
    pub parallel: usize,
    /// How often the whole battery is run: two or more show in what a server differs from itself.
    pub rounds: usize,
    /// Longest run of bytes in the search for thresholds; 0 leaves the search out.
    pub threshold_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            patience: Duration::from_secs(4),
            quiet: Duration::from_millis(500),
            parallel: 4,
            rounds: 2,
            threshold_bytes: 16 * 1024,
        }
    }
}

/// The answers to one probe, one a round.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Observed {
    /// The probe's name.
    pub probe: String,
    /// Where it comes from.
    pub family: Family,
    /// The answers.
    pub rounds: Vec<Answer>,
}

/// What a server answered to a whole battery.
#[derive(Clone, Debug, Default, Serialize)]
#[non_exhaustive]
pub struct Survey {
    /// Answers by probe, in the order of the battery.
    pub observed: Vec<Observed>,
    /// The byte counts at which it gave up, one a round; empty when they were not searched for.
    pub thresholds: Vec<Thresholds>,
}

impl Survey {
    /// The answers to a probe.
    pub fn of(&self, probe: &str) -> Option<&Observed> {
        self.observed.iter().find(|observed| observed.probe == probe)
    }
}

/// Runs probes.
#[derive(Clone, Debug)]
pub struct Runner {
    sources: Vec<Arc<dyn Net>>,
    limits: Limits,
}

impl Runner {
    /// Runs over this network.
    pub fn new(net: Arc<dyn Net>, limits: Limits) -> Self {
        Self { sources: vec![net], limits }
    }

    /// The same with further networks: probes take turns among them, so that they come from several addresses.
    #[must_use]
    pub fn with_sources(mut self, more: impl IntoIterator<Item = Arc<dyn Net>>) -> Self {
        self.sources.extend(more);
        self
    }

    /// The same with other limits.
    #[must_use]
    pub const fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// The limits it keeps.
    pub const fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Runs one probe once.
    pub async fn probe(&self, to: &HostPort, probe: &Probe) -> Answer {
        self.probe_from(0, to, probe).await
    }

    /// Runs a battery against a server, as often as the limits say.
    ///
    /// # Errors
    /// [`BatteryError::Unreachable`] when the first connection of all does not come about: then nothing can be said.
    pub async fn survey(&self, to: &HostPort, probes: &[Probe], seed: u64) -> Result<Survey, BatteryError> {
        let hello = Probe::steps("reachable", Family::Site, vec![Step::HalfClose]);
        if let End::NoConnection { signal } = self.probe(to, &hello).await.end {
            return Err(BatteryError::Unreachable(signal));
        }
        let mut survey = Survey {
            observed: probes
                .iter()
                .map(|probe| Observed { probe: probe.name.clone(), family: probe.family, rounds: Vec::new() })
                .collect(),
            thresholds: Vec::new(),
        };
        for _round in 0..self.limits.rounds.max(1) {
            let all: Vec<BoxFuture<'_, Answer>> = probes
                .iter()
                .enumerate()
                .map(|(index, probe)| -> BoxFuture<'_, Answer> {
                    Box::pin(self.probe_from(index, to, probe))
                })
                .collect();
            let answers: Vec<Answer> =
                stream::iter(all).buffered(self.limits.parallel.max(1)).collect().await;
            for (observed, answer) in survey.observed.iter_mut().zip(answers) {
                observed.rounds.push(answer);
            }
            if self.limits.threshold_bytes > 0 {
                survey.thresholds.push(self.thresholds(to, seed).await);
            }
        }
        Ok(survey)
    }

    /// Searches the byte counts at which a server closes and resets. The same seed sends the same bytes.
    pub async fn thresholds(&self, to: &HostPort, seed: u64) -> Thresholds {
        threshold::search(self, to, seed).await
    }

    pub(crate) async fn probe_from(&self, source: usize, to: &HostPort, probe: &Probe) -> Answer {
        let Some(net) = self.sources.get(source % self.sources.len().max(1)) else {
            return Answer::new(None, End::NoConnection { signal: Signal::LocalNetworkDown });
        };
        let began = net.now();
        let connecting = talk::within(&**net, began + self.limits.connect, net.connect_stream(to)).await;
        let stream = match connecting {
            Some(Ok(stream)) => stream,
            Some(Err(error)) => {
                return Answer::new(None, End::NoConnection { signal: Signal::from_io(&error) });
            }
            None => return Answer::new(None, End::NoConnection { signal: Signal::Timeout }),
        };
        let mut talk = Box::new(Talk::new(&**net, stream, self.limits));
        for step in &probe.steps {
            if talk.ended() {
                break;
            }
            Box::pin(talk.step(step)).await;
        }
        Box::pin(talk.finish()).await
    }
}
