//! A censor and a link as pure state machines: policies, flows, residuals, profiles, delay, loss, rate.
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
