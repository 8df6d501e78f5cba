//! REALITY, both ends, with VLESS inside.
//!
//! # What a censor sees
//!
//! A browser's TLS 1.3 connection to a well-known site: the browser's hello with that site's name, and the site's own
//! answer, for the bridge asks the site and repeats its ServerHello; only the key in it is ours. The sealed records
//! after it have the lengths of the site's. Whoever is no client of ours talks to the site itself, through us: every
//! byte, every alert, every end.
//!
//! # Known detections and what answers them
//!
//! | detection | answer |
//! |---|---|
//! | Active probing with anything: other names, old TLS, garbage, half a hello | the bytes go to the site, its answer comes back |
//! | Replaying a captured hello | each hello is accepted once while its time is good; a replay goes to the site |
//! | Hellos of no browser (JA4) | hellos from captured templates of current browsers ([`commucat_mimic`]) |
//! | Lengths of the server's flight, tickets after it | as the site's, which is looked at when the bridge starts |
//! | Clients that leave as soon as the site answers instead of the bridge | they finish the handshake, ask for pages as the browser would, as many as the link says, and read for some seconds before they report it |
//! | A certificate that is not the site's | it is sealed; nobody but the client can open it |
//! | Counting handshakes to one network and name | our own clients carry all streams over at most three connections ([`commucat_mux`]) |
//! | TLS inside TLS by lengths and timing | the flow `xtls-rprx-vision`: padding while the inner handshake lasts, then the inner records themselves; padded first frames on a shared connection |
//!
//! # Parameters
//!
//! Server: `{"target", "server_names", "private_key", "short_ids", "max_time_diff_s"?, "min_client_version"?,
//! "mldsa65_seed"?, "fingerprint"?, "flow"?, "carriers"?, "spider"?, "target_dials"?, "fallback_limit"?, "hello_pack"?,
//! "hello_pack_key"?}`. `flow` is what our own clients are told to use, `""` or `"xtls-rprx-vision"`; every user may use
//! either. `carriers` is how many connections they are told to share, 0 to 3. `target` is `host:port` of a site with TLS
//! 1.3 that is not behind the same censor; it is asked when the bridge starts, and a site that cannot be imitated is an
//! error then.
//!
//! Client: `{"server_name", "public_key", "short_id", "user", "fingerprint"?, "mldsa65_verify"?, "flow"?,
//! "carriers"?, "spider"?}`. `user` is a UUID. Without `carriers` each stream has a connection of its own, as with bridges of
//! others.
//!
//! # Datagrams
//!
//! As XUDP both ways: frames of mux.cool, session 0, each with its peer. The server takes VLESS UDP as well, whose
//! datagrams have one peer. The longest datagram that is sent has 8,192 bytes, as Xray takes no longer ones. A client of
//! XUDP may give its association an id; when its stream breaks and it comes back within a minute, it finds the association
//! as it was. Our own client gives none: each dial of it is another association.
//!
//! # Links
//!
//! `vless://` with `security=reality`, as Xray and its clients share them.
//!
//! # What is not built
//!
//! Of mux.cool only XUDP's session is spoken.
#![forbid(unsafe_code)]

mod auth;
mod certificate;
mod client;
mod config;
mod cover;
#[doc(hidden)]
pub mod fuzzing;
mod hellos;
mod judge;
mod link;
mod probe;
mod replay;
mod server;
mod spider;
mod target;
mod tls;
mod users;
mod verify;
mod vless;

use std::sync::Arc;

use commucat_mux::{Carried, CarrierPolicy};
use commucat_transport_api::{
    Addressing, ChannelKinds, Client, ConfigError, Descriptor, PluggableTransport, Roles, Server, Spec,
    TransportId, UserTable,
};

/// The id of this transport in specs.
pub const ID: TransportId = TransportId::from_static("reality");

/// The transport.
#[derive(Clone, Debug)]
pub struct Reality {
    descriptor: Descriptor,
    browsers: hellos::Browsers,
}

impl Reality {
    /// The transport.
    pub fn new() -> Self {
        let summary = "a browser's visit to a well-known site; strangers get the site itself";
        let channels = ChannelKinds { datagram: true, ..ChannelKinds::STREAM };
        let descriptor = Descriptor::new(ID, summary, channels, Roles::Both, Addressing::Proxy);
        // Which site is imitated is the operator's choice.
        Self {
            descriptor: descriptor.with_schemes(&[link::SCHEME]).for_operators(),
            browsers: hellos::Browsers::default(),
        }
    }

    /// The same with the hellos of a pack (`commucat reality pack`), whose signature stands beside it in a file whose name
    /// ends in `.sig` and is of this Ed25519 key, in base64url.
    ///
    /// # Errors
    /// The pack cannot be read, is not signed by that key, or is not newer than what is built in.
    pub fn with_hello_pack(mut self, pack: &std::path::Path, key: &str) -> Result<Self, ConfigError> {
        self.browsers = hellos::Browsers::read(pack, key)?;
        Ok(self)
    }
}

impl Default for Reality {
    fn default() -> Self {
        Self::new()
    }
}

impl PluggableTransport for Reality {
    fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    fn parse_link(&self, link: &str) -> Result<Spec, ConfigError> {
        link::parse(link)
    }

    fn client(&self, spec: &Spec) -> Result<Arc<dyn Client>, ConfigError> {
        let client = client::RealityClient::new(spec, &self.browsers)?;
        let carriers = usize::from(client.config.carriers);
        if carriers == 0 {
            return Ok(Arc::new(client));
        }
        let mut policy = CarrierPolicy::default();
        policy.max_carriers = carriers;
        Ok(Arc::new(Carried::new(Arc::new(client), policy, |driver| drop(tokio::spawn(driver)))))
    }

    fn server(&self, spec: &Spec, users: &Arc<UserTable>) -> Result<Arc<dyn Server>, ConfigError> {
        Ok(Arc::new(server::RealityServer::new(spec, users, &self.browsers)?))
    }

    fn generate_server_params(&self) -> Result<serde_json::Value, ConfigError> {
        config::generate_server_params()
    }
}
