//! Bridges, clients and origins for the tests; everything ends when it is dropped.

mod bridge;
mod client;
mod origin;
mod process;
mod tools;

pub(crate) use bridge::{Bridge, BridgeOptions, closed_port, up};
pub(crate) use client::Client;
pub(crate) use origin::Origin;
pub(crate) use process::{Output, Process, commucat, run};
pub(crate) use tools::{begin_transfer, curl, tool};
