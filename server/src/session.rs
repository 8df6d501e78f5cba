//! One connection, from its handshake to its end: prove who it is, find it a seat, do what its target says.

use std::{
    pin::pin,
    sync::Arc,
    time::{Duration, Instant},
};

use arc_swap::{ArcSwap, ArcSwapOption};
use axum::Router;
use commucat_mux::Config;
use commucat_net::{RelayOptions, abort, relay};
use commucat_transport_api::{
    AcceptError, Accepted, BoxFuture, Channel, DatagramChannel, HostPort, Incoming, MuxSession, Net,
    Redacted, Target, UserId,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    assist,
    config::{BridgeConfig, LimitsConfig},
    egress::{Egress, Policy, UdpEnd, UdpLimits, associate},
    gate::{Handshakes, Seats},
    http::serve_http,
    metrics::{EndpointStats, Metrics, Outcome},
    rate::Zones,
    roster::{NotLetIn, Roster, UserSeat},
};

type Handshake = BoxFuture<'static, Result<Accepted, AcceptError>>;

/// What all connections of a bridge share.
#[derive(Debug)]
pub(crate) struct Sessions {
    pub(crate) net: Arc<dyn Net>,
    pub(crate) roster: Arc<Roster>,
    pub(crate) connections: Arc<Seats>,
    pub(crate) handshakes: Arc<Handshakes>,
    /// Strangers whom the cover service of a transport has.
    pub(crate) visitors: Arc<Handshakes>,
    associations: Arc<Seats>,
    rates: Zones,
    egress: ArcSwap<Egress>,
    limits: ArcSwap<LimitsConfig>,
    api: ArcSwapOption<Router>,
    metrics: Arc<Metrics>,
    open: TaskTracker,
    draining: CancellationToken,
    cut: CancellationToken,
}

impl Sessions {
    pub(crate) fn new(
        net: Arc<dyn Net>,
        roster: Arc<Roster>,
        config: &BridgeConfig,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self {
            connections: Seats::announcing(config.server.max_connections, Arc::clone(roster.table())),
            handshakes: Handshakes::new(config.limits.max_handshakes),
            visitors: Handshakes::new(config.limits.max_visitors),
            associations: Seats::new(config.limits.udp_associations),
            rates: Zones::new(config.rate.connect, net.now()),
            egress: ArcSwap::from_pointee(egress(&net, config)),
            limits: ArcSwap::from_pointee(config.limits.clone()),
            api: ArcSwapOption::empty(),
            open: TaskTracker::new(),
            draining: CancellationToken::new(),
            cut: CancellationToken::new(),
            net,
            roster,
            metrics,
        }
    }

    /// What answers requests to the bridge itself.
    pub(crate) fn set_api(&self, api: Option<Router>) {
        self.api.store(api.map(Arc::new));
    }

    /// New limits and rules; connections that are open keep what they have.
    pub(crate) fn reload(&self, config: &BridgeConfig) {
        self.connections.set_max(config.server.max_connections);
        self.handshakes.set_max(config.limits.max_handshakes);
        self.visitors.set_max(config.limits.max_visitors);
        self.associations.set_max(config.limits.udp_associations);
        self.rates.set(config.rate.connect);
        self.roster.set_max_per_user(config.limits.max_connections_per_user);
        self.egress.store(Arc::new(egress(&self.net, config)));
        self.limits.store(Arc::new(config.limits.clone()));
    }

    /// Runs a connection in a task of its own.
    pub(crate) fn spawn(self: &Arc<Self>, endpoint: &Arc<EndpointStats>, incoming: Box<dyn Incoming>) {
        endpoint.connections.increment(1);
        let (sessions, endpoint) = (Arc::clone(self), Arc::clone(endpoint));
        self.open.spawn(async move { sessions.run(&endpoint, incoming).await });
    }

    /// From now on connections end when they have nothing to do; handshakes that do not finish end soon.
    pub(crate) async fn drain(&self) {
        self.draining.cancel();
        tokio::select! {
            () = self.ended() => {}
            () = self.net.sleep_until(self.net.now() + DRAIN_HANDSHAKES) => {
                self.handshakes.evict_all();
                self.visitors.evict_all();
            }
        }
        self.ended().await;
    }

    /// Ends every connection, without waiting for it.
    pub(crate) fn cut_now(&self) {
        self.cut.cancel();
    }

    /// Waits until every connection has ended.
    pub(crate) async fn ended(&self) {
        self.open.close();
        self.open.wait().await;
    }

