//! What is counted. Labels are endpoints, transports, outcomes and classes: never a user, an address or a name.
//!
//! Each bridge has a recorder of its own (so two bridges in one process do not mix) and asks it for handles once;
//! counting is then one atomic addition.

use std::sync::{Arc, Mutex, PoisonError, atomic::Ordering};

use commucat_net::Traffic;
use commucat_transport_api::AcceptError;
use metrics::{Counter, Gauge, Key, Label, Level, Metadata, Recorder as _, Unit};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle, PrometheusRecorder};

use crate::egress::EgressError;

const METADATA: Metadata<'static> = Metadata::new(module_path!(), Level::INFO, Some(module_path!()));

/// Name, unit and meaning of every metric, for `# HELP` lines and the documentation.
pub const METRICS: &[(&str, &str)] = &[
    ("commucat_build_info", "Always 1; the label says the version."),
    ("commucat_connections_total", "Connections accepted, before anything is known of them."),
    ("commucat_handshakes_total", "Handshakes that ended, by outcome."),
    ("commucat_handshakes_active", "Handshakes that run."),
    ("commucat_visitors_active", "Strangers whom the site that is imitated serves through the bridge."),
    ("commucat_sessions_active", "Connections with a known user that are open."),
    ("commucat_channels_total", "Channels opened, by what they carry."),
    ("commucat_bytes_total", "Payload bytes moved: up is from users, down is to them."),
    ("commucat_refused_total", "Authenticated connections that were refused, by reason."),
    ("commucat_egress_failures_total", "Targets that were not reached, by class."),
    ("commucat_assist_requests_total", "Requests to the HTTP API, by status."),
    ("commucat_accept_errors_total", "Accepts that failed."),
    ("commucat_endpoint_up", "Whether an endpoint listens."),
    ("commucat_background_task_up", "Whether a background task runs."),
    ("commucat_storage_up", "Whether the database answered last time."),
    ("commucat_users", "Users that may connect."),
];

/// Reasons of [`METRICS`]' `commucat_refused_total`.
const REFUSALS: [&str; 5] = ["full", "unknown_user", "user_limit", "rate", "udp_limit"];

/// The recorder of one bridge.
pub(crate) struct Metrics {
    recorder: PrometheusRecorder,
    handle: PrometheusHandle,
    /// Kept for good: a counter that went back to zero would lie.
    endpoints: Mutex<Vec<Arc<EndpointStats>>>,
    pub(crate) storage_up: Gauge,
    pub(crate) users: Gauge,
    pub(crate) handshakes_active: Gauge,
    pub(crate) visitors_active: Gauge,
}

/// What is counted for one endpoint.
pub(crate) struct EndpointStats {
    pub(crate) label: String,
    pub(crate) connections: Counter,
    pub(crate) accept_errors: Counter,
    pub(crate) up: Gauge,
    pub(crate) streams: Counter,
    pub(crate) bridges: Counter,
    pub(crate) datagrams: Counter,
    handshakes: Vec<(Outcome, Counter)>,
    active: Gauge,
    pub(crate) traffic: Arc<Traffic>,
    bytes_up: Counter,
    bytes_down: Counter,
}

/// How a handshake ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Ok,
    Unauthenticated,
    Replayed,
    Limit,
    Io,
    Evicted,
    Timeout,
}

impl Outcome {
    const ALL: [Self; 7] = [
        Self::Ok,
        Self::Unauthenticated,
        Self::Replayed,
        Self::Limit,
        Self::Io,
        Self::Evicted,
        Self::Timeout,
    ];

    const fn label(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Unauthenticated => "unauthenticated",
            Self::Replayed => "replayed",
            Self::Limit => "limit",
            Self::Io => "io",
            Self::Evicted => "evicted",
            Self::Timeout => "timeout",
        }
    }

    pub(crate) const fn of(error: &AcceptError) -> Self {
        match error {
            AcceptError::Unauthenticated => Self::Unauthenticated,
            AcceptError::Replayed => Self::Replayed,
            AcceptError::Limit(_) => Self::Limit,
            _ => Self::Io,
        }
    }
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

impl std::fmt::Debug for EndpointStats {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EndpointStats").field("label", &self.label).finish_non_exhaustive()
    }
}

