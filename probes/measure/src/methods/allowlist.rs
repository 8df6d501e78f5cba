//! Protocols × ports: what passes where only known protocols, ports or addresses pass.

use std::sync::Arc;

use commucat_control::wire;
use commucat_verdict::{
    ControlKind,
    observations::{
        Condition, Fingerprint, NameClass, Observations, Payload, PortClass, Protocol, ServerKind, Subtest,
        Trial,
    },
};
use tokio::time::Instant;

use super::{MethodError, Outcome};
use crate::trial::{
    Bench, Carrier,
    experiment::{Arm, experiment},
    hello, request, tcp,
};

/// Connections at a time.
const CONCURRENCY: usize = 12;
/// Messages and echoes of a flow: more packets than the six after which some networks stop an unknown protocol, fewer
/// than the twenty-five after which others freeze any flow.
const MESSAGES: usize = 5;
/// Size of the messages after the first, in bytes.
const MESSAGE_BYTES: usize = 48;
/// What an SSH client says first (RFC 4253 §4.2).
const SSH_BANNER: &[u8] = b"SSH-2.0-OpenSSH_9.9\r\n";
/// Words that are no protocol.
const TEXT: &[u8] = b"the quick brown fox jumps over the lazy dog\r\n";

const CLASSES: [PortClass; 4] = [PortClass::Https, PortClass::Http, PortClass::Dns, PortClass::High];

/// Known protocols first (a punished address would spoil them), then unknown ones.
pub(crate) async fn run(bench: &Arc<Bench>, until: Instant) -> Result<Outcome, MethodError> {
    let mut outcome = Outcome::default();
    let rounds = [
        (vec![Payload::Hello, Payload::Http], Some(ControlKind::SameServer)),
        (vec![Payload::Ssh, Payload::Text], None),
    ];
    for (payloads, control) in rounds {
        let mut arms = Vec::new();
        for class in CLASSES {
            for payload in &payloads {
                arms.extend(arm(bench, ServerKind::Foreign, class, *payload, control));
                if class == PortClass::High {
                    arms.extend(arm(
                        bench,
                        ServerKind::Domestic,
                        class,
                        *payload,
                        Some(ControlKind::Domestic),
                    ));
                }
            }
        }
        let (series, cut) = experiment(bench, arms, CONCURRENCY, until).await;
        outcome.absorb(Outcome {
            observations: Observations { series, ..Observations::default() },
            cut,
            left_out: Vec::new(),
        });
    }
    Ok(outcome)
}

fn arm(
    bench: &Arc<Bench>,
    kind: ServerKind,
    class: PortClass,
    payload: Payload,
    control: Option<ControlKind>,
) -> Option<Arm> {
    if !bench.server(kind)?.has_tcp(class) {
        return None;
    }
    let protocol = if payload == Payload::Hello { Protocol::Tls } else { Protocol::Tcp };
    let mut condition = Condition::new(Subtest::Allowlist, protocol, kind, payload).port(class);
    if payload == Payload::Hello {
        condition = condition.name(NameClass::Innocent).fingerprint(Fingerprint::CurlLike);
    }
    let bench = Arc::clone(bench);
    Some(Arm::new(condition, control, move |condition| attempt(Arc::clone(&bench), condition)))
}

async fn attempt(bench: Arc<Bench>, condition: Condition) -> Option<Trial> {
    let address = bench.port(condition.server, Carrier::Tcp, condition.port)?;
    match condition.payload {
        Payload::Hello => {
            let name = bench.name(NameClass::Innocent)?;
            let built = hello::build(Fingerprint::CurlLike, name, hello::Ech::AsUsual, &mut bench.rng())?;
            Some(tcp::hello(&bench, address, &built).await)
        }
        Payload::Http => {
            let token = bench.server(condition.server)?.token.clone();
            let request = request::request_head(token.as_deref(), "GET", wire::TIME, None);
            Some(tcp::http(&bench, address, &String::from_utf8_lossy(&request)).await)
        }
        Payload::Ssh => Some(tcp::echo(&bench, address, &messages(SSH_BANNER, &mut bench.rng())).await),
        _ => Some(tcp::echo(&bench, address, &messages(TEXT, &mut bench.rng())).await),
    }
}

fn messages(first: &[u8], rng: &mut fastrand::Rng) -> Vec<Vec<u8>> {
    let mut messages = vec![first.to_vec()];
    messages.resize_with(MESSAGES, || (0..MESSAGE_BYTES).map(|_| rng.u8(..)).collect());
    messages
}
