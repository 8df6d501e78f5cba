//! A complete transport to try the suite on: users, replay protection, silence for strangers, datagrams, links. Each
//! [`Flaw`] breaks one promise of the contract, so that the tests can see the suite find it.
//!
//! First flight: nonce (16) ‖ tag (16) ‖ address, all after the tag masked with a keystream of the user's key.

#[path = "datagrams.rs"]
mod datagrams;
#[path = "masked.rs"]
mod masked;
#[path = "server.rs"]
mod server;

use std::{fmt::Write as _, io, sync::Arc, time::Duration};

use commucat_testkit::suite::Cover;
use commucat_transport_api::{
    Addressing, BoxFuture, Channel, ChannelKinds, Client, ConfigError, ConfigProblem, Cx, Descriptor,
    DialError, Failure, HostPort, Opened, Phase, PluggableTransport, ProbeReport, ProbeStep, Roles, Secret,
    Server, Signal, Spec, Target, TransportId, User, UserTable,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;

use self::{datagrams::FramedDatagrams, masked::Masked, server::GatedServer};

/// The promises that can be broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    None,
    /// After `poll_shutdown` nothing is read any more.
    NoHalfClose,
    /// The end of stream is held back.
    LateEnd,
    /// The first flight waits for the first write.
    LazyHello,
    /// Whatever is written is taken, however much lies there.
    NoBackPressure,
    /// One byte changes after a few hundred kilobytes.
    CorruptsBulk,
    /// The server expects the first flight in one read.
    WholeHelloInOneRead,
    /// The server says another target than was dialled.
    WrongTarget,
    /// The server does not remember nonces.
    AcceptsReplay,
    /// The server tells strangers to go away.
    AnswersStrangers,
    /// The server closes on strangers at once.
    ClosesOnStrangers,
    /// The server panics on bytes that are no text.
    PanicsOnNoise,
    /// The handshake of a peer that went away never ends.
    StuckHandshake,
    /// Everybody is the first user.
    AnySecret,
    /// Nobody knows who it was.
    NoUser,
    /// The server keeps the users it started with.
    KeepsRemovedUsers,
    /// A client is told the address the server listens at, not the public one.
    ForgetsPublic,
    /// A link loses part of the endpoint.
    WrongLink,
    /// Too long datagrams are cut.
    CutsDatagrams,
    /// Datagrams of the longest length are dropped.
    DropsLongest,
    /// All answers seem to come from one peer.
    OnePeer,
    /// Parameters that cannot be read are taken for the default.
    ForgivesParams,
    /// The port stays taken after the listener is gone.
    KeepsPort,
    /// The server serves a few connections only.
    FewConnections,
    /// Channels are handed to one task that stops at the first that waits.
    SlowHoldsAll,
}

/// What a stranger of this transport sees.
pub fn cover() -> Cover {
    Cover::silence()
}

const ID: TransportId = TransportId::from_static("gated");
const CHANNELS: ChannelKinds = ChannelKinds { stream: true, datagram: true, mux: false };
static DESCRIPTOR: Descriptor =
    Descriptor::new(ID, "bytes without structure", CHANNELS, Roles::Both, Addressing::Proxy)
        .with_schemes(&["gated"]);

pub const NONCE_BYTES: usize = 16;
pub const TAG_BYTES: usize = 16;
/// Stands where an address type would, for a datagram association.
pub const DATAGRAMS_TYPE: u8 = 0;

pub type UserKey = [u8; 32];

