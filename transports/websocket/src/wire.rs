//! The pure half: frames, tokens, verdicts and HTTP heads as bytes. Nothing in here reads a clock, a socket or
//! randomness; all of it is tested and fuzzed without a network.

pub(crate) mod frame;
pub(crate) mod head;
pub(crate) mod mask;
pub(crate) mod request;
pub(crate) mod token;
pub(crate) mod upgrade;
pub(crate) mod verdict;
