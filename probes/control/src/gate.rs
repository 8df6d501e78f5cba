//! How many connections at a time, in total and from one address.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, PoisonError},
};

/// Whom an address counts as: IPv6 users own a whole /64, so that is one peer.
pub(crate) fn peer_of(address: IpAddr) -> IpAddr {
    const PREFIX_64: u128 = !0 << 64;
    match address.to_canonical() {
        IpAddr::V6(v6) => Ipv6Addr::from(u128::from(v6) & PREFIX_64).into(),
        v4 @ IpAddr::V4(_) => v4,
    }
}

/// Counts connections. Its table is as large as the connections it lets in.
#[derive(Debug)]
pub(crate) struct Gate {
    total_max: u32,
    per_peer_max: u32,
    inside: Mutex<Inside>,
}

#[derive(Debug, Default)]
struct Inside {
    total: u32,
    per_peer: HashMap<IpAddr, u32>,
}

/// The right to one connection; given back when dropped.
#[derive(Debug)]
pub(crate) struct Pass {
    gate: Arc<Gate>,
    peer: IpAddr,
}

impl Gate {
    pub(crate) fn new(total_max: u32, per_peer_max: u32) -> Self {
        Self { total_max, per_peer_max, inside: Mutex::default() }
    }

    /// Lets a connection in, unless a limit is reached.
    pub(crate) fn enter(self: &Arc<Self>, address: IpAddr) -> Option<Pass> {
        let peer = peer_of(address);
        let mut inside = self.inside.lock().unwrap_or_else(PoisonError::into_inner);
        let here = inside.per_peer.get(&peer).copied().unwrap_or(0);
        if inside.total >= self.total_max || here >= self.per_peer_max {
            return None;
        }
        inside.total += 1;
        inside.per_peer.insert(peer, here + 1);
        Some(Pass { gate: Arc::clone(self), peer })
    }

    /// Connections inside.
    pub(crate) fn total(&self) -> u32 {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner).total
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        let mut inside = self.gate.inside.lock().unwrap_or_else(PoisonError::into_inner);
        inside.total = inside.total.saturating_sub(1);
        let left = inside.per_peer.get_mut(&self.peer).map_or(0, |here| {
            *here = here.saturating_sub(1);
            *here
        });
        if left == 0 {
            inside.per_peer.remove(&self.peer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn one_peer_does_not_lock_out_another() {
        let gate = Arc::new(Gate::new(3, 2));
        let passes = [gate.enter(address("192.0.2.1")), gate.enter(address("192.0.2.1"))];
        assert!(passes.iter().all(Option::is_some));
        assert!(gate.enter(address("192.0.2.1")).is_none(), "the limit of one peer");
        assert!(gate.enter(address("::ffff:192.0.2.1")).is_none(), "the same peer in other clothes");
        let other = gate.enter(address("192.0.2.2"));
        assert!(other.is_some());
        assert!(gate.enter(address("192.0.2.3")).is_none(), "the limit of all");
        drop(passes);
        assert!(gate.enter(address("192.0.2.1")).is_some());
    }

    #[test]
    fn a_network_of_ipv6_is_one_peer() {
        let gate = Arc::new(Gate::new(9, 1));
        let pass = gate.enter(address("2001:db8::1"));
        assert!(pass.is_some());
        assert!(gate.enter(address("2001:db8::ffff")).is_none());
        assert!(gate.enter(address("2001:db8:0:1::1")).is_some());
    }

    #[test]
    fn the_table_forgets_who_left() {
        let gate = Arc::new(Gate::new(9, 9));
        drop(gate.enter(address("192.0.2.1")));
        assert_eq!(gate.total(), 0);
        assert!(gate.inside.lock().unwrap().per_peer.is_empty());
    }
}
