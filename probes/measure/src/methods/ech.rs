//! Encrypted client hellos towards a content delivery network: the hello with the extension and the provider's public
//! name, the same without the extension, and the extension with another name.

use std::{net::SocketAddr, sync::Arc};

use commucat_verdict::{
    ControlKind,
    observations::{
        Condition, Fingerprint, NameClass, Observations, Payload, PortClass, Protocol, ServerKind, Subtest,
    },
};
use tokio::time::Instant;

use super::{MethodError, Outcome};
use crate::{
    targets::class_of,
    trial::{
        Bench,
        experiment::{Arm, experiment},
        hello::{self, Ech},
        tcp,
    },
};

/// Hellos at a time.
const CONCURRENCY: usize = 3;

/// Sends the three kinds of hello.
pub(crate) async fn run(bench: &Arc<Bench>, until: Instant) -> Result<Outcome, MethodError> {
    if bench.targets.cdns.is_empty() {
        return Err(MethodError::Lacks { what: "a host of a delivery network: add a [[cdn]]" });
    }
    let plans = [
        (Payload::HelloEch, NameClass::EchOuter, None),
        (Payload::Hello, NameClass::EchOuter, Some(ControlKind::SameServer)),
        (Payload::HelloEch, NameClass::Innocent, Some(ControlKind::SameServer)),
        (Payload::Hello, NameClass::Innocent, Some(ControlKind::SameServer)),
    ];
    let mut arms = Vec::new();
    for (payload, name, control) in plans {
        let condition = Condition::new(Subtest::Ech, Protocol::Tls, ServerKind::Cdn, payload)
            .name(name)
            .fingerprint(Fingerprint::ChromeCurrent)
            .port(port_class(bench));
        let bench = Arc::clone(bench);
        arms.push(Arm::new(condition, control, move |condition| {
            let bench = Arc::clone(&bench);
            async move {
                let mut rng = bench.rng();
                let cdns = &bench.targets.cdns;
                let cdn = cdns.get(rng.usize(..cdns.len().max(1)))?;
                let name = match condition.name {
                    Some(NameClass::EchOuter) => bench.targets.names.ech_outer.clone(),
                    _ => cdn.name.clone(),
                };
                let with = condition.payload == Payload::HelloEch;
                let ech = if with { Ech::AsUsual } else { Ech::Without };
                let built = hello::build(Fingerprint::ChromeCurrent, Some(name), ech, &mut rng)?;
                let address: SocketAddr = cdn.address;
                Some(tcp::hello(&bench, address, &built).await)
            }
        }));
    }
    let (series, cut) = experiment(bench, arms, CONCURRENCY, until).await;
    Ok(Outcome {
        observations: Observations { series, ..Observations::default() },
        cut,
        left_out: Vec::new(),
    })
}

fn port_class(bench: &Bench) -> PortClass {
    bench.targets.cdns.first().map_or(PortClass::Https, |cdn| class_of(cdn.address.port()))
}
