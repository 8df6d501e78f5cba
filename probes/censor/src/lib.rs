//! A censor and a link as pure state machines: policies, flows, residuals, profiles, delay, loss, rate.
#![forbid(unsafe_code)]
