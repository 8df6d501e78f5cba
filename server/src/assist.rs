//! The bridge's own HTTP service: what `commucat_assist` asks of the bridge, and the bridge's checks of itself.

mod inward;

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    num::NonZeroU32,
    sync::{Arc, Weak},
};

use axum::{
    Extension, Router,
    extract::{Request, State},
    middleware::{self, Next},
    response::Response,
    routing::get,
};
use commucat_assist::{
    Assist, AssistOptions, AssistSource, CheckPlan, CheckTarget, LIVEZ_PATH, PeerAddress, RateLimit,
    RatePlan, SelfCheck, ServedEndpoint, TunnelUser, with_problem_fallbacks,
};
use commucat_proto::assist::{ASSIST_PATH, Version};
use commucat_storage::EndpointCheck;
use commucat_transport_api::{Descriptor, HostPort, Net, Spec, UserId, UserTable};
use tokio_util::sync::CancellationToken;

pub(crate) use self::inward::InwardNet;
use crate::{
    bridge::{Shared, Slot},
    config::{BridgeConfig, Zone},
    endpoint::public_address,
    metrics::Metrics,
};

/// The oldest client that this bridge serves.
const MIN_CLIENT_VERSION: Version = Version::new(0, 1, 0);
/// A check counts for this many intervals.
const CHECK_COUNTS_FOR: u32 = 3;

/// The bridge's checks of itself.
#[derive(Debug)]
pub(crate) struct Checks {
    check: Arc<SelfCheck>,
    inward: Arc<InwardNet>,
}

impl Checks {
    pub(crate) fn new(net: Arc<dyn Net>, config: &BridgeConfig) -> Self {
        let inward = Arc::new(InwardNet::new(net));
        let interval = config.assist.self_check;
        let defaults = CheckPlan::default();
        let max_age = interval * CHECK_COUNTS_FOR + defaults.timeout;
        let plan = CheckPlan { interval, max_age, ..defaults };
        let net: Arc<dyn Net> = Arc::<InwardNet>::clone(&inward);
        Self { check: Arc::new(SelfCheck::new(net, plan)), inward }
    }

    /// What the last check of an endpoint showed.
    pub(crate) fn last(&self, key: &str) -> Option<bool> {
        self.check
            .outcomes()
            .iter()
            .find(|(known, _outcome)| **known == *key)
            .map(|(_key, at)| at.result.is_ok())
    }
}

#[derive(Debug)]
struct Source(Weak<Shared>);

impl AssistSource for Source {
    fn endpoints(&self) -> Vec<ServedEndpoint> {
        let Some(shared) = self.0.upgrade() else { return Vec::new() };
        let host = shared.config.load().public_host();
        let served = |(at, slot): (usize, &Slot)| {
            let public = public_address(slot.public.as_ref(), slot.endpoint.port(), host.as_ref())?;
            Some(ServedEndpoint {
                key: slot.key(at).into(),
                priority: u16::try_from(at).unwrap_or(u16::MAX),
                server: Arc::clone(&slot.endpoint.server),
                public,
                layers: layers(&shared, &slot.endpoint.config.spec),
            })
        };
        shared.slots().iter().enumerate().filter_map(served).collect()
    }

    fn users(&self) -> Arc<UserTable> {
        self.0.upgrade().map_or_else(Arc::default, |shared| Arc::clone(shared.watch.roster.table()))
    }

    fn min_client_version(&self) -> Version {
        MIN_CLIENT_VERSION
    }
}

fn layers(shared: &Shared, spec: &Spec) -> Vec<Descriptor> {
    std::iter::successors(Some(spec), |spec| spec.via.as_deref())
        .filter_map(|spec| shared.bundle.descriptor(&spec.transport).ok().cloned())
        .collect()
}

/// The routes of the bridge's own service.
pub(crate) fn router(shared: &Arc<Shared>) -> Router {
    let config = shared.config.load();
    if !config.assist.enabled {
        // The self-check still wants a sign of life.
        return with_problem_fallbacks(Router::new().route(LIVEZ_PATH, get(|| async { "ok\n" })));
    }
    let mut options = AssistOptions::default();
    options.rates = RatePlan { user: limit(config.rate.http), stranger: limit(config.rate.strangers) };
    let source = Arc::new(Source(Arc::downgrade(shared)));
    let assist = Assist::new(Arc::clone(&shared.net), source, Arc::clone(&shared.checks.check), options);
    assist.router().layer(middleware::from_fn_with_state(Arc::clone(&shared.metrics), count))
}

fn limit(zone: Zone) -> RateLimit {
    let positive = |number| NonZeroU32::new(number).unwrap_or(NonZeroU32::MIN);
    RateLimit { per_minute: positive(zone.per_minute), burst: positive(zone.burst) }
}

