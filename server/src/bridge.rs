//! The bridge: everything it is made of, started together and stopped in order.

mod reload;

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwap;
use commucat_bundle::Bundle;
use commucat_proto::link::Link;
use commucat_storage::{Stamp, Storage};
use commucat_transport_api::{Host, HostPort, Net, Secret, User, UserTable};

pub use self::reload::Reloaded;
use crate::{
    admin::{self, Admin, EndpointReadiness, Readiness, Report},
    assist,
    config::BridgeConfig,
    endpoint::{Endpoint, RunningEndpoint, public_address},
    error::{BindReason, StartError},
    http,
    links::{ClientLinkError, assemble},
    metrics::Metrics,
    notify,
    roster::Roster,
    session::Sessions,
    tasks::Tasks,
    users::{UserError, health_user, now_ms},
    watch::Watch,
};

/// A bridge that is yet to run.
#[derive(Debug)]
#[non_exhaustive]
pub struct Bridge;

/// A bridge that runs. Dropping it ends everything at once; [`RunningBridge::drain`] is the polite way.
#[derive(Debug)]
pub struct RunningBridge {
    shared: Arc<Shared>,
    admin: Option<SocketAddr>,
    api: Option<SocketAddr>,
}

/// How a drain went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Drained {
    /// Connections that were still open at the deadline and were cut.
    pub cut: u32,
}

/// What all parts of a running bridge share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) config: ArcSwap<BridgeConfig>,
    pub(crate) bundle: Bundle,
    pub(crate) net: Arc<dyn Net>,
    pub(crate) storage: Storage,
    pub(crate) sessions: Arc<Sessions>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) watch: Watch,
    tasks: Tasks,
    slots: Mutex<Vec<Slot>>,
    reloading: tokio::sync::Mutex<()>,
    accepting: AtomicBool,
    token: Arc<ArcSwap<Option<Secret<String>>>>,
    pub(crate) checks: assist::Checks,
}

/// An endpoint in its place in the configuration.
#[derive(Clone, Debug)]
pub(crate) struct Slot {
    pub(crate) public: Option<HostPort>,
    pub(crate) endpoint: Arc<Endpoint>,
}

impl Slot {
    /// How the endpoint is called in checks: two of one transport on one port are told apart by their place.
    pub(crate) fn key(&self, at: usize) -> String {
        format!("{}#{at}", self.endpoint.label)
    }
}

impl Bridge {
    /// Starts a bridge: users from the storage, every endpoint, the admin pages, the background tasks.
    ///
    /// # Errors
    /// [`StartError`] names the endpoint and what to do; nothing is left running then.
    pub async fn start(
        config: BridgeConfig,
        bundle: Bundle,
        net: Arc<dyn Net>,
        storage: Storage,
    ) -> Result<RunningBridge, StartError> {
        config.check(&bundle).map_err(StartError::Config)?;
        let health = health_user(&storage).await.map_err(of_user)?;
        let shared = Shared::new(config, bundle, net, storage, health);
        shared.watch.refresh().await?;
        let slots = shared.start_all().await?;
        *shared.slots() = slots;
        let (admin, api) = shared.start_own_sockets().await?;
        shared.start_tasks();
        let stamp = Stamp { actor: "bridge", at_ms: now_ms() };
        shared.storage.append_audit("bridge.start", "", env!("CARGO_PKG_VERSION"), stamp).await?;
        shared.accepting.store(true, Ordering::Release);
        Ok(RunningBridge { shared, admin, api })
    }
}

fn of_user(error: UserError) -> StartError {
    match error {
        UserError::Storage(error) => error.into(),
        error => StartError::Random(std::io::Error::other(error)),
    }
}

impl RunningBridge {
    /// The endpoints, in the order of the configuration.
    pub fn endpoints(&self) -> Vec<RunningEndpoint> {
        let describe = |slot: &Slot| RunningEndpoint {
            transport: slot.endpoint.config.spec.transport.clone(),
            listen: slot.endpoint.local,
            public: slot.public.clone(),
            up: slot.endpoint.is_up(),
        };
        self.shared.slots().iter().map(describe).collect()
    }

