//! Devices, addresses and routes of a place, set over netlink by a thread that is inside it.

use std::{fs, io, net::IpAddr};

use commucat_censor::Cidr;
use futures_util::TryStreamExt as _;
use rtnetlink::{
    Handle, LinkUnspec, RouteMessageBuilder, new_connection,
    packet_route::{
        address::{AddressAttribute, AddressFlags},
        link::LinkMessage,
        route::{RouteAttribute, RouteMessage, RouteMetric, RouteScope, RouteType},
    },
};

use crate::LabError;

/// The routing table that the kernel asks first: what is in it is this host's own (`ip-route(8)`).
const TABLE_LOCAL: u8 = 255;

/// What a place's network looks like.
#[derive(Clone, Debug)]
pub(crate) struct NetworkPlan {
    /// The place, for errors.
    pub(crate) place: &'static str,
    /// Its TUN device, which exists already.
    pub(crate) device: &'static str,
    /// Largest packet on it, in bytes.
    pub(crate) mtu: u16,
    /// Packets that may wait in it.
    pub(crate) queue: u32,
    /// The address on it.
    pub(crate) address: IpAddr,
    /// Networks whose every address is this place's own (AnyIP).
    pub(crate) own: Vec<Cidr>,
    /// Networks that are reached over the device; none stands for everything.
    pub(crate) reaches: Vec<Cidr>,
    /// The congestion control of TCP here, when it is to be set.
    pub(crate) congestion: Option<String>,
    /// Whether IPv6 is on.
    pub(crate) ipv6: bool,
}

/// Sets it all, and says what the system did not take although it could be done without.
///
/// # Errors
/// [`LabError::Network`]: a device, address or route was refused.
pub(crate) fn configure(plan: &NetworkPlan) -> Result<Vec<String>, LabError> {
    let mut notes = write_switches(plan);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|source| network_error(plan.place, "start a netlink client".to_owned(), source))?;
    runtime.block_on(async {
        let (connection, handle, _messages) = new_connection()
            .map_err(|source| network_error(plan.place, "open a netlink socket".to_owned(), source))?;
        let driver = tokio::spawn(connection);
        let done = Netlink { plan, handle }.configure().await;
        driver.abort();
        notes.extend(done?);
        Ok(notes)
    })
}

/// Switches under `/proc/sys` that make runs independent of each other. A system that mounts it read-only still makes
/// a lab, so a refusal is a note.
fn write_switches(plan: &NetworkPlan) -> Vec<String> {
    let mut switches = vec![
        // The kernel remembers round trips and thresholds of earlier connections to an address; a run must not.
        ("/proc/sys/net/ipv4/tcp_no_metrics_save", "1"),
    ];
    if plan.ipv6 {
        switches.push(("/proc/sys/net/ipv6/ip_nonlocal_bind", "1"));
    } else {
        switches.push(("/proc/sys/net/ipv6/conf/all/disable_ipv6", "1"));
        switches.push(("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1"));
    }
    switches
        .into_iter()
        // A kernel without IPv6 has no such switch, and needs none.
        .filter(|(path, _value)| fs::exists(path).unwrap_or(false))
        .filter_map(|(path, value)| {
            let error = fs::write(path, value).err()?;
            Some(format!("{}: cannot write {value} to {path}: {error}", plan.place))
        })
        .collect()
}

struct Netlink<'a> {
    plan: &'a NetworkPlan,
    handle: Handle,
}

