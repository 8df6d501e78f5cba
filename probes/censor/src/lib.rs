//! A censor and a link as pure state machines: policies, flows, residuals, profiles, delay, loss, rate.
#![forbid(unsafe_code)]

mod parameter;
mod random;

pub use parameter::{
    Kind, Parameter, ParameterError, Values, nearest, parse_bytes, parse_chance, parse_duration, parse_rate,
};
pub use random::Random;