    /// Where the admin pages are.
    pub const fn admin_addr(&self) -> Option<SocketAddr> {
        self.admin
    }

    /// Where the HTTP API is served without a transport.
    pub const fn api_addr(&self) -> Option<SocketAddr> {
        self.api
    }

    /// The configuration it runs with.
    pub fn config(&self) -> Arc<BridgeConfig> {
        self.shared.config.load_full()
    }

    /// What stands and what does not, as `/readyz` answers.
    pub fn readiness(&self) -> Readiness {
        self.shared.readiness()
    }

    /// Connections with a known user that are open.
    pub fn connections(&self) -> u32 {
        self.shared.sessions.connections.taken()
    }

    /// The link of a user. `public` goes before what the configuration says.
    ///
    /// # Errors
    /// [`ClientLinkError`].
    pub fn client_link(&self, user: &User, public: Option<&Host>) -> Result<Link, ClientLinkError> {
        let config = self.config();
        let host = public.cloned().or_else(|| config.public_host());
        let servers: Vec<_> = self.shared.addresses(host.as_ref());
        assemble(&config, servers.into_iter().map(|(endpoint, at)| (Arc::clone(&endpoint.server), at)), user)
    }

    /// Reads the users anew now, without waiting for the watcher.
    ///
    /// # Errors
    /// The storage failed.
    pub async fn refresh_users(&self) -> Result<(), StartError> {
        Ok(self.shared.watch.refresh().await?)
    }

    /// Takes a new configuration. Endpoints that did not change keep running, and all open connections stay.
    ///
    /// # Errors
    /// [`StartError`]; the bridge then goes on with what it had.
    pub async fn reload(&self, config: BridgeConfig) -> Result<Reloaded, StartError> {
        self.shared.reload(config).await
    }

    /// Stops to accept, waits for open connections until the deadline, cuts the rest.
    pub async fn drain(&self, deadline: Duration) -> Drained {
        let shared = &self.shared;
        notify::stopping();
        shared.stop_accepting().await;
        let limit = shared.net.sleep_until(shared.net.now() + deadline);
        tokio::select! {
            () = shared.sessions.drain() => {}
            () = limit => {}
        }
        let cut = shared.sessions.connections.taken();
        if cut > 0 {
            tracing::info!(connections = cut, "the time for open connections is over");
        }
        self.shutdown().await;
        Drained { cut }
    }

    /// Ends everything now, and waits until it has ended.
    pub async fn shutdown(&self) {
        self.shared.stop_accepting().await;
        self.shared.sessions.cut_now();
        self.shared.sessions.ended().await;
        self.shared.tasks.end().await;
    }
}

impl Drop for RunningBridge {
    fn drop(&mut self) {
        self.shared.accepting.store(false, Ordering::Release);
        self.shared.tasks.cancelled().cancel();
        self.shared.sessions.cut_now();
        self.shared.slots().clear();
    }
}

impl Shared {
    fn new(
        config: BridgeConfig,
        bundle: Bundle,
        net: Arc<dyn Net>,
        storage: Storage,
        health: User,
    ) -> Arc<Self> {
        let metrics = Metrics::new();
        let roster =
            Arc::new(Roster::new(Arc::new(UserTable::default()), config.limits.max_connections_per_user));
        let sessions =
            Arc::new(Sessions::new(Arc::clone(&net), Arc::clone(&roster), &config, Arc::clone(&metrics)));
        let watch = Watch {
            storage: storage.clone(),
            roster,
            health,
            metrics: Arc::clone(&metrics),
            net: Arc::clone(&net),
            storage_up: Arc::new(AtomicBool::new(true)),
        };
        Arc::new(Self {
            tasks: Tasks::new(Arc::clone(&metrics)),
            token: Arc::new(ArcSwap::from_pointee(config.admin.token.clone())),
            slots: Mutex::default(),
            reloading: tokio::sync::Mutex::default(),
            accepting: AtomicBool::new(false),
            checks: assist::Checks::new(Arc::clone(&net), &config),
            config: ArcSwap::from_pointee(config),
            bundle,
            net,
            storage,
            sessions,
            metrics,
            watch,
        })
    }

