//! [`SimNet`]: one host's view of the simulated network, as the contract's `Net`.

use std::{
    fmt, io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, Instant},
};

use commucat_transport_api::{BoxFuture, BoxStream, Host, HostPort, Net, StreamPort, UdpPort};

use super::{
    LinkPolicy, Trace,
    driver::Core,
    io::{Connecting, SimListener, SimUdp},
};

/// The host that [`SimNet::new`] speaks for.
const FIRST_HOST: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
/// The wall clock when a simulation begins, in seconds since 1970: 2026-11-01 00:00 UTC.
const START_UNIX_SECONDS: u64 = 1_793_491_200;
/// How long a name takes to look up.
const RESOLVE_TIME: Duration = Duration::from_millis(1);

/// One host of a simulated network. Clones and [`Self::for_host`] views share the network.
#[derive(Clone)]
pub struct SimNet {
    core: Arc<Core>,
    host: IpAddr,
    clock_offset_seconds: Arc<AtomicI64>,
}

impl SimNet {
    /// A network with one host, `10.0.0.1`, and perfect links. A host reaches itself over a link too.
    pub fn new(seed: u64) -> Self {
        let net = Self { core: Core::new(seed), host: FIRST_HOST, clock_offset_seconds: Arc::default() };
        net.for_host(FIRST_HOST)
    }

    /// The same network seen by another host, which comes to be here. It has a wall clock and a random sequence of its own.
    #[must_use]
    pub fn for_host(&self, host: IpAddr) -> Self {
        self.core.without_driver(|world| world.add_host(host));
        Self { core: Arc::clone(&self.core), host, clock_offset_seconds: Arc::default() }
    }

    /// The address of this host.
    pub const fn host(&self) -> IpAddr {
        self.host
    }

    /// Sets the wall clock of this host this many seconds ahead (or behind, when negative).
    pub fn set_clock_offset(&self, seconds: i64) {
        self.clock_offset_seconds.store(seconds, Ordering::Relaxed);
    }

    /// Sets what every link does, from now on.
    pub fn set_policy(&self, policy: LinkPolicy) {
        self.core.without_driver(|world| world.set_default_policy(policy));
    }

    /// Sets what one direction between two hosts does, from now on.
    pub fn set_link(&self, from: IpAddr, to: IpAddr, policy: LinkPolicy) {
        self.core.without_driver(|world| world.link(from, to).set_policy(policy));
    }

    /// What the path from this host to another does.
    pub fn policy_to(&self, to: IpAddr) -> LinkPolicy {
        self.core.without_driver(|world| *world.link(self.host, to).policy())
    }

    /// Gives addresses a name. An empty list is ignored.
    pub fn add_name(&self, name: &str, addresses: &[IpAddr]) {
        self.core.without_driver(|world| world.add_name(name, addresses));
    }

    /// Makes both directions between two hosts a black hole: nothing comes through and nobody is told. What is under
    /// way already arrives.
    pub fn cut(&self, one: IpAddr, other: IpAddr) {
        self.set_cut(one, other, true);
    }

    /// Ends what [`Self::cut`] began.
    pub fn restore(&self, one: IpAddr, other: IpAddr) {
        self.set_cut(one, other, false);
    }

    /// Resets every stream of the network, at both ends at once.
    pub fn reset_all_streams(&self) {
        self.core.with(|world, _now| world.reset_streams(None));
    }

    /// Resets every stream of this host, at both ends at once.
    pub fn reset_streams(&self) {
        self.core.with(|world, _now| world.reset_streams(Some(self.host)));
    }

    /// What was sent so far.
    pub fn trace(&self) -> Trace {
        self.core.without_driver(|world| world.trace().clone())
    }

    /// Streams and datagram ports that somebody holds; a test that ends with more than it began with leaks.
    pub fn open_sockets(&self) -> usize {
        self.core.without_driver(|world| world.open_sockets())
    }

    fn set_cut(&self, one: IpAddr, other: IpAddr, cut: bool) {
        self.core.without_driver(|world| {
            world.link(one, other).set_cut(cut);
            world.link(other, one).set_cut(cut);
        });
    }

    async fn lookup(&self, to: &HostPort) -> io::Result<Vec<SocketAddr>> {
        let name = match &to.host {
            Host::Ip(ip) => return Ok(vec![SocketAddr::new(*ip, to.port)]),
            Host::Name(name) => name,
        };
        tokio::time::sleep(RESOLVE_TIME).await;
        let found = self.core.with(|world, _now| world.lookup(name).map(<[IpAddr]>::to_vec));
        let found = found.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "no such name"))?;
        Ok(found.into_iter().map(|ip| SocketAddr::new(ip, to.port)).collect())
    }
}

impl Net for SimNet {
    fn connect_stream<'a>(&'a self, to: &'a HostPort) -> BoxFuture<'a, io::Result<BoxStream>> {
        Box::pin(async move {
            let mut last = io::ErrorKind::NotFound.into();
            for address in self.lookup(to).await? {
                match Connecting::start(&self.core, self.host, address)?.await {
                    Ok(stream) => return Ok(Box::new(stream) as BoxStream),
                    Err(error) => last = error,
                }
            }
            Err(last)
        })
    }

    fn bind_datagram(&self, local: SocketAddr) -> BoxFuture<'_, io::Result<Box<dyn UdpPort>>> {
        let port = SimUdp::bind(&self.core, self.host, local);
        Box::pin(async move { Ok(Box::new(port?) as Box<dyn UdpPort>) })
    }

    fn listen_stream(&self, local: SocketAddr) -> BoxFuture<'_, io::Result<Box<dyn StreamPort>>> {
        let port = SimListener::bind(&self.core, self.host, local);
        Box::pin(async move { Ok(Box::new(port?) as Box<dyn StreamPort>) })
    }

    fn resolve<'a>(&'a self, to: &'a HostPort) -> BoxFuture<'a, io::Result<Vec<SocketAddr>>> {
        Box::pin(self.lookup(to))
    }

    fn now(&self) -> Instant {
        tokio::time::Instant::now().into_std()
    }

    fn unix_time(&self) -> Duration {
        let offset = self.clock_offset_seconds.load(Ordering::Relaxed);
        let seconds = START_UNIX_SECONDS.saturating_add_signed(offset);
        Duration::from_secs(seconds) + self.core.now()
    }

    fn sleep_until(&self, at: Instant) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep_until(at.into()))
    }

    fn fill_random(&self, bytes: &mut [u8]) -> io::Result<()> {
        self.core.without_driver(|world| world.fill_random(self.host, bytes));
        Ok(())
    }
}

impl fmt::Debug for SimNet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimNet").field("host", &self.host).finish_non_exhaustive()
    }
}
