//! Examines one server: which probes, which site to compare with, and what the rules make of it.

use std::{collections::BTreeMap, fmt, net::SocketAddr, sync::Arc, time::Duration};

use commucat_battery::{BatteryError, Limits, Probe, Runner, Survey, compare, payloads};
use commucat_censor::{ProbeKind, ProbeOutcome, ProbeRequest, Protocol, Why};
use commucat_transport_api::{HostPort, Net};
use serde::Serialize;

use super::rules::{Finding, Site, find};

/// Names of sites and where they really are.
pub(super) type Sites = BTreeMap<String, SocketAddr>;

/// What became of one call.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Examination {
    /// The id of the call.
    pub id: u64,
    /// The server.
    pub target: SocketAddr,
    /// What was found.
    pub finding: Finding,
    /// Probes that were sent to it.
    pub probes: usize,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
}

impl Examination {
    /// As the judge wants it.
    pub fn outcome(&self) -> ProbeOutcome {
        let mut why = Why::new().and("finding", self.finding.name()).and("probes", self.probes);
        why = match &self.finding {
            Finding::AnswersReplay { probe, bytes } => {
                why.and("probe", probe.as_str()).and("answer_bytes", *bytes)
            }
            Finding::DiffersFromSite { site, probes, example } => {
                why.and("site", site.as_str()).and("telling_probes", *probes).and("example", example.as_str())
            }
            Finding::KnownThresholds { proxy, close, reset } => {
                why.and("proxy", *proxy).and("close_bytes", *close).and("reset_bytes", *reset)
            }
            Finding::LikeSite { site, .. } => why.and("site", site.as_str()),
            Finding::NotProbed { why: reason } => why.and("reason", *reason),
            Finding::Silent | Finding::Ordinary | Finding::NotReached => why,
        };
        ProbeOutcome::new(self.id, self.finding.is_suspicious(), why.and("took_ms", self.took_ms))
    }
}

impl fmt::Display for Examination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} after {} probes in {} ms", self.finding.name(), self.probes, self.took_ms)
    }
}

/// Examines servers.
#[derive(Clone, Debug)]
pub struct Examiner {
    net: Arc<dyn Net>,
    runner: Runner,
    sites: Arc<Sites>,
    seed: u64,
}

impl Examiner {
    /// Probes over these networks, in turn; `sites` are the names whose true servers it can compare with.
    pub fn new(
        net: &Arc<dyn Net>,
        more: impl IntoIterator<Item = Arc<dyn Net>>,
        limits: Limits,
        sites: impl IntoIterator<Item = (String, SocketAddr)>,
        seed: u64,
    ) -> Self {
        Self {
            net: Arc::clone(net),
            runner: Runner::new(Arc::clone(net), limits).with_sources(more),
            sites: Arc::new(sites.into_iter().collect()),
            seed,
        }
    }

    /// Examines the server of one call.
    pub async fn examine(&self, request: &ProbeRequest) -> Examination {
        let began = self.net.now();
        let probes = self.probes(request);
        let finding = match request.protocol {
            Protocol::Tcp => Box::pin(self.find(request, &probes)).await,
            _ => Finding::NotProbed { why: "the battery speaks TCP only" },
        };
        let took = self.net.now().saturating_duration_since(began);
        Examination {
            id: request.id,
            target: request.target,
            finding,
            probes: probes.len(),
            took_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
        }
    }

    /// A replay comes with random bytes as its control; a battery is everything.
    fn probes(&self, request: &ProbeRequest) -> Vec<Probe> {
        let name = request.server_name.clone().filter(|name| commucat_battery::client_hello(name).is_ok());
        let seed = self.seed ^ request.id;
        let material = payloads::Material { site: name, flight: Some(request.first_flight.clone()), seed };
        let mut rng = fastrand::Rng::with_seed(seed);
        match request.kind {
            ProbeKind::Replay => {
                let replay = payloads::replays(&request.first_flight, &mut rng).into_iter().take(1);
                replay.chain([payloads::noise(request.first_flight.len(), &mut rng)]).collect()
            }
            // The name was checked above, so the battery can be made; without one it would be nothing.
            _ => payloads::all(&material).unwrap_or_default(),
        }
    }

    async fn find(&self, request: &ProbeRequest, probes: &[Probe]) -> Finding {
        let battery = request.kind == ProbeKind::Battery;
        let Ok(survey) = self.survey(request.target, probes, battery).await else {
            return Finding::NotReached;
        };
        let name = request.server_name.as_deref().unwrap_or_default();
        let known_protocol = is_known(&request.first_flight);
        // A site at the very address of the target is the target itself.
        let site = self.sites.get(name).copied().filter(|site| battery && site.ip() != request.target.ip());
        let Some(address) = site else { return find(&survey, None, known_protocol) };
        match self.survey(SocketAddr::new(address.ip(), request.target.port()), probes, battery).await {
            Ok(theirs) => {
                let comparison = compare(&survey, &theirs);
                find(&survey, Some(&Site { name, comparison: &comparison }), known_protocol)
            }
            // The true site does not listen there, so there is nothing to compare with.
            Err(_unreachable) => find(&survey, None, known_protocol),
        }
    }

    async fn survey(&self, to: SocketAddr, probes: &[Probe], battery: bool) -> Result<Survey, BatteryError> {
        if battery {
            return self.runner.survey(&HostPort::from(to), probes, self.seed).await;
        }
        let limits = Limits { threshold_bytes: 0, rounds: 1, ..*self.runner.limits() };
        self.runner.clone().with_limits(limits).survey(&HostPort::from(to), probes, self.seed).await
    }
}

/// Whether a flight is of a protocol whose servers answer everybody: TLS (RFC 8446 §5.1), or text as of HTTP and SSH.
fn is_known(flight: &[u8]) -> bool {
    let text = |bytes: &[u8]| bytes.iter().all(|byte| (0x20..0x7f).contains(byte));
    flight.starts_with(&[22, 3]) || flight.get(..TEXT_PREFIX).is_some_and(text)
}

/// First bytes that must be printable for a flight to count as text.
const TEXT_PREFIX: usize = 6;

/// What the prober of a lab keeps to: short, because everything is near.
pub(super) const LAB_LIMITS: Limits = Limits {
    connect: Duration::from_secs(3),
    patience: Duration::from_millis(1_200),
    quiet: Duration::from_millis(250),
    parallel: 12,
    rounds: 1,
    threshold_bytes: 16 * 1024,
};