impl Netlink<'_> {
    async fn configure(&self) -> Result<Vec<String>, LabError> {
        let plan = self.plan;
        let loopback = self.index_of("lo").await?;
        let device = self.index_of(plan.device).await?;
        self.set(LinkUnspec::new_with_index(loopback).up().build(), "lo").await?;
        let ready =
            LinkUnspec::new_with_index(device).mtu(plan.mtu.into()).txqueuelen(plan.queue).up().build();
        self.set(ready, plan.device).await?;
        self.give_address(device).await?;
        let mut notes = Vec::new();
        for net in &plan.own {
            notes.extend(self.route(own_route(net, loopback), &format!("make {net} local")).await?);
        }
        let everything = [default_of(plan.address)];
        let reaches = if plan.reaches.is_empty() { &everything } else { plan.reaches.as_slice() };
        for net in reaches {
            let route = through(net, device, plan.address);
            notes.extend(self.route(route, &format!("route {net} to {}", plan.device)).await?);
        }
        notes.dedup();
        Ok(notes)
    }

    async fn give_address(&self, device: u32) -> Result<(), LabError> {
        let host = Cidr::host(self.plan.address);
        let mut request = self.handle.address().add(device, self.plan.address, host.bits());
        // Nobody else is on the device, and an IPv6 address cannot be used while the kernel asks for others.
        let flags = AddressAttribute::Flags(AddressFlags::Nodad);
        request.message_mut().attributes.push(flags);
        let what = || format!("give {} the address {host}", self.plan.device);
        request.execute().await.map_err(|error| self.error(what(), &error))
    }

    async fn index_of(&self, name: &str) -> Result<u32, LabError> {
        let mut found = self.handle.link().get().match_name(name.to_owned()).execute();
        let link: Option<LinkMessage> =
            found.try_next().await.map_err(|error| self.error(format!("find the device {name}"), &error))?;
        link.map(|link| link.header.index).ok_or_else(|| {
            network_error(self.plan.place, format!("find the device {name}"), io::ErrorKind::NotFound.into())
        })
    }

    async fn set(&self, message: LinkMessage, name: &str) -> Result<(), LabError> {
        self.handle
            .link()
            .set(message)
            .execute()
            .await
            .map_err(|error| self.error(format!("bring {name} up"), &error))
    }

    /// Adds a route; with the congestion control that was asked for, or, when the kernel does not have that one,
    /// without, and a note.
    async fn route(&self, route: RouteMessage, what: &str) -> Result<Option<String>, LabError> {
        let Some(algorithm) = &self.plan.congestion else {
            self.add(route).await.map_err(|error| self.error(what.to_owned(), &error))?;
            return Ok(None);
        };
        let mut with = route.clone();
        with.attributes.push(RouteAttribute::Metrics(vec![RouteMetric::CcAlgo(algorithm.clone())]));
        let Err(refused) = self.add(with).await else { return Ok(None) };
        self.add(route).await.map_err(|error| self.error(what.to_owned(), &error))?;
        let reason = io_error(&refused);
        Ok(Some(format!("{}: TCP keeps its congestion control, not {algorithm}: {reason}", self.plan.place)))
    }

    async fn add(&self, route: RouteMessage) -> Result<(), rtnetlink::Error> {
        self.handle.route().add(route).execute().await
    }

    fn error(&self, what: String, error: &rtnetlink::Error) -> LabError {
        network_error(self.plan.place, what, io_error(error))
    }
}

/// `ip route add local NET dev lo`: every address of the network accepts connections and may be bound.
fn own_route(net: &Cidr, loopback: u32) -> RouteMessage {
    let builder = RouteMessageBuilder::<IpAddr>::new().output_interface(loopback);
    let mut route = towards(builder, net).build();
    route.header.kind = RouteType::Local;
    route.header.scope = RouteScope::Host;
    route.header.table = TABLE_LOCAL;
    route
}

fn through(net: &Cidr, device: u32, from: IpAddr) -> RouteMessage {
    let builder = RouteMessageBuilder::<IpAddr>::new().output_interface(device);
    let mut route = towards(builder, net).build();
    route.header.scope = RouteScope::Link;
    route.attributes.push(RouteAttribute::PrefSource(from.into()));
    route
}

fn towards(builder: RouteMessageBuilder<IpAddr>, net: &Cidr) -> RouteMessageBuilder<IpAddr> {
    // The only error is a prefix longer than the address, which a `Cidr` cannot have.
    builder.clone().destination_prefix(net.address(), net.bits()).unwrap_or(builder)
}

fn default_of(address: IpAddr) -> Cidr {
    let any = match address {
        IpAddr::V4(_) => IpAddr::from([0; 4]),
        IpAddr::V6(_) => IpAddr::from([0; 16]),
    };
    Cidr::new(any, 0).unwrap_or_else(|| Cidr::host(any))
}

fn io_error(error: &rtnetlink::Error) -> io::Error {
    match error {
        rtnetlink::Error::NetlinkError(message) => message.to_io(),
        other => io::Error::other(other.to_string()),
    }
}

fn network_error(place: &'static str, what: String, source: io::Error) -> LabError {
    LabError::Network { place, what, source }
}