async fn count(State(metrics): State<Arc<Metrics>>, request: Request, next: Next) -> Response {
    let counted = request.uri().path() == ASSIST_PATH;
    let response = next.run(request).await;
    if counted {
        metrics.assist_answered(response.status().as_u16()).increment(1);
    }
    response
}

/// The routes for the channel of one user.
pub(crate) fn for_user(router: &Router, user: UserId) -> Router {
    router.clone().layer(Extension(TunnelUser(user)))
}

/// The routes for a connection to the plain socket. There a proxy on this machine speaks for others: the last
/// address it names is the one it saw itself.
pub(crate) fn for_peer(router: &Router, peer: SocketAddr) -> Router {
    let named = move |mut request: Request, next: Next| {
        let forwarded = request.headers().get_all("x-forwarded-for").iter().next_back();
        let forwarded =
            forwarded.and_then(|value| value.to_str().ok()?.rsplit(',').next()?.trim().parse().ok());
        let from = forwarded.filter(|_ip: &IpAddr| peer.ip().to_canonical().is_loopback());
        let from = from.map_or(peer, |ip| SocketAddr::new(ip, 0));
        request.extensions_mut().insert(PeerAddress(from));
        next.run(request)
    };
    router.clone().layer(middleware::from_fn(named))
}

/// Tells the checks what there is to check now: each endpoint, as the health user's client would dial it.
pub(crate) fn set_targets(shared: &Shared) {
    let host = shared.config.load().public_host();
    let slots = shared.slots().clone();
    let mut inward = Vec::new();
    let mut targets = Vec::new();
    for (at, slot) in slots.iter().enumerate() {
        let Some(local) = slot.endpoint.local else { continue };
        let local = reachable(local);
        let public = public_address(slot.public.as_ref(), slot.endpoint.port(), host.as_ref());
        let public = public.unwrap_or_else(|| local.into());
        // Behind a proxy of its own the whole way is checked; else the name stands for this machine.
        if slot.public.is_none() {
            inward.push((public.clone(), local));
        }
        match target(shared, slot, at, &public) {
            Ok(target) => targets.push(target),
            Err(error) => {
                let reason = crate::config::reasons(&error);
                tracing::warn!(endpoint = at, reason, "the bridge cannot check this endpoint");
            }
        }
    }
    shared.checks.inward.set(inward);
    if let Err(error) = shared.checks.check.set_targets(targets) {
        tracing::warn!(%error, "endpoints are not checked");
    }
}

fn target(
    shared: &Shared,
    slot: &Slot,
    at: usize,
    public: &HostPort,
) -> Result<CheckTarget, commucat_transport_api::ConfigError> {
    let spec = slot.endpoint.server.client_spec(public, &shared.watch.health)?;
    Ok(CheckTarget { key: slot.key(at).into(), client: shared.bundle.client(&spec)? })
}

fn reachable(local: SocketAddr) -> SocketAddr {
    match local.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => (Ipv4Addr::LOCALHOST, local.port()).into(),
        IpAddr::V6(ip) if ip.is_unspecified() => (Ipv6Addr::LOCALHOST, local.port()).into(),
        _ => local,
    }
}

/// Checks for ever, and keeps what came of it in the storage, for the command line of another process.
pub(crate) async fn self_check(shared: Arc<Shared>) {
    let check = Arc::clone(&shared.checks.check);
    let mut rounds = check.rounds();
    let keep = async {
        while rounds.changed().await.is_ok() {
            keep(&shared).await;
        }
    };
    tokio::join!(check.run(CancellationToken::new()), keep);
}

async fn keep(shared: &Shared) {
    let outcomes = shared.checks.check.outcomes();
    let store = async {
        for old in shared.storage.endpoint_checks().await? {
            if !outcomes.iter().any(|(key, _outcome)| **key == *old.endpoint) {
                shared.storage.remove_endpoint_check(&old.endpoint).await?;
            }
        }
        for (key, outcome) in &outcomes {
            let check = EndpointCheck {
                endpoint: key.to_string(),
                checked_at_ms: i64::try_from(outcome.checked_at_ms).unwrap_or(i64::MAX),
                ok: outcome.result.is_ok(),
                rtt_ms: i64::try_from(outcome.took.as_millis()).ok(),
                failure: outcome.result.as_ref().err().map(ToString::to_string),
            };
            shared.storage.put_endpoint_check(&check).await?;
        }
        Ok::<_, commucat_storage::StorageError>(())
    };
    if let Err(error) = store.await {
        tracing::debug!(%error, "checks were not stored");
    }
}
