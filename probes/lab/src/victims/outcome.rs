//! What a client in the lab saw: whether all came that it asked for, and if not, how it ended.

use std::{fmt, io, net::IpAddr};

use serde::Serialize;

/// How an exchange ended, as the client saw it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "saw", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Outcome {
    /// All that was asked for came, unaltered.
    Intact {
        /// Bytes of it.
        bytes: u64,
    },
    /// The connection was reset (RST), or its opening was refused by one.
    Reset {
        /// Bytes that had come.
        bytes: u64,
    },
    /// The connection ended in good order, too early.
    Closed {
        /// Bytes that had come.
        bytes: u64,
    },
    /// Nothing came any more, for as long as the client waits.
    Silent {
        /// Bytes that had come.
        bytes: u64,
    },
    /// Something came, but less than a link without a brake carries.
    Slow {
        /// Bytes that had come.
        bytes: u64,
        /// Bits a second over the time that was measured.
        bits_per_second: u64,
    },
    /// Another answer than the server's.
    Forged {
        /// The addresses in it, for a DNS answer.
        addresses: Vec<IpAddr>,
    },
    /// Bytes came that nobody had sent.
    Altered {
        /// Where the first of them stands.
        at: u64,
    },
    /// Some of several connections got nothing.
    Partly {
        /// How many were served.
        served: usize,
        /// How many were tried.
        tried: usize,
    },
    /// The client itself could not do its part; this says nothing about the network.
    Failed {
        /// Why.
        why: String,
    },
}

/// The kinds of harm a censor does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Harm {
    /// Connections are reset.
    Reset,
    /// Packets vanish.
    Silence,
    /// It takes too long.
    Brake,
    /// Answers are false.
    Forgery,
}

impl Outcome {
    /// Whether all came that was asked for.
    pub const fn is_intact(&self) -> bool {
        matches!(self, Self::Intact { .. })
    }

    /// Whether this is what that harm looks like from inside.
    pub const fn shows(&self, harm: Harm) -> bool {
        match harm {
            Harm::Reset => matches!(self, Self::Reset { .. }),
            Harm::Silence => matches!(self, Self::Silent { .. } | Self::Partly { .. }),
            Harm::Brake => matches!(self, Self::Slow { .. }),
            Harm::Forgery => matches!(self, Self::Forged { .. }),
        }
    }

    /// What an error of a socket means after so many bytes.
    pub fn of_error(error: &io::Error, bytes: u64) -> Self {
        match error.kind() {
            io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe => Self::Reset { bytes },
            io::ErrorKind::TimedOut => Self::Silent { bytes },
            io::ErrorKind::UnexpectedEof => Self::Closed { bytes },
            _ => Self::failed(error),
        }
    }

    /// The client could not do its part.
    pub fn failed(why: impl fmt::Display) -> Self {
        Self::Failed { why: why.to_string() }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Intact { bytes } => write!(f, "all {bytes} bytes came"),
            Self::Reset { bytes } => write!(f, "reset after {bytes} bytes"),
            Self::Closed { bytes } => write!(f, "closed after {bytes} bytes"),
            Self::Silent { bytes } => write!(f, "silence after {bytes} bytes"),
            Self::Slow { bytes, bits_per_second } => {
                write!(f, "{bytes} bytes at {} kbit/s", bits_per_second / 1000)
            }
            Self::Forged { addresses } => write!(f, "a false answer: {addresses:?}"),
            Self::Altered { at } => write!(f, "a foreign byte at {at}"),
            Self::Partly { served, tried } => write!(f, "{served} of {tried} connections were served"),
            Self::Failed { why } => write!(f, "the client failed: {why}"),
        }
    }
}
