//! A target for each parser that reads foreign bytes. A target takes any bytes and panics when the parser breaks its
//! promise: most promise that what they accept survives writing and reading again.
//!
//! `tests/replay.rs` runs every target over `corpus/` and over cut and changed copies of it, as an ordinary test.
//! `libfuzzer/` runs the same functions under coverage: `./run fuzz TARGET`.
#![forbid(unsafe_code)]
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "a broken promise is a panic: that is how a fuzzer hears of it"
)]

mod address;
mod client_hello;
mod dns_message;
mod endpoint;
mod http_head;
mod judge;
mod mux_session;
mod packet;
mod proxy;
mod quic_initial;
mod reality_bridge;
mod server_list;
mod shadowsocks_wire;
mod share_link;
mod spec;
mod tls_server;
mod transport_link;
mod vpn_shapes;
mod websocket_wire;

/// A function that takes any bytes.
pub type Target = fn(&[u8]);

/// Every target by the name of its corpus folder.
pub const TARGETS: &[(&str, Target)] = &[
    ("address", address::run),
    ("client_hello", client_hello::run),
    ("dns_message", dns_message::run),
    ("endpoint", endpoint::run),
    ("http_head", http_head::run),
    ("judge", judge::run),
    ("mux_session", mux_session::run),
    ("packet", packet::run),
    ("proxy", proxy::run),
    ("quic_initial", quic_initial::run),
    ("reality_hello", reality_bridge::hello),
    ("reality_vision", reality_bridge::vision),
    ("server_list", server_list::run),
    ("shadowsocks_wire", shadowsocks_wire::run),
    ("share_link", share_link::run),
    ("spec", spec::run),
    ("tls_answer", tls_server::answer),
    ("tls_certificate", tls_server::certificate),
    ("tls_flight", tls_server::flight),
    ("tls_records", tls_server::records),
    ("transport_link", transport_link::run),
    ("vless_request", reality_bridge::request),
    ("vless_xudp", reality_bridge::xudp),
    ("vpn_shapes", vpn_shapes::run),
    ("websocket_wire", websocket_wire::run),
];

/// The target of that name.
pub fn target(name: &str) -> Option<Target> {
    TARGETS.iter().find(|(known, _run)| *known == name).map(|(_name, run)| *run)
}