    /// Every endpoint with where clients reach it.
    pub(crate) fn addresses(&self, host: Option<&Host>) -> Vec<(Arc<Endpoint>, Option<HostPort>)> {
        let address = |slot: &Slot| {
            let public = public_address(slot.public.as_ref(), slot.endpoint.port(), host);
            (Arc::clone(&slot.endpoint), public)
        };
        self.slots().iter().map(address).collect()
    }

    async fn start_own_sockets(
        self: &Arc<Self>,
    ) -> Result<(Option<SocketAddr>, Option<SocketAddr>), StartError> {
        let config = self.config.load_full();
        let admin = Admin {
            metrics: Arc::clone(&self.metrics),
            report: Arc::<Self>::clone(self),
            token: Arc::clone(&self.token),
        };
        let (admin, api) = (admin::router(admin), assist::router(self));
        self.sessions.set_api(Some(api.clone()));
        type ForPeer = Box<dyn Fn(SocketAddr) -> axum::Router + Send>;
        let own: [(_, _, _, ForPeer); 2] = [
            ("server.admin_bind", "admin", config.server.admin_bind, Box::new(move |_peer| admin.clone())),
            (
                "server.api_bind",
                "api",
                config.server.api_bind,
                Box::new(move |peer| assist::for_peer(&api, peer)),
            ),
        ];
        let mut bound = [None, None];
        for ((key, task, bind, router), bound) in own.into_iter().zip(&mut bound) {
            let Some(bind) = bind else { continue };
            let failed =
                |source| StartError::OwnSocket { key, reason: BindReason::of_io(&source, bind), source };
            let (port, local) = http::listen(&self.net, bind).await.map_err(failed)?;
            *bound = Some(local);
            let draining = self.tasks.cancelled();
            self.tasks.spawn(task, http::serve_port(port, router, Arc::clone(&self.net), draining));
        }
        let [admin, api] = bound;
        Ok((admin, api))
    }

    fn start_tasks(self: &Arc<Self>) {
        self.tasks.spawn("users", self.watch.clone().run());
        if let Some(every) = notify::watchdog_interval() {
            self.tasks.spawn("watchdog", notify::watchdog(every, Arc::clone(&self.net)));
        }
        assist::set_targets(self);
        self.tasks.spawn("self-check", assist::self_check(Arc::clone(self)));
    }

    async fn stop_accepting(&self) {
        self.accepting.store(false, Ordering::Release);
        // A reload that runs would put its endpoints back.
        let _no_reload = self.reloading.lock().await;
        let slots = std::mem::take(&mut *self.slots());
        for slot in slots {
            slot.endpoint.stop().await;
        }
    }

    pub(crate) fn slots(&self) -> MutexGuard<'_, Vec<Slot>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Report for Shared {
    fn readiness(&self) -> Readiness {
        let endpoint = |(at, slot): (usize, &Slot)| EndpointReadiness {
            transport: slot.endpoint.config.spec.transport.to_string(),
            listening: slot.endpoint.is_up(),
            self_check: self.checks.last(&slot.key(at)),
        };
        let endpoints: Vec<_> = self.slots().iter().enumerate().map(endpoint).collect();
        let accepting = self.accepting.load(Ordering::Acquire);
        let storage = self.watch.storage_up.load(Ordering::Relaxed);
        let tasks_down = self.tasks.down();
        let well = |endpoint: &EndpointReadiness| endpoint.listening && endpoint.self_check != Some(false);
        let ready = accepting && storage && tasks_down.is_empty() && endpoints.iter().all(well);
        Readiness { ready, accepting, storage, endpoints, tasks_down }
    }

    fn refresh(&self) {
        self.metrics.handshakes_active.set(self.sessions.handshakes.active() as f64);
        self.metrics.visitors_active.set(self.sessions.visitors.active() as f64);
    }
}
