//! What the suite needs to know of a transport in order to check it.

use std::{net::Ipv4Addr, sync::Arc, time::Duration};

use commucat_transport_api::{
    BoxFuture, ConfigError, Host, HostPort, Net, PluggableTransport, Spec, USER_SECRET_BYTES, User,
};
use serde_json::Value;

use super::{CheckError, Cover};
use crate::sim::SimNet;

/// How much the suite moves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scale {
    /// 1 MiB where bulk is moved: for every run of the tests.
    #[default]
    Quick,
    /// 64 MiB.
    Full,
}

impl Scale {
    /// Bytes to move where bulk is moved.
    pub(super) const fn bulk_bytes(self) -> u64 {
        match self {
            Self::Quick => 1 << 20,
            Self::Full => 64 << 20,
        }
    }

    /// Bytes of a channel that nobody reads for a while. The larger number is more than kernels take unread.
    pub(super) const fn slow_bytes(self) -> u64 {
        match self {
            Self::Quick => 1 << 20,
            Self::Full => 32 << 20,
        }
    }
}

/// A transport and the surroundings to check it in.
#[derive(Clone, Debug)]
pub struct Fixture {
    pub(super) transport: Arc<dyn PluggableTransport>,
    pub(super) server_spec: Spec,
    pub(super) client_net: Arc<dyn Net>,
    pub(super) server_net: Arc<dyn Net>,
    pub(super) cover: Cover,
    pub(super) replay_cover: Cover,
    pub(super) public_host: Option<Host>,
    pub(super) users: Result<(), &'static str>,
    pub(super) scale: Scale,
    pub(super) exact_delay: Option<Duration>,
    pub(super) pace: Pace,
}

/// How long the suite waits for what.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// For what must come to an end.
    pub(super) patience: Duration,
    /// For a dial.
    pub(super) dial: Duration,
    /// Before silence counts as silence.
    pub(super) quiet: Duration,
    /// For a cover's answer, and for a server to let go of a peer that ended its side.
    pub(super) linger: Duration,
    /// For the echo of one datagram, which a path may lose.
    pub(super) datagram: Duration,
}

impl Pace {
    const REAL: Self = Self {
        patience: Duration::from_secs(60),
        dial: Duration::from_secs(30),
        quiet: Duration::from_millis(300),
        linger: Duration::from_secs(10),
        datagram: Duration::from_secs(1),
    };
    /// Waiting costs nothing on a paused clock.
    const SIMULATED: Self = Self {
        patience: Duration::from_secs(4 * 3600),
        dial: Duration::from_secs(600),
        quiet: Duration::from_secs(5),
        linger: Duration::from_secs(600),
        datagram: Duration::from_secs(1),
    };
}

impl Fixture {
    /// A transport whose client and server use this network in real time, on `127.0.0.1`. Its server parameters are
    /// those it generates. `cover` is what a stranger must get.
    ///
    /// # Errors
    /// The transport cannot make server parameters.
    pub fn over(
        transport: Arc<dyn PluggableTransport>,
        net: Arc<dyn Net>,
        cover: Cover,
    ) -> Result<Self, ConfigError> {
        let endpoint = HostPort { host: Host::Ip(Ipv4Addr::LOCALHOST.into()), port: 0 };
        let params = transport.generate_server_params()?;
        let server_spec = Spec::new(transport.descriptor().id.clone(), endpoint, params)?;
        Ok(Self {
            transport,
            server_spec,
            client_net: Arc::clone(&net),
            server_net: net,
            replay_cover: cover.clone(),
            cover,
            public_host: None,
            users: Ok(()),
            scale: Scale::default(),
            exact_delay: None,
            pace: Pace::REAL,
        })
    }

    /// The same over a simulated network: the client is the host of `net`, the server is `10.99.0.1`. Set the links
    /// first: what the suite may expect of them is read here.
    ///
    /// # Errors
    /// As [`Self::over`].
    pub fn simulated(
        transport: Arc<dyn PluggableTransport>,
        net: &SimNet,
        cover: Cover,
    ) -> Result<Self, ConfigError> {
        let server = net.for_host(Ipv4Addr::new(10, 99, 0, 1).into());
        let there = net.policy_to(server.host()).exact_delay();
        let back = server.policy_to(net.host()).exact_delay();
        let mut fixture = Self::over(transport, Arc::new(net.clone()), cover)?;
        fixture.server_net = Arc::new(server);
        fixture.exact_delay = there.filter(|_delay| there == back);
        fixture.pace = Pace::SIMULATED;
        Ok(fixture)
    }

    /// Server parameters to set over the generated ones, key by key.
    #[must_use]
    pub fn with_params(mut self, params: Value) -> Self {
        match (&mut self.server_spec.params, params) {
            (Value::Object(ours), Value::Object(theirs)) => ours.extend(theirs),
            (ours, theirs) => *ours = theirs,
        }
        self
    }

    /// The host that clients are told to dial, where it must be a name.
    #[must_use]
    pub fn with_public_host(mut self, host: Host) -> Self {
        self.public_host = Some(host);
        self
    }

    /// What a replayed first flight must get, where that is not what noise gets (a TLS server begins a handshake
    /// with it).
    #[must_use]
    pub fn with_replay_cover(mut self, cover: Cover) -> Self {
        self.replay_cover = cover;
        self
    }

    /// For a transport that lets everybody in: strangers, users, secrets and replays are not checked.
    #[must_use]
    pub const fn without_users(mut self, reason: &'static str) -> Self {
        self.users = Err(reason);
        self
    }

    /// How much to move.
    #[must_use]
    pub const fn with_scale(mut self, scale: Scale) -> Self {
        self.scale = scale;
        self
    }

    /// The same with other networks for client and server.
    #[must_use]
    pub fn with_nets(mut self, client: Arc<dyn Net>, server: Arc<dyn Net>) -> Self {
        self.client_net = client;
        self.server_net = server;
        self
    }

    /// Waits for a future as long as the suite waits for anything.
    pub(super) async fn within<T>(
        &self,
        doing: &'static str,
        future: impl Future<Output = T>,
    ) -> Result<T, CheckError> {
        let patience = self.pace.patience;
        let timeout = || CheckError::TooLong { doing, patience };
        self.for_at_most(patience, future).await.ok_or_else(timeout)
    }

    /// Waits for a future that may not come to an end.
    pub(super) async fn for_at_most<T>(&self, time: Duration, future: impl Future<Output = T>) -> Option<T> {
        let deadline: BoxFuture<'static, ()> = self.client_net.sleep_until(self.client_net.now() + time);
        tokio::select! {
            biased;
            value = future => Some(value),
            () = deadline => None,
        }
    }
}

/// A user whose secret follows from his name.
pub(super) fn user(name: &str) -> Result<User, ConfigError> {
    let secret: [u8; USER_SECRET_BYTES] =
        blake3::derive_key("commucat testkit user secret v1", name.as_bytes());
    Ok(User { id: name.parse()?, secret: commucat_transport_api::Secret::new(secret) })
}