#[derive(Debug)]
pub struct Gated(pub Flaw);

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ClientParams {
    key: String,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ServerParams {
    name: String,
}

impl PluggableTransport for Gated {
    fn descriptor(&self) -> &Descriptor {
        &DESCRIPTOR
    }

    fn parse_link(&self, link: &str) -> Result<Spec, ConfigError> {
        let bad = || ConfigError::new(None, ConfigProblem::BadValue);
        let body = link.strip_prefix("gated://").ok_or_else(bad)?;
        let (spec, _name) = body.split_once('#').unwrap_or((body, ""));
        serde_json::from_slice(&from_hex(spec).ok_or_else(bad)?)
            .map_err(|error| ConfigError::with_source(None, ConfigProblem::BadValue, error))
    }

    fn client(&self, spec: &Spec) -> Result<Arc<dyn Client>, ConfigError> {
        let params = self.params::<ClientParams>(spec)?;
        let key = from_hex(&params.key).and_then(|key| UserKey::try_from(key).ok()).unwrap_or_default();
        Ok(Arc::new(GatedClient { flaw: self.0, spec: spec.clone(), key }))
    }

    fn server(&self, spec: &Spec, users: &Arc<UserTable>) -> Result<Arc<dyn Server>, ConfigError> {
        let _params = self.params::<ServerParams>(spec)?;
        Ok(Arc::new(GatedServer::new(self.0, spec.endpoint.clone(), Arc::clone(users))))
    }

    fn generate_server_params(&self) -> Result<Value, ConfigError> {
        Ok(json!({ "name": "gate" }))
    }
}

impl Gated {
    fn params<T: for<'de> Deserialize<'de> + Default>(&self, spec: &Spec) -> Result<T, ConfigError> {
        if self.0 == Flaw::ForgivesParams {
            return Ok(spec.params().unwrap_or_default());
        }
        spec.params()
    }
}

pub fn user_key(user: &User) -> UserKey {
    blake3::derive_key("commucat gated user key v1", user.secret.expose())
}

pub fn tag(key: &UserKey, nonce: &[u8]) -> [u8; TAG_BYTES] {
    let mut tag = [0; TAG_BYTES];
    blake3::Hasher::new_keyed(key).update(b"tag").update(nonce).finalize_xof().fill(&mut tag);
    tag
}

/// What a client of this user needs.
pub fn client_spec(public: &HostPort, user: &User) -> Result<Spec, ConfigError> {
    Spec::new(ID, public.clone(), ClientParams { key: hex(&user_key(user)) })
}

struct GatedClient {
    flaw: Flaw,
    spec: Spec,
    key: UserKey,
}

impl std::fmt::Debug for GatedClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GatedClient").finish_non_exhaustive()
    }
}

impl GatedClient {
    async fn open(&self, cx: &Cx, target: &Target) -> Result<Channel, DialError> {
        let began = cx.net.now();
        let mut inner = Vec::new();
        match target {
            Target::Datagrams => inner.push(DATAGRAMS_TYPE),
            other => other.to_address().ok_or(DialError::UnsupportedTarget)?.encode(&mut inner),
        }
        let connecting = async {
            let mut nonce = [0; NONCE_BYTES];
            cx.net.fill_random(&mut nonce)?;
            let mut stream = cx.net.connect_stream(&self.spec.endpoint).await?;
            let hello = [&nonce[..], &tag(&self.key, &nonce)].concat();
            if self.flaw == Flaw::LazyHello {
                let first = [hello, masked::mask_once(&self.key, &nonce, &inner)].concat();
                return Ok(Masked::client_with_first(
                    stream,
                    &self.key,
                    &nonce,
                    self.flaw,
                    first,
                    inner.len(),
                ));
            }
            stream.write_all(&hello).await?;
            let mut stream = Masked::client(stream, &self.key, &nonce, self.flaw);
            stream.write_all(&inner).await?;
            Ok::<_, io::Error>(stream)
        };
        let late = || Err(io::ErrorKind::TimedOut.into());
        let stream = cx.until_deadline(connecting).await.unwrap_or_else(late);
        let stream = stream.map_err(|error| DialError::io(Phase::Connect, cx.net.now() - began, error))?;
        Ok(match target {
            Target::Datagrams => {
                Channel::Datagrams(Box::new(FramedDatagrams::new(Box::new(stream), self.flaw)))
            }
            _ => Channel::Stream(Box::new(stream)),
        })
    }
}

impl Client for GatedClient {
    fn dial<'a>(&'a self, cx: &'a Cx, target: &'a Target) -> BoxFuture<'a, Result<Opened, DialError>> {
        Box::pin(async move { Ok(Opened::new(self.open(cx, target).await?)) })
    }

    fn probe<'a>(&'a self, cx: &'a Cx) -> BoxFuture<'a, ProbeReport> {
        Box::pin(async move {
            let outcome = self.open(cx, &Target::Bridge).await.map(|_channel| Duration::ZERO);
            let other = Failure::new(Phase::Connect, Signal::Other, Duration::ZERO);
            let outcome = outcome.map_err(|error| error.failure().cloned().unwrap_or(other));
            ProbeReport::new(vec![ProbeStep::new("connect", outcome)])
        })
    }

    fn link(&self, name: &str) -> Option<Secret<String>> {
        let mut spec = self.spec.clone();
        if self.flaw == Flaw::WrongLink {
            spec.endpoint.port = 443;
        }
        let spec = hex(&serde_json::to_vec(&spec).ok()?);
        Some(Secret::new(format!("gated://{spec}#{}", hex(name.as_bytes()))))
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> =
        text.chars().map(|digit| digit.to_digit(16).map(|digit| digit as u8)).collect::<Option<_>>()?;
    Some(digits.chunks(2).map(|pair| pair[0] << 4 | pair.get(1).copied().unwrap_or(0)).collect())
}
