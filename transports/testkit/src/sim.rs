//! A network in memory: hosts, links with delay, loss, reordering and a rate, streams with exact TCP semantics, and
//! datagrams, all from one seed and on tokio's paused clock. A minute of protocol takes milliseconds, and the same
//! seed gives the same packets at the same times.
//!
//! ```
//! use std::{net::Ipv4Addr, time::Duration};
//!
//! use commucat_testkit::sim::{LinkPolicy, SimNet};
//! use commucat_transport_api::Net;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build()?.block_on(async {
//! let net = SimNet::new(7);
//! net.set_policy(LinkPolicy::with_delay(Duration::from_millis(80)).loss_percent(5));
//! let client = net.for_host(Ipv4Addr::new(10, 0, 0, 1).into());
//! let server = net.for_host(Ipv4Addr::new(10, 0, 0, 2).into());
//! net.add_name("bridge.example", &[server.host()]);
//!
//! let mut port = server.listen_stream("0.0.0.0:443".parse()?).await?;
//! let (dialled, accepted) =
//!     tokio::join!(async { client.connect_stream(&"bridge.example:443".parse().ok()?).await.ok() }, port.accept());
//! assert!(dialled.is_some() && accepted.is_ok());
//! # Ok(()) })
//! # }
//! ```
//!
//! The clock must be paused (`#[tokio::test(start_paused = true)]`) for runs to be repeatable; on a running clock the
//! simulator works too, in real time. Timers of tokio have a grain of one millisecond: give delays in whole ones.
//!
//! # How it is built
//!
//! `link`, `pipe` and `world` are state machines: time comes in as an argument, chance from the seed. `driver` holds the
//! one task that lets time pass in them; `net` and `io` are the thin skin that implements the contract.
//!
//! # What the model leaves out
//!
//! No congestion control: a stream sends whatever its window holds. A lost segment is sent again after a pause of twice
//! the round trip (200 ms at least), which doubles; there is no fast retransmit. Acknowledgements are never lost and
//! cost no rate. ICMP exists only as a refused or unreachable connect.

mod driver;
mod io;
mod link;
mod net;
mod pipe;
mod policy;
mod rng;
mod trace;
mod world;

pub use self::{
    link::Fate,
    net::SimNet,
    policy::LinkPolicy,
    trace::{PacketKind, TRACE_ENTRIES_MAX, Trace, TraceEntry},
};
