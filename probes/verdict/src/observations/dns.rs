//! Questions to resolvers and everything that came back, wrong answers included.

use std::net::{IpAddr, SocketAddr};

use commucat_transport_api::Failure;
use serde::{Deserialize, Serialize};

use super::NameClass;

/// Whom a question was sent to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ResolverKind {
    /// The resolver this machine is set to.
    System,
    /// A resolver of the user's choice, abroad.
    Control,
    /// A host that answers no questions: whatever comes back was made on the way.
    NoResolver,
}

/// One question and what came back while the socket was kept open.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lookup {
    /// Its number in the run, shared with the trials.
    pub number: u32,
    /// When it was asked, in microseconds since the run began.
    pub at_us: u64,
    /// How long answers were collected, in microseconds.
    pub window_us: u64,
    /// Who was asked.
    pub resolver: ResolverKind,
    /// Its address.
    pub address: SocketAddr,
    /// Whether over TCP.
    pub tcp: bool,
    /// The name.
    pub name: String,
    /// What kind of name.
    pub class: NameClass,
    /// `A` or `AAAA`.
    pub record: String,
    /// All answers with the right id, in the order of arrival.
    pub answers: Vec<LookupAnswer>,
    /// Why nothing came, or what went wrong after the answers.
    pub failure: Option<Failure>,
}

/// One answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LookupAnswer {
    /// Microseconds after the question.
    pub after_us: u64,
    /// Response code, as a number (RFC 1035 §4.1.1): 0 no error, 3 no such name.
    pub rcode: u16,
    /// The authoritative-answer bit.
    pub authoritative: bool,
    /// The addresses in it.
    pub addresses: Vec<IpAddr>,
    /// Smallest TTL of its records, in seconds.
    pub ttl_s: Option<u32>,
    /// Whether one of the addresses is a known lie or lies in a range that no public host has.
    pub bogon: bool,
}
