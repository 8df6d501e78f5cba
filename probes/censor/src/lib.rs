//! A censor and a link as pure state machines: policies, flows, residuals, profiles, delay, loss, rate.
#![forbid(unsafe_code)]

mod geography;
mod link;
mod lists;
mod parameter;
mod random;
mod spec;

pub use geography::{Cidr, Geography, NetSet, NotACidr};
pub use link::{Direction, Fate, IN_FLIGHT_PACKETS_MAX, LINK, LINK_PARAMETERS, Link, LinkSpec, Reason};
pub use lists::{Lists, NameList};
pub use parameter::{
    Kind, Parameter, ParameterError, Values, nearest, parse_bytes, parse_chance, parse_duration, parse_rate,
};
pub use random::Random;
pub use spec::{PolicySpec, Queue, SpecError, parse_chain};
