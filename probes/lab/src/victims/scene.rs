//! What a client in the lab has at hand: where things stand, whom to trust, how long to wait, and randomness by seed.

use std::{
    future::Future,
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use rustls::{RootCertStore, ServerConfig};
use tokio::{runtime::Handle, time::timeout};

use super::{Outcome, Run};
use crate::services::{BRIDGE, CONTROL_FOREIGN, INNOCENT_NAME, ServiceError, World, WorldPlan};

/// How long a client that must be blocked waits for a byte. The lab's link has no delay, so a byte that comes at all
/// comes within milliseconds, also on a busy machine.
const VICTIM_PATIENCE: Duration = Duration::from_millis(600);
/// How long a client that must pass waits: it never has to, unless something is wrong or the machine is very busy.
const INNOCENT_PATIENCE: Duration = Duration::from_secs(15);
/// Keeps the numbers of neighbouring seeds apart: an odd constant of no meaning.
const DRAW_STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// The surroundings of one client. Cloning shares them.
#[derive(Clone, Debug)]
pub struct Scene {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    plan: WorldPlan,
    roots: RootCertStore,
    world: Handle,
    bridge_tls: Arc<ServerConfig>,
    run: Run,
    seed: u64,
    drawn: AtomicU64,
}

impl Scene {
    /// The surroundings of the client of such a run.
    ///
    /// # Errors
    /// A certificate could not be made.
    pub fn new(world: &World, run: Run, seed: u64) -> Result<Self, ServiceError> {
        let authority = world.authority();
        Ok(Self {
            inner: Arc::new(Inner {
                plan: world.services().plan().clone(),
                roots: authority.roots()?,
                world: world.runtime().handle().clone(),
                bridge_tls: Arc::new(authority.server_config(&[INNOCENT_NAME], BRIDGE.into())?),
                run,
                seed,
                drawn: AtomicU64::new(0),
            }),
        })
    }

    /// What stands where.
    pub fn plan(&self) -> &WorldPlan {
        &self.inner.plan
    }

    /// Whom to trust.
    pub fn roots(&self) -> &RootCertStore {
        &self.inner.roots
    }

    /// Whether this client must be blocked.
    pub fn is_victim(&self) -> bool {
        self.inner.run == Run::Victim
    }

    /// How long without a byte is silence.
    pub fn patience(&self) -> Duration {
        if self.is_victim() { VICTIM_PATIENCE } else { INNOCENT_PATIENCE }
    }

    /// Where the site of that name speaks HTTPS; port 443 of the first control server, if no such site is planned.
    pub fn site(&self, name: &str) -> SocketAddr {
        self.inner.plan.site(name).map_or_else(|| SocketAddr::from((CONTROL_FOREIGN, 443)), |site| site.https)
    }

    /// So many random bytes. The first is no printable character, and begins no protocol that anybody knows.
    pub fn random(&self, count: usize) -> Vec<u8> {
        let mut random = fastrand::Rng::with_seed(self.inner.seed);
        let mut bytes: Vec<u8> = (0..count).map(|_| random.u8(..)).collect();
        if let Some(first) = bytes.first_mut() {
            *first |= 0x80;
        }
        bytes
    }

    /// A number that differs each time and depends on the seed.
    pub fn draw(&self) -> u64 {
        let count = self.inner.drawn.fetch_add(1, Ordering::Relaxed);
        fastrand::Rng::with_seed(self.inner.seed.wrapping_add(count.wrapping_mul(DRAW_STEP))).u64(..)
    }

    /// With what a TLS server at the bridge's address can prove itself.
    pub fn bridge_tls(&self) -> &Arc<ServerConfig> {
        &self.inner.bridge_tls
    }

    /// A seed for something else that wants one.
    pub fn seed(&self) -> u64 {
        self.inner.seed
    }

    /// Waits for something of the network, but no longer than a client waits.
    pub(super) async fn wait<T>(
        &self,
        bytes: u64,
        work: impl Future<Output = std::io::Result<T>>,
    ) -> Result<T, Outcome> {
        match timeout(self.patience(), work).await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => Err(Outcome::of_error(&error, bytes)),
            Err(_elapsed) => Err(Outcome::Silent { bytes }),
        }
    }

    /// Runs something in the world, for instance to open a server there.
    pub(super) async fn in_world<T: Send + 'static>(
        &self,
        work: impl Future<Output = std::io::Result<T>> + Send + 'static,
    ) -> Result<T, Outcome> {
        let done = self.inner.world.spawn(work).await.map_err(Outcome::failed)?;
        done.map_err(Outcome::failed)
    }

    /// Starts something in the world that goes on until the lab ends.
    pub(super) fn leave_in_world(&self, work: impl Future<Output = ()> + Send + 'static) {
        // The task ends with the world's runtime.
        drop(self.inner.world.spawn(work));
    }
}

/// A socket address of a control server.
pub(super) fn at(address: Ipv4Addr, port: u16) -> SocketAddr {
    (address, port).into()
}