    async fn run(self: &Arc<Self>, endpoint: &Arc<EndpointStats>, incoming: Box<dyn Incoming>) {
        let Some(accepted) = self.handshake(endpoint, incoming).await else { return };
        self.seat(endpoint, accepted).await;
    }

    /// Finds a seat for what was accepted, and serves it there. What finds none is broken off, never ended in order.
    async fn seat(self: &Arc<Self>, endpoint: &Arc<EndpointStats>, accepted: Accepted) {
        let user = match self.admit(accepted.user.as_ref()) {
            Ok(user) => user,
            Err(reason) => {
                tracing::debug!(reason, "connection refused");
                self.metrics.refused(reason).increment(1);
                abort(accepted);
                return;
            }
        };
        let Some(seat) = self.connections.enter() else {
            self.metrics.refused("full").increment(1);
            abort(accepted);
            return;
        };
        let active = endpoint.session();
        self.serve_until_cut(endpoint, accepted, user).await;
        drop((seat, active));
    }

    async fn handshake(&self, endpoint: &EndpointStats, incoming: Box<dyn Incoming>) -> Option<Accepted> {
        let seat = self.handshakes.enter();
        let limit = self.net.sleep_until(self.net.now() + self.limits.load().handshake);
        let stranger = incoming.became_stranger();
        let mut work = incoming.handshake();
        let (outcome, accepted) = tokio::select! {
            done = &mut work => ended(done),
            () = seat.evicted() => (Outcome::Evicted, None),
            () = limit => (Outcome::Timeout, None),
            () = self.cut.cancelled() => return None,
            () = stranger => {
                drop(seat);
                self.visit(work).await?
            }
        };
        endpoint.handshake(outcome);
        accepted
    }

    /// Lets the cover service serve a stranger for as long as it wants: what is imitated has no limit of ours.
    async fn visit(&self, work: Handshake) -> Option<(Outcome, Option<Accepted>)> {
        let seat = self.visitors.enter();
        tokio::select! {
            done = work => Some(ended(done)),
            () = seat.evicted() => Some((Outcome::Evicted, None)),
            () = self.cut.cancelled() => None,
        }
    }