impl Metrics {
    pub(crate) fn new() -> Arc<Self> {
        let recorder = PrometheusBuilder::new().build_recorder();
        let handle = recorder.handle();
        for (name, help) in METRICS {
            let describe = if name.ends_with("_total") {
                PrometheusRecorder::describe_counter
            } else {
                PrometheusRecorder::describe_gauge
            };
            let unit = (*name == "commucat_bytes_total").then_some(Unit::Bytes);
            describe(&recorder, (*name).into(), unit, (*help).into());
        }
        let gauge = |name| recorder.register_gauge(&Key::from_static_name(name), &METADATA);
        let metrics = Self {
            storage_up: gauge("commucat_storage_up"),
            users: gauge("commucat_users"),
            handshakes_active: gauge("commucat_handshakes_active"),
            visitors_active: gauge("commucat_visitors_active"),
            endpoints: Mutex::default(),
            handle,
            recorder,
        };
        let version = vec![Label::new("version", env!("CARGO_PKG_VERSION"))];
        metrics.gauge("commucat_build_info", version).set(1.0);
        REFUSALS.iter().for_each(|reason| metrics.refused(reason).increment(0));
        EgressError::CLASSES.iter().for_each(|class| metrics.egress_failed(class).increment(0));
        Arc::new(metrics)
    }

    fn counter(&self, name: &'static str, labels: Vec<Label>) -> Counter {
        self.recorder.register_counter(&Key::from_parts(name, labels), &METADATA)
    }

    fn gauge(&self, name: &'static str, labels: Vec<Label>) -> Gauge {
        self.recorder.register_gauge(&Key::from_parts(name, labels), &METADATA)
    }

    pub(crate) fn refused(&self, reason: &'static str) -> Counter {
        self.counter("commucat_refused_total", vec![Label::new("reason", reason)])
    }

    pub(crate) fn egress_failed(&self, class: &'static str) -> Counter {
        self.counter("commucat_egress_failures_total", vec![Label::new("class", class)])
    }

    pub(crate) fn assist_answered(&self, status: u16) -> Counter {
        self.counter("commucat_assist_requests_total", vec![Label::new("status", status.to_string())])
    }

    pub(crate) fn task(&self, name: &'static str) -> Gauge {
        self.gauge("commucat_background_task_up", vec![Label::new("task", name)])
    }

    /// The counters of an endpoint. One that comes back after a reload goes on where it was.
    pub(crate) fn endpoint(&self, label: &str, transport: &str) -> Arc<EndpointStats> {
        let mut known = self.endpoints.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(stats) = known.iter().find(|stats| stats.label == label) {
            return Arc::clone(stats);
        }
        let labels = |more: Option<(&'static str, &'static str)>| {
            let mut labels =
                vec![Label::new("endpoint", label.to_owned()), Label::new("transport", transport.to_owned())];
            labels.extend(more.map(|(name, value)| Label::new(name, value)));
            labels
        };
        let channel = |kind| self.counter("commucat_channels_total", labels(Some(("kind", kind))));
        let bytes = |direction| self.counter("commucat_bytes_total", labels(Some(("direction", direction))));
        let handshake = |outcome: Outcome| {
            (outcome, self.counter("commucat_handshakes_total", labels(Some(("outcome", outcome.label())))))
        };
        let stats = Arc::new(EndpointStats {
            label: label.to_owned(),
            connections: self.counter("commucat_connections_total", labels(None)),
            accept_errors: self.counter("commucat_accept_errors_total", labels(None)),
            up: self.gauge("commucat_endpoint_up", labels(None)),
            streams: channel("stream"),
            bridges: channel("bridge"),
            datagrams: channel("datagrams"),
            handshakes: Outcome::ALL.map(handshake).into(),
            active: self.gauge("commucat_sessions_active", labels(None)),
            traffic: Arc::default(),
            bytes_up: bytes("up"),
            bytes_down: bytes("down"),
        });
        known.push(Arc::clone(&stats));
        stats
    }

    /// The text that Prometheus reads.
    pub(crate) fn render(&self) -> String {
        self.endpoints
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
            .for_each(|stats| stats.publish());
        self.handle.run_upkeep();
        self.handle.render()
    }
}

impl EndpointStats {
    pub(crate) fn handshake(&self, outcome: Outcome) {
        if let Some((_outcome, counter)) = self.handshakes.iter().find(|(known, _counter)| *known == outcome)
        {
            counter.increment(1);
        }
    }

    /// A session for as long as the guard lives.
    pub(crate) fn session(self: &Arc<Self>) -> ActiveSession {
        self.active.increment(1.0);
        ActiveSession(Arc::clone(self))
    }

    fn publish(&self) {
        self.bytes_up.absolute(self.traffic.a_to_b.load(Ordering::Relaxed));
        self.bytes_down.absolute(self.traffic.b_to_a.load(Ordering::Relaxed));
    }
}

/// Counts one open session.
#[derive(Debug)]
pub(crate) struct ActiveSession(Arc<EndpointStats>);

impl Drop for ActiveSession {
    fn drop(&mut self) {
        self.0.active.decrement(1.0);
    }
}
