//! The lab as a whole: its policies, its services, and programs that nobody here wrote inside it.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod catalogue;
mod chromium;
mod curl;
mod hostile;
mod openvpn;
mod places;
mod profile_verdicts;
mod quic;
mod residual;
mod services;
mod shadowsocks;
mod stage;
mod wireguard;
