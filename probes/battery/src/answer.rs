//! How a server answered one probe.

use std::time::Duration;

use commucat_transport_api::Signal;
use serde::Serialize;

use crate::facts::{HttpFacts, TlsFacts};

/// The kinds of answer, the coarsest of which a prober looks at first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Class {
    /// No connection came about.
    NoConnection,
    /// The connection stayed open and nothing came.
    Silence,
    /// An orderly end without a byte.
    Fin,
    /// A reset without a byte.
    Rst,
    /// Bytes, however the connection ended.
    Bytes,
}

/// How a connection ended while we watched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "how")]
#[non_exhaustive]
pub enum End {
    /// It was never open.
    NoConnection {
        /// What connecting said.
        signal: Signal,
    },
    /// It was open when our patience ended.
    Open,
    /// The server closed its direction.
    Fin {
        /// Since our last byte, or since the connection when we sent none, in milliseconds.
        after_ms: u64,
        /// Bytes that we had sent on the carrier.
        sent: u64,
    },
    /// The server reset the connection.
    Rst {
        /// Since our last byte, or since the connection when we sent none, in milliseconds.
        after_ms: u64,
        /// Bytes that we had sent on the carrier.
        sent: u64,
    },
}

impl End {
    /// Its name: `open`, `fin`, `rst`, `no connection`.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::NoConnection { .. } => "no connection",
            Self::Open => "open",
            Self::Fin { .. } => "fin",
            Self::Rst { .. } => "rst",
        }
    }

    /// How long it took the server to close, if it did.
    pub const fn close_delay(&self) -> Option<Duration> {
        match self {
            Self::Fin { after_ms, .. } | Self::Rst { after_ms, .. } => Some(Duration::from_millis(*after_ms)),
            Self::NoConnection { .. } | Self::Open => None,
        }
    }

    /// Bytes that we had sent when the server closed, if it did.
    pub const fn bytes_to_close(&self) -> Option<u64> {
        match self {
            Self::Fin { sent, .. } | Self::Rst { sent, .. } => Some(*sent),
            Self::NoConnection { .. } | Self::Open => None,
        }
    }
}

/// How fast a server closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Pace {
    /// Within 300 ms: it decided on what it read.
    AtOnce,
    /// Within 3 s.
    Soon,
    /// Within 30 s: a timer.
    Late,
    /// Later.
    VeryLate,
}

impl Pace {
    /// The class of a delay.
    pub const fn of(delay: Duration) -> Self {
        match delay.as_millis() {
            0..300 => Self::AtOnce,
            300..3_000 => Self::Soon,
            3_000..30_000 => Self::Late,
            _ => Self::VeryLate,
        }
    }
}

/// What came back, as far as it was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Reply {
    /// Bytes on the carrier.
    pub length: u64,
    /// The first bytes on the carrier (at most 16), in hexadecimal.
    pub first: String,
    /// Digest of what is left after normalisation (see the crate's page), in hexadecimal.
    pub digest: String,
    /// Until the first byte, since our last byte before it, in milliseconds.
    pub first_after_ms: u64,
    /// What it says as HTTP, on the carrier or inside TLS.
    pub http: Option<HttpFacts>,
    /// What it says as TLS.
    pub tls: Option<TlsFacts>,
    /// More came than is kept.
    pub truncated: bool,
}

/// How a server answered one probe.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Answer {
    /// The bytes, if any came.
    pub reply: Option<Reply>,
    /// How the connection ended.
    pub end: End,
}

impl Answer {
    /// An answer of these parts.
    pub const fn new(reply: Option<Reply>, end: End) -> Self {
        Self { reply, end }
    }

    /// The kind of answer.
    pub const fn class(&self) -> Class {
        match (&self.reply, &self.end) {
            (Some(_), _) => Class::Bytes,
            (None, End::NoConnection { .. }) => Class::NoConnection,
            (None, End::Open) => Class::Silence,
            (None, End::Fin { .. }) => Class::Fin,
            (None, End::Rst { .. }) => Class::Rst,
        }
    }

    /// Whether the answer holds application data: an HTTP answer, or bytes that are no TLS alert.
    pub fn holds_data(&self) -> bool {
        self.reply.as_ref().is_some_and(|reply| {
            reply
                .tls
                .as_ref()
                .is_none_or(|tls| tls.records.iter().any(|record| record.kind != TlsFacts::ALERT))
        })
    }
}
