//! The events of a row: observations as the extensions dnst, tcpconnect, tlshandshake and netevents call them.

use std::net::IpAddr;

use commucat_transport_api::Phase;
use commucat_verdict::{
    ControlKind,
    observations::{
        Condition, Direction, Lookup, LookupAnswer, Observations, Operation, Payload, Protocol, Step,
        Transfer, Trial,
    },
};
use serde::Serialize;

use super::failure;

/// Most events of one kind in a row; the observations below `x_commucat` hold them all.
pub(super) const EVENTS_MAX: usize = 20_000;
/// Microseconds in a second.
const SECOND_US: f64 = 1e6;

/// The event lists of a row.
#[derive(Debug, Default, Serialize)]
pub(super) struct Events {
    queries: Vec<Query>,
    tcp_connect: Vec<TcpConnect>,
    tls_handshakes: Vec<TlsHandshake>,
    network_events: Vec<NetworkEvent>,
}

#[derive(Debug, Serialize)]
struct Query {
    answers: Vec<Answer>,
    engine: &'static str,
    failure: Option<String>,
    hostname: String,
    query_type: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    rcode: Option<u16>,
    resolver_address: String,
    t0: f64,
    t: f64,
    tags: Vec<String>,
    transaction_id: u32,
}

#[derive(Debug, Serialize)]
struct Answer {
    answer_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    ipv4: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ipv6: Option<String>,
    ttl: Option<u32>,
}

#[derive(Debug, Serialize)]
struct TcpConnect {
    ip: String,
    port: u16,
    status: TcpStatus,
    t0: f64,
    t: f64,
    tags: Vec<String>,
    transaction_id: u32,
}

#[derive(Debug, Serialize)]
struct TcpStatus {
    failure: Option<String>,
    success: bool,
}

#[derive(Debug, Serialize)]
struct TlsHandshake {
    network: &'static str,
    address: String,
    cipher_suite: String,
    failure: Option<String>,
    negotiated_protocol: String,
    no_tls_verify: bool,
    peer_certificates: Vec<()>,
    server_name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    echconfig: Option<&'static str>,
    t0: f64,
    t: f64,
    tags: Vec<String>,
    tls_version: String,
    transaction_id: u32,
}

#[derive(Debug, Serialize)]
struct NetworkEvent {
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<String>,
    failure: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    num_bytes: Option<u64>,
    operation: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    proto: Option<&'static str>,
    t0: f64,
    t: f64,
    tags: Vec<String>,
    transaction_id: u32,
}

impl Events {
    /// The events of these observations, with times since `base_us` (when the measurement began).
    pub(super) fn of(observations: &Observations, base_us: u64) -> Self {
        let mut events = Self::default();
        let clock = Clock(base_us);
        for lookup in &observations.lookups {
            events.lookup(lookup, clock);
        }
        for series in &observations.series {
            let tags = tags(&series.condition, series.control);
            for trial in &series.trials {
                events.trial(&series.condition, trial, &tags, clock);
            }
        }
        for transfer in &observations.transfers {
            events.transfer(transfer, clock);
        }
        events.queries.truncate(EVENTS_MAX);
        events.tcp_connect.truncate(EVENTS_MAX);
        events.tls_handshakes.truncate(EVENTS_MAX);
        events.network_events.truncate(EVENTS_MAX);
        events
    }

    /// One query an answer: an injected answer and the true one are two.
    fn lookup(&mut self, lookup: &Lookup, clock: Clock) {
        let query = |answer: Option<&LookupAnswer>, failure, after_us: u64| Query {
            answers: answer.map_or_else(Vec::new, answers),
            engine: if lookup.tcp { "tcp" } else { "udp" },
            failure,
            hostname: lookup.name.clone(),
            query_type: lookup.record.clone(),
            rcode: answer.map(|answer| answer.rcode),
            resolver_address: lookup.address.to_string(),
            t0: clock.at(lookup.at_us),
            t: clock.at(lookup.at_us.saturating_add(after_us)),
            tags: vec![format!("name:{}", lookup.class), format!("resolver:{}", resolver(lookup))],
            transaction_id: lookup.number,
        };
        if lookup.answers.is_empty() {
            self.queries.push(query(None, Some(failure::unanswered(lookup)), lookup.window_us));
        }
        for answer in &lookup.answers {
            self.queries.push(query(Some(answer), failure::answer(answer), answer.after_us));
        }
    }

    fn trial(&mut self, condition: &Condition, trial: &Trial, tags: &[String], clock: Clock) {
        if matches!(condition.protocol, Protocol::Tcp | Protocol::Tls) {
            self.connect(trial, tags, clock);
        }
        if matches!(condition.protocol, Protocol::Tls | Protocol::Quic) {
            self.handshake(condition, trial, tags, clock);
        }
        let datagrams = matches!(condition.protocol, Protocol::Udp | Protocol::Quic);
        let mut begun = trial.at_us;
        for step in &trial.steps {
            if let Some(operation) = operation(step.operation, datagrams) {
                self.network_events
                    .push(network_event(trial, step, operation, begun, datagrams, tags, clock));
            }
            begun = step.at_us;
        }
    }

    fn connect(&mut self, trial: &Trial, tags: &[String], clock: Clock) {
        let Some(address) = trial.address else { return };
        let failed = trial.failure.as_ref().filter(|failure| failure.phase == Phase::Connect);
        let connected = trial.steps.iter().find(|step| step.operation == Operation::Connect);
        let end = connected.map_or_else(|| trial.at_us.saturating_add(trial.took_us), |step| step.at_us);
        self.tcp_connect.push(TcpConnect {
            ip: address.ip().to_string(),
            port: address.port(),
            status: TcpStatus { failure: failed.map(failure::failure), success: failed.is_none() },
            t0: clock.at(trial.at_us),
            t: clock.at(end),
            tags: tags.to_vec(),
            transaction_id: trial.number,
        });
    }

