//! What clients report about endpoints that failed them: counts by transport, phase and signal, and no user.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use commucat_proto::assist::{AssistRequest, EvidencePhase, EvidenceSignal};
use commucat_transport_api::TransportId;

use crate::ServedEndpoint;

/// Most different reports that are counted. The words come from two closed lists and the transports from what the
/// bridge serves, so this is never reached by an honest build; it holds when a list grows.
const MAX_REPORTS: usize = 4096;

/// How often clients reported this failure.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FailureReport {
    /// The transport that failed.
    pub transport: TransportId,
    /// How far the dial came.
    pub phase: EvidencePhase,
    /// What happened there.
    pub signal: EvidenceSignal,
    /// How often since the bridge started.
    pub count: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Reports {
    counts: Mutex<BTreeMap<(TransportId, EvidencePhase, EvidenceSignal), u64>>,
}

impl Reports {
    /// Counts the evidence of a request, as far as it is about transports that the bridge serves.
    pub(crate) fn count(&self, request: &AssistRequest, served: &[ServedEndpoint]) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        for excluded in &request.exclude {
            let Some(evidence) = excluded.evidence else { continue };
            let ours = |endpoint: &ServedEndpoint| {
                endpoint.layers.first().is_some_and(|t| t.id == excluded.transport)
            };
            if !served.iter().any(ours) {
                continue;
            }
            let key = (excluded.transport.clone(), evidence.phase, evidence.signal);
            if counts.len() < MAX_REPORTS || counts.contains_key(&key) {
                let count = counts.entry(key).or_default();
                *count = count.saturating_add(1);
            }
        }
    }

    pub(crate) fn all(&self) -> Vec<FailureReport> {
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts
            .iter()
            .map(|((transport, phase, signal), count)| FailureReport {
                transport: transport.clone(),
                phase: *phase,
                signal: *signal,
                count: *count,
            })
            .collect()
    }
}
