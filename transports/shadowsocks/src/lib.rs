//! Shadowsocks, both ends: the 2022 editions with many users, and AEAD-2017 for older clients; TCP and UDP.
//!
//! # What a censor sees
//!
//! A TCP connection, or UDP packets, of nothing but random bytes: no greeting, no certificate, no fixed length. The
//! first packet is a salt and sealed headers together with the first payload, padded so that its length says little.
//! A stranger who connects, whatever he sends, is never answered: the connection stays open and silent for one to
//! three minutes and then closes, exactly as one on which nothing was sent.
//!
//! # Known detections and what answers them
//!
//! | detection | answer |
//! |---|---|
//! | Traffic without any structure in the first packet (China 2021–2023, [`fet`]) | a salt prefix that looks like another protocol; the probe says which rule covers us; else run inside WebSocket |
//! | Active probing: random bytes, cut and replayed first flights (China since 2019) | silence in every case, salts kept, times checked, closing time drawn before the first byte |
//! | Byte-by-byte probes that look for the length at which a server closes | nothing closes at a length |
//! | Length of the first packet | header and first payload as one, padding up to 900 bytes |
//! | Long-lived flows to a foreign address, per-flow limits (Russia 2024–) | none here: carry it over WebSocket, let the client race endpoints |
//!
//! A prefix is fixed bytes in front of random ones: it is for filters that look at the first bytes only.
//!
//! # Parameters
//!
//! Server: `{"method", "key", "single_user"?, "mode"?, "prefix"?, "udp_idle_s"?}`. For the AES methods of 2022 `key` is the bridge's
//! own key and users are told apart by identity headers in constant time; for all other methods each user's key is
//! tried (at most 1024 users, the last one of an address first). With `single_user` the `key` (base64, or for
//! AEAD-2017 any password) is everybody's, the user table is ignored, and nobody can be removed.
//! `mode` is `tcp_and_udp`, `tcp_only` or `udp_only`; over a carrier there is TCP only. `prefix` is handed to clients.
//! A UDP session whose client is silent for `udp_idle_s` seconds (300) ends; clients cannot say that they go.
//!
//! Client: `{"method", "key", "mode"?, "prefix"?}`; `key` may be `bridge:user`. A prefix has at most 12 bytes, needs
//! a method with 32-byte salts, and is written `POST%20`, or `base64:…`.
//!
//! # Links
//!
//! `ss://` as SIP002 has it ([`link`]): plain or base64 user information, the older base64 of everything, Outline's
//! `prefix`, and `plugin=v2ray-plugin;…` as a WebSocket carrier. [`sip008`] reads and writes lists and Outline's JSON.
//!
//! # What is not said, and limits
//!
//! * A server never says why it does not answer: a wrong key, a wrong clock, a full salt cache are silence. A stream
//!   that ends before the first byte of the answer is an error with evidence in it (`Failure::in_io`):
//!   `Authenticate` / `UnexpectedEof`, or `AuthRejected` when the end came after so long a silence as servers keep
//!   towards strangers (55 s); a reset is `Handshake` / `Reset`, for no server that hides itself resets. The answer
//!   carries a time: when it verifies and is more than 30 s off, the evidence is `ClockSkew`.
//! * Our server ends a stream without payload by an empty sealed answer, which proves the key; a server that has to
//!   refuse a target should therefore shut the stream down rather than drop it.
//! * A dial returns when the carrier is connected: the request leaves with the first write, at a flush, or 20 ms after
//!   the first read.
//! * The end of a stream is not authenticated: whoever can forge a FIN at a record boundary can cut it.
//! * No forward secrecy. AEAD-2017 has no time either, so it remembers the last 131,072 to 262,144 salts only, and of packets
//!   none: a replayed packet of AEAD-2017 is served again.
#![forbid(unsafe_code)]

mod buffer;
mod cipher;
mod client;
mod config;
mod cover;
mod credentials;
mod error;
mod handshake;
mod keys;
pub mod link;
mod method;
mod plugin;
mod prefix;
mod probe;
mod replay;
mod server;
pub mod sip008;
mod stream;
mod udp;
pub mod wire;

use std::sync::Arc;

/// The rule by which the probe tells what covers the first packet.
pub use commucat_dissect::fet;
use commucat_transport_api::{
    Addressing, ChannelKinds, Client, ConfigError, Descriptor, PluggableTransport, Roles, Server, Spec,
    TransportId, UserTable,
};
pub use error::{CryptoError, StreamError};
pub use method::{Edition, MAX_KEY_BYTES, Method, TAG_BYTES, UnknownMethod};
pub use prefix::MAX_PREFIX_BYTES;

/// The id of this transport in specs.
pub const ID: TransportId = TransportId::from_static("shadowsocks");

/// The transport.
#[derive(Clone, Debug)]
pub struct Shadowsocks {
    descriptor: Descriptor,
}

impl Shadowsocks {
    /// The transport.
    pub const fn new() -> Self {
        let channels = ChannelKinds { stream: true, datagram: true, mux: false };
        let summary = "random bytes without any structure, over TCP and UDP; silence for strangers";
        let descriptor = Descriptor::new(ID, summary, channels, Roles::Both, Addressing::Proxy);
        Self { descriptor: descriptor.with_schemes(&[link::SCHEME]) }
    }
}

impl Default for Shadowsocks {
    fn default() -> Self {
        Self::new()
    }
}

impl PluggableTransport for Shadowsocks {
    fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    fn parse_link(&self, link: &str) -> Result<Spec, ConfigError> {
        link::parse(link).map(|link| link.spec)
    }

    fn client(&self, spec: &Spec) -> Result<Arc<dyn Client>, ConfigError> {
        Ok(Arc::new(client::SsClient::new(spec)?))
    }

    fn server(&self, spec: &Spec, users: &Arc<UserTable>) -> Result<Arc<dyn Server>, ConfigError> {
        Ok(Arc::new(server::SsServer::new(spec, users)?))
    }

    fn generate_server_params(&self) -> Result<serde_json::Value, ConfigError> {
        config::generate_server_params()
    }
}
