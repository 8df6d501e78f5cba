//! Whether a REALITY bridge can live in the name of a host: what the host's TLS looks like, and what speaks against it.
//!
//! A bridge of that kind forwards strangers to the host, reuses its server hello and copies the lengths of its encrypted
//! flight. So the host must speak TLS 1.3 with a group and a flight that can be copied, and should be a site that people
//! in that network visit over a connection like this one.

mod judge;
mod look;
#[cfg(test)]
mod tests;

use std::{sync::Arc, time::Duration};

use commucat_battery::RecordFact;
use commucat_transport_api::{HostPort, Net};
use rustls::pki_types::CertificateDer;
use serde::Serialize;

use crate::safety::{Consent, ConsentMissing, Risk};

/// Most hosts that are looked at in one go: it is no scanner.
pub const HOSTS_MAX: usize = 16;
/// Connections whose times are taken.
const CONNECTS: usize = 3;

/// What hosts are looked at with.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DestConfig {
    /// What the user agrees to; looking at other people's hosts is risk class medium.
    pub consent: Consent,
    /// How long a connection, or a handshake, may take.
    pub patience: Duration,
    /// How long after the handshake session tickets are waited for.
    pub after: Duration,
    /// The roots that certificates must lead to; without any, the system's.
    pub roots: Option<Vec<CertificateDer<'static>>>,
}

impl Default for DestConfig {
    fn default() -> Self {
        Self {
            consent: Consent::default(),
            patience: Duration::from_secs(10),
            after: Duration::from_millis(700),
            roots: None,
        }
    }
}

/// Why hosts were not looked at.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DestError {
    /// Consent is missing.
    #[error(transparent)]
    Consent(#[from] ConsentMissing),
    /// Too many hosts.
    #[error("{asked} hosts: at most {HOSTS_MAX} at once, since a scan of other people's hosts gets noticed")]
    TooMany {
        /// How many were asked for.
        asked: usize,
    },
    /// The TLS library could not be set up.
    #[error("the TLS client could not be set up")]
    Tls(#[source] rustls::Error),
    /// The system's roots could not be read.
    #[error("no root certificate was found on this system: install ca-certificates")]
    NoRoots,
}

/// How a host does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Suitability {
    /// Nothing speaks against it.
    Suitable,
    /// It works, and something makes it less good.
    Usable,
    /// A bridge in its name would fail, or would be noticed.
    Unsuitable,
}

/// One thing that speaks against a host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct DestReason {
    /// How much.
    pub weight: Suitability,
    /// What, and what it means.
    pub text: String,
}

/// What a host's TLS looks like.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct DestFacts {
    /// Median time to connect, in milliseconds.
    pub connect_ms: Option<u64>,
    /// Time of the handshake, in milliseconds.
    pub handshake_ms: Option<u64>,
    /// The version, as on the wire (0x0304 is TLS 1.3).
    pub version: Option<u16>,
    /// The group of the key share, as on the wire (0x11ec is X25519MLKEM768, 0x001d X25519).
    pub group: Option<u16>,
    /// It asked for another hello first.
    pub retry: bool,
    /// The application protocol that it chose of h2 and http/1.1.
    pub alpn: Option<String>,
    /// How it signed the handshake, which tells the type of its key.
    pub signature: Option<String>,
    /// Bytes of each certificate of its chain, leaf first.
    pub chain: Vec<usize>,
    /// What is wrong with the certificate, if anything.
    pub certificate_problem: Option<String>,
    /// Records of its first flight, in order.
    pub flight: Vec<RecordFact>,
    /// Lengths of the records after the handshake (session tickets), headers not counted.
    pub after: Vec<u16>,
    /// The status of its front page over HTTP/1.1.
    pub status: Option<u16>,
    /// Where its front page leads, when that is another host.
    pub redirect: Option<String>,
}

/// What was found of a host.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct DestReport {
    /// The host and port.
    pub host: HostPort,
    /// How it does.
    pub suitability: Suitability,
    /// What speaks against it, the heaviest first.
    pub reasons: Vec<DestReason>,
    /// What was seen.
    pub facts: DestFacts,
}

/// Looks at hosts, one after the other.
///
/// # Errors
/// It may not, or nothing can be looked at. A host that does not answer is a report, not an error.
pub async fn dest(
    net: &Arc<dyn Net>,
    hosts: &[HostPort],
    config: &DestConfig,
) -> Result<Vec<DestReport>, DestError> {
    config.consent.check(Risk::Medium, "a look at a host of somebody else")?;
    if hosts.len() > HOSTS_MAX {
        return Err(DestError::TooMany { asked: hosts.len() });
    }
    let roots = look::roots(config)?;
    let mut reports = Vec::with_capacity(hosts.len());
    for host in hosts {
        let seen = Box::pin(look::look(net, host, config, &roots)).await?;
        let (facts, unreachable) = match seen {
            Ok(facts) => (facts, None),
            Err((facts, why)) => (facts, Some(why)),
        };
        let reasons = judge::reasons(host, &facts, unreachable.as_deref());
        let suitability = reasons.iter().map(|reason| reason.weight).max().unwrap_or(Suitability::Suitable);
        reports.push(DestReport { host: host.clone(), suitability, reasons, facts });
    }
    Ok(reports)
}
