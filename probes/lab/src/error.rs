//! What can go wrong with a lab, and what helps.

use std::{io, net::IpAddr, path::PathBuf};

use commucat_censor::SpecError;

use crate::privilege::Missing;

/// Why a lab could not start, or could not do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LabError {
    /// The system lacks something the lab is made of, or does not allow it.
    #[error("the lab cannot run here: {0}")]
    Missing(#[from] Missing),
    /// A call that makes or enters a namespace was refused.
    #[error("cannot {what} for the place `{place}`")]
    Namespace {
        /// The place.
        place: &'static str,
        /// What was tried.
        what: &'static str,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// The TUN device of a place could not be made.
    #[error("cannot make the TUN device of the place `{place}`")]
    Tun {
        /// The place.
        place: &'static str,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// An address, a route or a device of a place could not be configured.
    #[error("cannot {what} in the place `{place}`")]
    Network {
        /// The place.
        place: &'static str,
        /// What was tried.
        what: String,
        /// The kernel's reason.
        #[source]
        source: io::Error,
    },
    /// The profile cannot be judged by.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// The geography cannot be laid out in two namespaces.
    #[error("the geography cannot be laid out: {0}")]
    Geography(GeographyProblem),
    /// A thread could not be started.
    #[error("cannot start the thread `{name}`")]
    Thread {
        /// The thread.
        name: &'static str,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// A program could not be started in a place.
    #[error("cannot run `{program}` in the place `{place}`; is it installed?")]
    Spawn {
        /// The program.
        program: String,
        /// The place.
        place: &'static str,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// A program that runs in a place could not be waited for, or its output could not be read.
    #[error("lost the program `{program}`")]
    Child {
        /// The program.
        program: String,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// A program did not end in time and was killed.
    #[error("`{program}` did not end within {seconds} s and was killed")]
    Deadline {
        /// The program.
        program: String,
        /// How long it had.
        seconds: u64,
    },
    /// The code that ran inside a place panicked.
    #[error("the code that ran in the place `{0}` panicked")]
    Panicked(&'static str),
    /// The lab has stopped, or its packet loop died.
    #[error("the lab has stopped")]
    Stopped,
    /// The folder for captures and events cannot be used.
    #[error("cannot write the capture to {path}")]
    Capture {
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// The packet loop ended by an error of its own.
    #[error("the packet loop ended")]
    Loop(#[source] io::Error),
}

/// What is wrong with a geography.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GeographyProblem {
    /// A network that must hold a host of ours is too small.
    #[error("the network of {0} holds no address for a host; make it /30 or larger for IPv4")]
    TooSmall(&'static str),
    /// The lab lays out one address family a place.
    #[error("{what} {address} is of another address family than the client's network")]
    Family {
        /// Which part.
        what: &'static str,
        /// The address.
        address: IpAddr,
    },
    /// No address lies in the world.
    #[error("no network lies in the world: name at least one of cdn, foreign and domestic")]
    EmptyWorld,
    /// Two parts overlap.
    #[error("{one} and {other} overlap")]
    Overlap {
        /// One network.
        one: String,
        /// The other.
        other: String,
    },
}
