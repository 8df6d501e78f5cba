//! WebSocket over browser-like TLS, both ends, and the bare HTTP upgrade (`raw`).
//!
//! # What a censor sees
//! A TLS 1.3 connection with the hello that Chrome sends for `new WebSocket(…)` (what differs stands in the source of
//! `tls/client.rs`), to a server that shows an ordinary web site to everybody who asks. Behind a CDN it sees the CDN.
//!
//! # Known detections, and the answer
//! * *Library hello* (wstunnel and the like show rustls or Go): BoringSSL set up as Chrome; a test compares the parts
//!   with a captured hello.
//! * *Active probing*: a wrong path, a wrong or replayed token and a plain visit take the same way through the code and get
//!   the same bytes, apart from `Date` and the random `X-Request-Id` that every answer has. The token is the
//!   only thing that opens the door, and it can be used once.
//! * *One certificate or page for all* : each bridge makes its own certificate and its own built-in site.
//! * *Idle cuts by CDNs* (60 to 125 s): padded pings after 20 to 45 s of silence, drawn anew for each connection.
//! * Not answered here: lengths and timing of what is inside; the `raw` mode and `tls: "off"` show HTTP to whoever
//!   stands behind the TLS.
//!
//! # Token, verdict, request
//! `wire/token.rs`, `wire/verdict.rs` and `wire/request.rs` say them byte by byte. They ride base64url in
//! `Sec-WebSocket-Protocol`, followed by up to 2048 bytes of first payload; the server echoes the header. A refused
//! client learns the cause from the `X-Request-Id` of the cover's answer, which only the bridge key can read. What is
//! not remembered: salts seen before a restart of the server (a token lives for twice `tolerance_s`).
//!
//! # Ends of stream
//! WebSocket has no half-close. Between our own ends an empty binary message ends one direction (`stream.rs`). With
//! foreign peers (`auth: "none"`) a close frame ends both. In `raw` mode TLS or TCP carries the half-close.
//!
//! # Links
//! `commucat-ws://USER_KEY@HOST:PORT/PATH?key=…#NAME`; all fields stand in `link.rs`.
//!
//! # Limits
//! Head 8 KiB and 100 fields · first payload 2048 bytes · frame and message 1 MiB from others, 64 KiB from us · datagram
//! with address 65,535 bytes · 10 s to the first byte and 10 s for handshake and first head · 8192 connections that have not proved
//! themselves · 131,072 remembered salts a half. Plain HTTP on the TLS port gets a TLS alert and a close.
#![forbid(unsafe_code)]

mod attempt;
mod carrier;
mod client;
mod coalesce;
mod config;
mod conn;
mod cover;
mod datagram;
mod early;
#[doc(hidden)]
pub mod fuzzing;
mod gate;
mod handshake;
mod keepalive;
mod link;
mod probe;
mod raw;
mod server;
mod stream;
mod tls;
mod users;
mod wire;

use std::sync::Arc;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use commucat_transport_api::{
    Addressing, ChannelKinds, Client, ConfigError, ConfigProblem, Descriptor, PluggableTransport, Roles,
    Server, Spec, TransportId, UserTable,
};
use serde_json::json;

/// The id of this transport in specs.
pub const ID: TransportId = TransportId::from_static("websocket");

/// Beginnings of paths that mean nothing, for a fresh bridge.
const PATH_STEMS: [&str; 8] = ["live", "events", "updates", "chat", "feed", "notify", "stream", "sync"];

/// The transport.
#[derive(Debug)]
pub struct WebSocket {
    descriptor: Descriptor,
}

impl WebSocket {
    /// The transport.
    pub const fn new() -> Self {
        let channels = ChannelKinds { stream: true, datagram: true, mux: false };
        let summary = "WebSocket in a browser's TLS, to an ordinary web site";
        let descriptor = Descriptor::new(ID, summary, channels, Roles::Both, Addressing::Proxy);
        Self { descriptor: descriptor.with_schemes(&[link::SCHEME]) }
    }
}

impl Default for WebSocket {
    fn default() -> Self {
        Self::new()
    }
}

impl PluggableTransport for WebSocket {
    fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    fn parse_link(&self, link: &str) -> Result<Spec, ConfigError> {
        link::parse(link)
    }

    fn client(&self, spec: &Spec) -> Result<Arc<dyn Client>, ConfigError> {
        Ok(Arc::new(client::WsClient::new(spec)?))
    }

    fn server(&self, spec: &Spec, users: &Arc<UserTable>) -> Result<Arc<dyn Server>, ConfigError> {
        Ok(Arc::new(server::WsServer::new(spec, users)?))
    }

    fn generate_server_params(&self) -> Result<serde_json::Value, ConfigError> {
        let mut random = [0; 32 + 1 + 9];
        boring::rand::rand_bytes(&mut random)
            .map_err(|error| ConfigError::with_source(Some("key"), ConfigProblem::BadValue, error))?;
        let (key, rest) = random.split_at(32);
        let (stem, tail) = rest.split_at(1);
        let stem = stem.first().and_then(|stem| PATH_STEMS.get(usize::from(*stem) % PATH_STEMS.len()));
        let tail = URL_SAFE_NO_PAD.encode(tail);
        let identity = tls::certificate::generate()?;
        Ok(json!({
            "key": URL_SAFE_NO_PAD.encode(key),
            "path": format!("/{}/{tail}", stem.copied().unwrap_or("live")),
            "cert_pem": identity.cert_pem,
            "key_pem": identity.key_pem,
        }))
    }
}
