//! A bridge and a client of the transport, ready for a check.

use std::sync::Arc;

use commucat_transport_api::{
    Addressing, BoxStream, Channel, Client, ConfigError, Cx, DatagramChannel, DialError, HostPort, Net,
    Server, Spec, Target, User, UserTable,
};
use tokio::io::AsyncWriteExt as _;

use super::{CheckError, Fixture, bridge::Bridge, fixture::user, report::ensure, services::Service};

/// The user whom most checks dial as, and the other one.
pub(super) const ALICE: &str = "alice";
pub(super) const BOB: &str = "bob";

/// A bridge with two users, and a client of the first.
#[derive(Debug)]
pub(super) struct Session<'f> {
    pub(super) fixture: &'f Fixture,
    pub(super) bridge: Bridge,
    pub(super) users: Arc<UserTable>,
    pub(super) server: Arc<dyn Server>,
    pub(super) client: Arc<dyn Client>,
}

impl<'f> Session<'f> {
    pub(super) async fn start(fixture: &'f Fixture) -> Result<Self, CheckError> {
        let users = Arc::new(UserTable::new(vec![user(ALICE)?, user(BOB)?]));
        let server = fixture.transport.server(&fixture.server_spec, &users)?;
        let starting = Bridge::start(&server, &users, &fixture.server_net, fixture.pace.dial);
        let bridge = fixture.within("listening", starting).await??;
        let spec = client_spec(fixture, server.as_ref(), &bridge, &user(ALICE)?)?;
        let client = fixture.transport.client(&spec)?;
        Ok(Self { fixture, bridge, users, server, client })
    }

    /// Where clients are told to dial.
    pub(super) fn public(&self) -> HostPort {
        public(self.fixture, &self.bridge)
    }

    pub(super) fn client_spec(&self, user: &User) -> Result<Spec, ConfigError> {
        client_spec(self.fixture, self.server.as_ref(), &self.bridge, user)
    }

    /// A client of another user.
    pub(super) fn client_of(&self, user: &User) -> Result<Arc<dyn Client>, ConfigError> {
        self.fixture.transport.client(&self.client_spec(user)?)
    }

    pub(super) fn cx(&self) -> Cx {
        Cx::new(Arc::clone(&self.fixture.client_net), self.fixture.pace.dial)
    }

    pub(super) async fn dial(&self, service: Service) -> Result<BoxStream, CheckError> {
        self.dial_by(self.client.as_ref(), &self.fixture.client_net, service).await
    }

    pub(super) async fn dial_by(
        &self,
        client: &dyn Client,
        net: &Arc<dyn Net>,
        service: Service,
    ) -> Result<BoxStream, CheckError> {
        let cx = Cx::new(Arc::clone(net), self.fixture.pace.dial);
        let dialling = dial_stream(self.fixture, client, &cx, service);
        let stream = self.fixture.within("the dial", dialling).await??;
        stream.ok_or_else(|| CheckError::broken("the dial of a stream gave no stream"))
    }

    pub(super) async fn dial_datagrams(&self) -> Result<Box<dyn DatagramChannel>, CheckError> {
        let cx = self.cx();
        let opened = self.fixture.within("the dial", self.client.dial(&cx, &Target::Datagrams)).await??;
        let none = |_other| CheckError::broken("the dial of datagrams gave no datagrams");
        opened.channel.into_datagrams().map_err(none)
    }

    /// Ends a check: every task of the bridge must end by itself once its client is gone, and none may have panicked.
    pub(super) async fn finish(mut self) -> Result<(), CheckError> {
        self.idle().await?;
        self.bridge.stop().await;
        Ok(())
    }

    /// Waits until nothing runs in the bridge.
    pub(super) async fn idle(&self) -> Result<(), CheckError> {
        let log = &self.bridge.log;
        self.fixture
            .within("the bridge letting go of channels that are closed", log.until(|log| log.tasks() == 0))
            .await?;
        let panics = log.look().panics;
        ensure(panics == 0, || format!("{panics} tasks of the bridge panicked"))
    }
}

/// Dials a service; `None` when the dial gave something that is no stream.
pub(super) async fn dial_stream(
    fixture: &Fixture,
    client: &dyn Client,
    cx: &Cx,
    service: Service,
) -> Result<Option<BoxStream>, DialError> {
    let carries_targets = fixture.transport.descriptor().addressing == Addressing::Proxy;
    let target = if carries_targets { service.target() } else { Target::Bridge };
    let opened = client.dial(cx, &target).await?;
    let Channel::Stream(mut stream) = opened.channel else { return Ok(None) };
    if !carries_targets {
        let failed =
            |error| DialError::io(commucat_transport_api::Phase::Data, std::time::Duration::ZERO, error);
        stream.write_all(&[service.code()]).await.map_err(failed)?;
        stream.flush().await.map_err(failed)?;
    }
    Ok(Some(stream))
}

fn public(fixture: &Fixture, bridge: &Bridge) -> HostPort {
    let mut public = HostPort::from(bridge.local);
    if let Some(host) = &fixture.public_host {
        public.host = host.clone();
    }
    public
}

fn client_spec(
    fixture: &Fixture,
    server: &dyn Server,
    bridge: &Bridge,
    user: &User,
) -> Result<Spec, ConfigError> {
    server.client_spec(&public(fixture, bridge), user)
}
