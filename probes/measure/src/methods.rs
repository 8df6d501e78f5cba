//! The experiments. Each observes and returns plain data; none names a cause.

pub(crate) mod allowlist;
pub(crate) mod bridge;
pub(crate) mod conns;
pub(crate) mod dest;
pub(crate) mod dns;
pub(crate) mod ech;
pub(crate) mod env;
pub(crate) mod fet;
pub(crate) mod freeze;
pub(crate) mod quic;
pub(crate) mod throttle;
pub(crate) mod tls;
pub(crate) mod transport;
pub(crate) mod udp;

use commucat_verdict::observations::{Observations, ServerKind};

use crate::safety::ConsentMissing;

/// What a method brings back.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// What was observed.
    pub(crate) observations: Observations,
    /// Whether the time ran out before everything was observed.
    pub(crate) cut: bool,
    /// Parts that were left out, and why.
    pub(crate) left_out: Vec<String>,
}

impl Outcome {
    /// Takes up what a part of the method observed.
    pub(crate) fn absorb(&mut self, other: Self) {
        self.observations.absorb(other.observations);
        self.cut |= other.cut;
        self.left_out.extend(other.left_out);
    }
}

/// Why a subtest did not run, or broke.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MethodError {
    /// Consent is missing.
    #[error(transparent)]
    Consent(#[from] ConsentMissing),
    /// The measurements would go through a tunnel and describe that.
    #[error(
        "the route to the control servers leads into a tunnel ({interface}): the result would describe the tunnel. Switch the VPN off and try again"
    )]
    Tunnel {
        /// The interface.
        interface: String,
    },
    /// Something rewrites packets of this machine.
    #[error(
        "{program} rewrites packets on this machine: the result would describe it. Stop it and try again"
    )]
    Rewriter {
        /// What.
        program: String,
    },
    /// The targets have no server of a kind, or none with such ports.
    #[error("the targets name no {kind} server with {what}: add them to its [[server]]")]
    NoTarget {
        /// Which kind.
        kind: ServerKind,
        /// What it lacks.
        what: &'static str,
    },
    /// The targets lack something else.
    #[error("the targets lack {what}")]
    Lacks {
        /// What, and where to add it.
        what: &'static str,
    },
    /// An earlier subtest made this one meaningless.
    #[error("{why}")]
    Meaningless {
        /// Why.
        why: String,
    },
}
