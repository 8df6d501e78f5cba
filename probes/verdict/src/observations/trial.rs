//! One attempt, and the series of its repeats.

use std::net::SocketAddr;

use commucat_transport_api::Failure;
use serde::{Deserialize, Serialize};

use super::Condition;
use crate::ControlKind;

/// Repeats under one condition.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Series {
    /// The condition.
    pub condition: Condition,
    /// What it controls for; `None` for what is under test.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub control: Option<ControlKind>,
    /// The attempts, in order.
    pub trials: Vec<Trial>,
    /// What the sequential test decided.
    pub decision: Decision,
    /// Failure rate that this network has anyway (0 to 1), against which the test was made.
    pub baseline: f64,
}

impl Series {
    /// How many trials failed.
    pub fn failed(&self) -> usize {
        self.trials.iter().filter(|trial| trial.failure.is_some()).count()
    }

    /// How many trials were made.
    pub const fn made(&self) -> usize {
        self.trials.len()
    }

    /// Whether the sequential test says that it fails more often than the network explains.
    pub fn blocked(&self) -> bool {
        self.decision == Decision::Fails
    }

    /// Whether the sequential test says that it works.
    pub fn passes(&self) -> bool {
        self.decision == Decision::Passes
    }
}

/// What a sequential test says of a series.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// It fails more often than the baseline explains.
    Fails,
    /// It fails no more often than the baseline.
    Passes,
    /// Too few trials to say.
    Open,
}

/// One attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trial {
    /// Its number in the run, in the order of beginning, from 1.
    pub number: u32,
    /// When it began, in microseconds since the run began.
    pub at_us: u64,
    /// How long it took, in microseconds.
    pub took_us: u64,
    /// Whom it asked; `None` when it did not come so far.
    pub address: Option<SocketAddr>,
    /// From which port; 0 when there was none.
    pub source_port: u16,
    /// The name it bore.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_name: Option<String>,
    /// Why it failed; `None` when it passed. Holds the bytes that moved.
    pub failure: Option<Failure>,
    /// Payload bytes sent.
    pub sent: u64,
    /// Payload bytes received.
    pub received: u64,
    /// What the TLS or QUIC handshake showed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsSeen>,
    /// What happened, step by step; bounded.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<Step>,
}

/// What a TLS or QUIC handshake showed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TlsSeen {
    /// Protocol version in words (`TLSv1.3`).
    pub version: Option<String>,
    /// Cipher suite by its IANA name.
    pub cipher_suite: Option<String>,
    /// Agreed application protocol.
    pub alpn: Option<String>,
    /// SHA-256 of the server's public key (SPKI), in hexadecimal.
    pub pin: Option<String>,
    /// Whether the pin is the configured one; `None` when none is configured.
    pub pin_matches: Option<bool>,
    /// JA4 of the hello that we sent.
    pub ja4_sent: Option<String>,
    /// JA4 of the hello as the server saw it.
    pub ja4_seen: Option<String>,
    /// The server's name as the server saw it.
    pub name_seen: Option<String>,
}

/// One step of a trial.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// Microseconds since the run began, at the end of the step.
    pub at_us: u64,
    /// What was done.
    pub operation: Operation,
    /// How many bytes moved.
    pub bytes: u64,
    /// Why it failed, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
}

/// Kinds of step, as the OONI data format calls them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Operation {
    /// Opening a TCP connection.
    Connect,
    /// Sending.
    Write,
    /// Receiving.
    Read,
    /// A TLS handshake.
    TlsHandshake,
    /// A QUIC handshake.
    QuicHandshake,
    /// Closing.
    Close,
}
