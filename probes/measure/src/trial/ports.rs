//! Which ports of the servers may still be used. After a failure, a censor may punish the three-tuple (us, server,
//! port) for minutes: such a port is not used again in this run.

use std::collections::{BTreeMap, VecDeque};

use commucat_verdict::observations::{PortClass, ServerKind};

use crate::targets::{Targets, class_of};

/// What a port speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Carrier {
    Tcp,
    Udp,
    Quic,
}

/// The ports of all servers, in an order drawn once.
#[derive(Debug)]
pub(super) struct PortBook {
    free: BTreeMap<(ServerKind, Carrier, PortClass), VecDeque<u16>>,
    lent: usize,
}

/// What came of asking for a port alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lent {
    /// This one; it must be given back.
    Port(u16),
    /// All are in use.
    Wait,
    /// None is left.
    None,
}

impl PortBook {
    pub(super) fn new(targets: &Targets, rng: &mut fastrand::Rng) -> Self {
        let mut free: BTreeMap<_, VecDeque<u16>> = BTreeMap::new();
        let mut seen = Vec::new();
        for server in &targets.servers {
            if seen.contains(&server.kind) {
                continue;
            }
            seen.push(server.kind);
            let lists =
                [(Carrier::Tcp, &server.tcp), (Carrier::Udp, &server.udp), (Carrier::Quic, &server.quic)];
            for (carrier, ports) in lists {
                let mut ports: Vec<u16> = ports.iter().collect();
                rng.shuffle(&mut ports);
                for port in ports {
                    free.entry((server.kind, carrier, class_of(port))).or_default().push_back(port);
                }
            }
        }
        Self { free, lent: 0 }
    }

    /// The port that was used the longest time ago.
    pub(super) fn take(&mut self, kind: ServerKind, carrier: Carrier, class: PortClass) -> Option<u16> {
        let ports = self.free.get_mut(&(kind, carrier, class))?;
        let port = ports.pop_front()?;
        ports.push_back(port);
        Some(port)
    }

    /// A port that nobody else has until it is given back.
    pub(super) fn lend(&mut self, kind: ServerKind, carrier: Carrier, class: PortClass) -> Lent {
        match self.free.get_mut(&(kind, carrier, class)).and_then(VecDeque::pop_front) {
            Some(port) => {
                self.lent += 1;
                Lent::Port(port)
            }
            None if self.lent > 0 => Lent::Wait,
            None => Lent::None,
        }
    }

    /// Gives a lent port back; a spoiled one goes out of the turns.
    pub(super) fn give_back(&mut self, kind: ServerKind, carrier: Carrier, port: u16, spoiled: bool) {
        self.lent = self.lent.saturating_sub(1);
        if !spoiled || class_of(port) != PortClass::High {
            self.free.entry((kind, carrier, class_of(port))).or_default().push_back(port);
        }
    }

    /// Takes the port out of the turns. Ports with a meaning of their own stay: there is only one of each, and methods
    /// ask them in an order that minds this.
    pub(super) fn poison(&mut self, kind: ServerKind, carrier: Carrier, port: u16) {
        if class_of(port) != PortClass::High {
            return;
        }
        if let Some(ports) = self.free.get_mut(&(kind, carrier, class_of(port))) {
            ports.retain(|other| *other != port);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn targets() -> Targets {
        Targets::parse(
            "[[server]]\nkind = \"foreign\"\naddress = \"192.0.2.1\"\ntcp = [443, \"2000-2003\"]\nudp = [53]",
        )
        .unwrap()
    }

    #[test]
    fn ports_come_in_turns_and_poisoned_ones_no_more() {
        let mut book = PortBook::new(&targets(), &mut fastrand::Rng::with_seed(1));
        let take = |book: &mut PortBook| book.take(ServerKind::Foreign, Carrier::Tcp, PortClass::High);
        let mut first: Vec<_> = (0..4).filter_map(|_| take(&mut book)).collect();
        assert_ne!(first, [2000, 2001, 2002, 2003], "the order is drawn");
        first.sort_unstable();
        assert_eq!(first, [2000, 2001, 2002, 2003]);
        for port in 2000..2003 {
            book.poison(ServerKind::Foreign, Carrier::Tcp, port);
        }
        assert_eq!((take(&mut book), take(&mut book)), (Some(2003), Some(2003)));
        book.poison(ServerKind::Foreign, Carrier::Tcp, 2003);
        assert_eq!(take(&mut book), None);
        assert_eq!(book.take(ServerKind::Foreign, Carrier::Tcp, PortClass::Https), Some(443));
        assert_eq!(book.take(ServerKind::Foreign, Carrier::Udp, PortClass::Dns), Some(53));
        assert_eq!(book.take(ServerKind::Domestic, Carrier::Tcp, PortClass::Https), None);
    }

    #[test]
    fn a_lent_port_is_nobody_elses() {
        let mut book = PortBook::new(&targets(), &mut fastrand::Rng::with_seed(1));
        let high = (ServerKind::Foreign, Carrier::Tcp, PortClass::High);
        let mut lent = Vec::new();
        while let Lent::Port(port) = book.lend(high.0, high.1, high.2) {
            lent.push(port);
        }
        assert_eq!(lent.len(), 4);
        assert_eq!(book.lend(high.0, high.1, high.2), Lent::Wait);
        for (at, port) in lent.iter().enumerate() {
            book.give_back(high.0, high.1, *port, at != 0);
        }
        assert_eq!(book.take(high.0, high.1, high.2), Some(lent[0]));
        assert_eq!(book.lend(high.0, high.1, high.2), Lent::Port(lent[0]));
        book.give_back(high.0, high.1, lent[0], true);
        assert_eq!(book.lend(high.0, high.1, high.2), Lent::None);
    }

    #[test]
    fn the_seed_decides_the_order() {
        let order = |seed| {
            let mut book = PortBook::new(&targets(), &mut fastrand::Rng::with_seed(seed));
            (0..4).map(|_| book.take(ServerKind::Foreign, Carrier::Tcp, PortClass::High)).collect::<Vec<_>>()
        };
        assert_eq!(order(5), order(5));
        assert!((0..20).any(|seed| order(seed) != order(5)));
    }
}