    fn handshake(&mut self, condition: &Condition, trial: &Trial, tags: &[String], clock: Clock) {
        let before = |failure: &&commucat_transport_api::Failure| failure.phase < Phase::Handshake;
        let (Some(address), None) = (trial.address, trial.failure.as_ref().filter(before)) else { return };
        let failed = trial.failure.as_ref().filter(|failure| failure.phase == Phase::Handshake);
        let seen = trial.tls.clone().unwrap_or_default();
        let shaken = [Operation::TlsHandshake, Operation::QuicHandshake];
        let step = trial.steps.iter().find(|step| shaken.contains(&step.operation));
        let connected = trial.steps.iter().find(|step| step.operation == Operation::Connect);
        let end = step.map_or_else(|| trial.at_us.saturating_add(trial.took_us), |step| step.at_us);
        self.tls_handshakes.push(TlsHandshake {
            network: if condition.protocol == Protocol::Quic { "udp" } else { "tcp" },
            address: address.to_string(),
            cipher_suite: seen.cipher_suite.unwrap_or_default(),
            failure: failed.map(failure::failure),
            negotiated_protocol: seen.alpn.unwrap_or_default(),
            // A pin is checked, no chain.
            no_tls_verify: true,
            peer_certificates: Vec::new(),
            server_name: trial.server_name.clone().unwrap_or_default(),
            echconfig: (condition.payload == Payload::HelloEch).then_some("GREASE"),
            t0: clock.at(connected.map_or(trial.at_us, |step| step.at_us)),
            t: clock.at(end),
            tags: tags.to_vec(),
            tls_version: seen.version.unwrap_or_default(),
            transaction_id: trial.number,
        });
    }

    /// The course of a transfer: what came as a running sum, what went as writes.
    fn transfer(&mut self, transfer: &Transfer, clock: Clock) {
        let tags = tags(&transfer.condition, transfer.control);
        let end = transfer.failure.as_ref().map(failure::failure);
        let (mut begun, mut before) = (transfer.at_us, 0);
        for (at, point) in transfer.curve.iter().enumerate() {
            let moment = transfer.at_us.saturating_add(point.at_us);
            let (operation, bytes) = match transfer.direction {
                Direction::Up => ("write", point.bytes.saturating_sub(before)),
                Direction::Down | Direction::Both => ("bytes_received_cumulative", point.bytes),
            };
            let last = at + 1 == transfer.curve.len();
            self.network_events.push(NetworkEvent {
                address: None,
                failure: end.clone().filter(|_| last),
                num_bytes: Some(bytes),
                operation,
                proto: None,
                t0: clock.at(begun),
                t: clock.at(moment),
                tags: tags.clone(),
                transaction_id: transfer.number,
            });
            (begun, before) = (moment, point.bytes);
        }
    }
}

/// Seconds since the measurement began.
#[derive(Clone, Copy)]
struct Clock(u64);

impl Clock {
    #[allow(clippy::cast_precision_loss, reason = "microseconds of a run are far below 2^53")]
    fn at(self, at_us: u64) -> f64 {
        at_us.saturating_sub(self.0) as f64 / SECOND_US
    }
}

fn network_event(
    trial: &Trial,
    step: &Step,
    operation: &'static str,
    begun: u64,
    datagrams: bool,
    tags: &[String],
    clock: Clock,
) -> NetworkEvent {
    let connect = step.operation == Operation::Connect;
    NetworkEvent {
        address: trial.address.filter(|_| connect).map(|address| address.to_string()),
        failure: step.failure.as_ref().map(failure::failure),
        num_bytes: (!connect).then_some(step.bytes),
        operation,
        proto: connect.then_some(if datagrams { "udp" } else { "tcp" }),
        t0: clock.at(begun),
        t: clock.at(step.at_us),
        tags: tags.to_vec(),
        transaction_id: trial.number,
    }
}

/// The name of a step that is a network event; handshakes have lists of their own.
const fn operation(operation: Operation, datagrams: bool) -> Option<&'static str> {
    match operation {
        Operation::Connect => Some("connect"),
        Operation::Write if datagrams => Some("write_to"),
        Operation::Write => Some("write"),
        Operation::Read if datagrams => Some("read_from"),
        Operation::Read => Some("read"),
        _ => None,
    }
}

fn answers(answer: &LookupAnswer) -> Vec<Answer> {
    let one = |address: &IpAddr| match address {
        IpAddr::V4(v4) => {
            Answer { answer_type: "A", ipv4: Some(v4.to_string()), ipv6: None, ttl: answer.ttl_s }
        }
        IpAddr::V6(v6) => {
            Answer { answer_type: "AAAA", ipv4: None, ipv6: Some(v6.to_string()), ttl: answer.ttl_s }
        }
    };
    answer.addresses.iter().map(one).collect()
}

fn resolver(lookup: &Lookup) -> &'static str {
    use commucat_verdict::observations::ResolverKind;
    match lookup.resolver {
        ResolverKind::System => "system",
        ResolverKind::Control => "control",
        ResolverKind::NoResolver => "no_resolver",
        _ => "other",
    }
}

fn tags(condition: &Condition, control: Option<ControlKind>) -> Vec<String> {
    let mut tags = vec![format!("condition:{condition}")];
    tags.extend(control.map(|kind| format!("control:{}", super::control_name(kind))));
    tags
}
