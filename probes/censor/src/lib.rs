//! A censor and a link as pure state machines: policies, flows, residuals, profiles, delay, loss, rate.
//!
//! There is no socket, no clock and no thread here. [`Judge`] takes each packet that crosses with the time of it and says
//! whether it passes; [`Link`] takes its length and says when it arrives. The same packets at the same times with the same
//! seed give the same answers, so what a censor did can be done again. `probes/lab` drives both with real packets.
//!
//! - A [`Profile`] is a network to be judged in: a chain of policies and a link, by name (`ru-2026`) or as text.
//! - [`POLICIES`] is the table of all policies: what each does, its parameters, their defaults, and how well they are known.
//! - A [`Policy`] sees a packet ([`Seen`]) with what is remembered of its connection ([`Flow`]), and answers an [`Action`].
//!   What it decrees for later packets is a [`Sentence`].
//! - Each packet that did not simply pass is in an [`Event`] with the numbers that made a policy act: each decision has
//!   its own line, and packets that fall under a decision of before share one line a second with their count.
//!
//! # What the judge reads, and what not
//!
//! IPv4 and IPv6, TCP and UDP. The first [`PREFIX_BYTES_MAX`] bytes of each direction of a TCP connection are put together,
//! whatever the order of the segments; of two copies of a byte the first counts. As in real boxes there is an end to it:
//! at most [`FLOWS_MAX`] connections and 64 MiB of beginnings are remembered. Checksums and times to live are not looked at,
//! and fragments of IP packets are not put together: they pass unless a policy drops them as they are.
//!
//! # Example
//!
//! ```
//! use std::time::Duration;
//!
//! use commucat_censor::{Decision, Geography, Judge, Lists, Profile, Side};
//!
//! # fn main() -> Result<(), commucat_censor::SpecError> {
//! let profile = Profile::parse("udp-off")?;
//! let mut judge = Judge::new(&profile, &Geography::default(), &Lists::default(), 7, 1.0)?;
//! // UDP from 10.73.0.2:4000 to 203.0.113.10:4000, without payload.
//! let mut packet = vec![0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0, 10, 73, 0, 2, 203, 0, 113, 10];
//! packet.extend([0x0f, 0xa0, 0x0f, 0xa0, 0, 8, 0, 0]);
//! assert_eq!(judge.handle_packet(Duration::ZERO, Side::Client, &packet), Decision::Drop);
//! assert_eq!(judge.poll_event().map(|event| event.policy), Some("udp-off"));
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]

mod bounded;
mod catalogue;
mod event;
mod flow;
mod geography;
mod hello;
mod judge;
mod link;
mod lists;
mod parameter;
mod policer;
mod policies;
mod policy;
mod profile;
mod random;
mod reassembly;
mod residual;
mod spec;
#[cfg(test)]
mod testing;

pub use catalogue::{Catalogue, ParameterRow, PolicyRow};
pub use event::{Done, Event, PerSide, Side, Why};
pub use flow::{FLOWS_MAX, Flow, FlowKey, PerFlow, Protocol, TcpState};
pub use geography::{Cidr, Geography, NetSet, NotACidr};
pub use hello::{Hello, QuicHello, Reassembly};
pub use judge::{Decision, Judge, Stats};
pub use link::{Direction, Fate, IN_FLIGHT_PACKETS_MAX, LINK, LINK_PARAMETERS, Link, LinkSpec, Reason};
pub use lists::{Lists, NameList};
pub use parameter::{
    Kind, Parameter, ParameterError, Values, nearest, parse_bytes, parse_chance, parse_duration, parse_rate,
};
pub use policer::{Policer, Share};
pub use policies::{Entry, POLICIES, check, find};
pub use policy::{
    Action, Cx, Injection, Policy, Position, ProbeKind, ProbeOutcome, ProbeRequest, Reset, Seen,
};
pub use profile::{Mark, Observable, Profile, Source, Unseen, observable};
pub use random::Random;
pub use reassembly::PREFIX_BYTES_MAX;
pub use residual::{FOREVER, Kill, Scope, Sentence, Target};
pub use spec::{PolicySpec, Queue, SpecError, parse_chain};