    /// A connection of a transport without users has no seat at a user's table.
    fn admit(&self, user: Option<&UserId>) -> Result<Option<UserSeat>, &'static str> {
        let Some(user) = user else { return Ok(None) };
        if !self.rates.allow(user, self.net.now()) {
            return Err("rate");
        }
        self.roster.enter(user).map(Some).map_err(|reason| match reason {
            NotLetIn::Unknown => "unknown_user",
            NotLetIn::TooMany => "user_limit",
        })
    }

    async fn serve_until_cut(
        self: &Arc<Self>,
        endpoint: &Arc<EndpointStats>,
        accepted: Accepted,
        user: Option<UserSeat>,
    ) {
        let mut work: BoxFuture<'_, ()> = Box::pin(self.serve(endpoint, accepted));
        let user_cut = pin!(async {
            match &user {
                Some(user) => user.cut().await,
                None => std::future::pending().await,
            }
        });
        let cut = tokio::select! {
            () = &mut work => false,
            () = user_cut => true,
            () = self.cut.cancelled() => true,
        };
        if cut {
            // A transfer that is cut must not look finished to either side.
            abort(work);
        }
    }

    async fn serve(self: &Arc<Self>, endpoint: &Arc<EndpointStats>, accepted: Accepted) {
        let Accepted { channel, target, user, .. } = accepted;
        match (channel, target) {
            (Channel::Stream(carrier), Target::Mux) => {
                let (session, driver) =
                    commucat_mux::accepted(carrier, Arc::clone(&self.net), Config::default());
                let channels = self.channels(endpoint, Arc::new(session.clone()), user);
                let mut work = pin!(async move { tokio::join!(driver, channels) });
                tokio::select! {
                    _ended = &mut work => {}
                    // A bridge that stops takes no more streams, and waits for those there are.
                    () = self.draining.cancelled() => {
                        session.drain();
                        work.await;
                    }
                }
            }
            (Channel::Mux(session), Target::Mux) => self.channels(endpoint, session, user).await,
            (Channel::Stream(stream), Target::Stream(to)) => {
                endpoint.streams.increment(1);
                self.relay(endpoint, stream, &to).await;
            }
            (Channel::Stream(stream), Target::Bridge) => {
                endpoint.bridges.increment(1);
                let Some(api) = self.api.load_full() else { return };
                let router = match user {
                    Some(user) => assist::for_user(&api, user),
                    None => Router::clone(&api),
                };
                let life = self.limits.load().idle;
                serve_http(stream, router, life, self.draining.clone()).await;
            }
            (Channel::Datagrams(datagrams), Target::Datagrams) => {
                endpoint.datagrams.increment(1);
                self.datagrams(endpoint, datagrams).await;
            }
            (channel, target) => {
                drop(channel);
                tracing::debug!(kind = kind_of(&target), "nothing serves such a channel");
            }
        }
    }

    /// Serves each channel of a session in a task and a seat of its own, until no more can come.
    async fn channels(
        self: &Arc<Self>,
        endpoint: &Arc<EndpointStats>,
        session: Arc<dyn MuxSession>,
        user: Option<UserId>,
    ) {
        while let Some((channel, target)) = session.accept().await {
            // A session inside a session would be a way around every limit.
            if target == Target::Mux {
                abort(channel);
                continue;
            }
            let accepted = Accepted::new(channel, target).with_user(user.clone());
            self.open.spawn(Arc::clone(self).seated(Arc::clone(endpoint), accepted));
        }
    }

    /// [`Self::seat`] in a box: what it serves may hold more of its kind.
    fn seated(self: Arc<Self>, endpoint: Arc<EndpointStats>, accepted: Accepted) -> BoxFuture<'static, ()> {
        Box::pin(async move { self.seat(&endpoint, accepted).await })
    }

    async fn relay(
        &self,
        endpoint: &EndpointStats,
        stream: commucat_transport_api::BoxStream,
        to: &HostPort,
    ) {
        let egress = self.egress.load_full();
        let began = Instant::now();
        let target = match egress.connect(to).await {
            Ok(target) => target,
            Err(error) => {
                self.metrics.egress_failed(error.class()).increment(1);
                tracing::debug!(target_name = %Redacted(to), class = error.class(), "target not reached");
                // The user's program must see a failure, not an empty answer.
                abort(stream);
                return;
            }
        };
        let options =
            RelayOptions::counting(Arc::clone(&endpoint.traffic)).with_idle(self.limits.load().idle);
        let ended = relay(stream, target, &options).await;
        let seconds = began.elapsed().as_secs();
        match ended {
            Ok(_relayed) => tracing::trace!(seconds, "stream ended"),
            Err(error) => tracing::debug!(seconds, error = %error, "stream broke"),
        }
    }

    async fn datagrams(&self, endpoint: &EndpointStats, datagrams: Box<dyn DatagramChannel>) {
        let Some(seat) = self.associations.enter() else {
            self.metrics.refused("udp_limit").increment(1);
            return;
        };
        let limits = UdpLimits { idle: self.limits.load().udp_idle };
        let metrics = Arc::clone(&self.metrics);
        let refused = move |class| metrics.egress_failed(class).increment(1);
        let egress = Egress::clone(&self.egress.load());
        let end = associate(datagrams, egress, limits, Arc::clone(&endpoint.traffic), refused).await;
        match end {
            UdpEnd::Closed => tracing::trace!("association ended"),
            UdpEnd::Idle => tracing::trace!("association idle"),
            UdpEnd::Channel(error) => tracing::debug!(error = %error, "association broke"),
        }
        drop(seat);
    }
}

fn egress(net: &Arc<dyn Net>, config: &BridgeConfig) -> Egress {
    Egress::new(Arc::clone(net), Policy::new(&config.egress), config.limits.connect)
}

const fn kind_of(target: &Target) -> &'static str {
    match target {
        Target::Bridge => "bridge",
        Target::Stream(_) => "stream",
        Target::Datagrams => "datagrams",
        Target::IpTunnel => "ip-tunnel",
        Target::Mux => "mux",
        _ => "other",
    }
}

fn ended(done: Result<Accepted, AcceptError>) -> (Outcome, Option<Accepted>) {
    match done {
        Ok(accepted) => (Outcome::Ok, Some(accepted)),
        Err(error) => {
            log_handshake(&error);
            (Outcome::of(&error), None)
        }
    }
}

fn log_handshake(error: &AcceptError) {
    match error {
        // Every scanner of the internet comes by here.
        AcceptError::Unauthenticated | AcceptError::Replayed => {
            tracing::trace!(error = %error, "handshake refused");
        }
        error => tracing::debug!(error = %error, "handshake failed"),
    }
}

/// What is left to handshakes when the bridge stops: a real client needs less.
const DRAIN_HANDSHAKES: Duration = Duration::from_secs(2);

/// Pause before the next accept after one that failed, growing to the second value.
pub(crate) const ACCEPT_BACKOFF: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(1));
