//! `tspu-conn`: stops further TLS handshakes of a browser to one network and name (Russia, since November 2025).
//!
//! The key is the server's network, the name in the hello, and the kind of client by its hello. Handshakes of one key
//! count while they are younger than `window` or while their connection is open; when `limit` count, the next hello
//! vanishes, and with it everything that its client sends on that connection. Seen in the field: hellos without a name
//! are not judged, a new name begins anew, curl is not affected while browsers are.
//!
//! Known: the key and the exemptions (the program of hyperion-cs/dpi-checkers, read; field reports). Limits of 12 to 24
//! were seen, and advice is to stay at 6 or below. Not known: the window (60 s is a guess), and whether stopped
//! handshakes count; here they do not.

use std::{
    collections::hash_map::DefaultHasher,
    hash::{Hash, Hasher},
    time::Duration,
};

use commucat_dissect::tls::{ClientHello, extension, is_grease};

use super::Entry;
use crate::{
    bounded::Bounded,
    event::Why,
    flow::{Flow, PerFlow},
    geography::Cidr,
    hello::{Hello, Reassembly},
    parameter::{Kind, Parameter, Values},
    policy::{Action, Cx, Policy, Seen},
    residual::{FOREVER, Kill, Scope, Sentence},
    spec::{Places, SpecError},
};

/// Keys that are remembered; the one that was not used for longest is forgotten first.
const KEYS_MAX: usize = 16 * 1024;
/// Handshakes remembered for one key.
const LIMIT_MAX: u64 = 4_096;
/// The network of a server with an IPv6 address: what a customer gets.
const V6_BITS: u8 = 48;

pub(crate) const ENTRY: Entry = Entry {
    name: "tspu-conn",
    about: "stops further browser handshakes to one server network and name",
    parameters: &[
        Parameter {
            name: "limit",
            kind: Kind::Count,
            default: "6",
            about: "handshakes of one key that pass (strict 6, mild 12)",
            source: "field reports: stops around 12 and 24; XTLS advises at most 6",
        },
        Parameter {
            name: "window",
            kind: Kind::Penalty,
            default: "60s",
            about: "how long a handshake counts",
            source: "unverified: reports say about a minute",
        },
        Parameter {
            name: "count",
            kind: Kind::Choice(&["either", "fresh", "open"]),
            default: "either",
            about: "which handshakes count: young ones, those of open connections, or both",
            source: "unverified: reports do not tell them apart",
        },
        Parameter {
            name: "clients",
            kind: Kind::Choice(&["browsers", "all"]),
            default: "browsers",
            about: "whose handshakes are judged, by their hello",
            source: "field reports: Chrome and Firefox, not curl",
        },
        Parameter {
            name: "empty-name",
            kind: Kind::Flag,
            default: "false",
            about: "whether hellos without a name are judged",
            source: "field reports: they are not",
        },
        Parameter {
            name: "net-bits",
            kind: Kind::Count,
            default: "24",
            about: "length of the server's network, IPv4; IPv6 is always 48",
            source: "field reports: the subnet or the AS",
        },
        Parameter {
            name: "to",
            kind: Kind::Words,
            default: "foreign",
            about: "networks of servers that are judged",
            source: "field reports: hosting abroad first, some at home since May 2026",
        },
    ],
    build,
};

/// The kind of client, as far as a hello shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Client {
    /// GREASE values: Chrome and all that is built on it.
    Chromium,
    /// delegated_credentials and record_size_limit together.
    Firefox,
    Other,
}

impl Client {
    fn of(hello: &ClientHello) -> Self {
        if hello.cipher_suites.iter().any(|suite| is_grease(*suite)) {
            return Self::Chromium;
        }
        let has = |kind| hello.extension(kind).is_some();
        if has(extension::DELEGATED_CREDENTIAL) && has(extension::RECORD_SIZE_LIMIT) {
            Self::Firefox
        } else {
            Self::Other
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Chromium => "chromium",
            Self::Firefox => "firefox",
            Self::Other => "other",
        }
    }
}

/// Server's network, hash of the name, kind of client.
type Key = (Cidr, u64, Client);

#[derive(Clone, Copy, Debug)]
struct Handshake {
    flow: u64,
    at: Duration,
    is_open: bool,
}

#[derive(Debug)]
struct Connections {
    limit: usize,
    window: Duration,
    count_fresh: bool,
    count_open: bool,
    browsers_only: bool,
    empty_name: bool,
    v4_bits: u8,
    to: Places,
    keys: Bounded<Key, Vec<Handshake>>,
    of_flow: PerFlow<Option<Key>>,
}

fn build(values: &Values) -> Result<Box<dyn Policy>, SpecError> {
    let (limit, bits, count) = (values.number("limit")?, values.number("net-bits")?, values.choice("count")?);
    if limit == 0 || limit > LIMIT_MAX {
        return Err(values.refuse("limit", &limit, "1 to 4096 handshakes").into());
    }
    let v4_bits = u8::try_from(bits).ok().filter(|bits| *bits <= 32);
    Ok(Box::new(Connections {
        limit: usize::try_from(limit).unwrap_or(usize::MAX),
        window: values.duration("window")?,
        count_fresh: count != "open",
        count_open: count != "fresh",
        browsers_only: values.choice("clients")? == "browsers",
        empty_name: values.flag("empty-name")?,
        v4_bits: v4_bits.ok_or_else(|| values.refuse("net-bits", &bits, "0 to 32 bits"))?,
        to: Places::read(values, "to")?,
        keys: Bounded::new(KEYS_MAX),
        of_flow: PerFlow::default(),
    }))
}

impl Connections {
    /// The key of a hello that is judged.
    fn key(&self, flow: &Flow, hello: &Hello) -> Option<Key> {
        let client = Client::of(hello.client_hello());
        let name = hello.server_name().unwrap_or_default();
        if (self.browsers_only && client == Client::Other) || (name.is_empty() && !self.empty_name) {
            return None;
        }
        let address = flow.world_ip();
        let bits = if address.is_ipv4() { self.v4_bits } else { V6_BITS };
        let mut hasher = DefaultHasher::new();
        name.hash(&mut hasher);
        Some((Cidr::new(address, bits)?, hasher.finish(), client))
    }

    /// Whether one handshake more passes; it counts when it does.
    fn admit(&mut self, now: Duration, key: Key, flow: &Flow) -> Result<(), usize> {
        if self.keys.get(&key).is_none() {
            self.keys.insert(key, Vec::new());
        }
        let (fresh, open, window) = (self.count_fresh, self.count_open, self.window);
        let Some(handshakes) = self.keys.get(&key) else { return Ok(()) };
        handshakes.retain(|one| (fresh && now.saturating_sub(one.at) < window) || (open && one.is_open));
        if handshakes.len() >= self.limit {
            return Err(handshakes.len());
        }
        handshakes.push(Handshake { flow: flow.id(), at: now, is_open: true });
        *self.of_flow.of(flow) = Some(key);
        Ok(())
    }
}

impl Policy for Connections {
    fn on_packet(&mut self, cx: &mut Cx<'_>, seen: &Seen<'_>, flow: &mut Flow) -> Action {
        if !flow.is_tcp() || !self.to.contain(flow.world_ip(), cx.geography(), cx.lists()) {
            cx.ignore();
            return Action::Pass;
        }
        let Some(hello) = seen.new_hello(Reassembly::TcpTls) else { return Action::Pass };
        cx.ignore();
        let Some(key) = self.key(flow, hello) else { return Action::Pass };
        let Err(count) = self.admit(cx.now(), key, flow) else { return Action::Pass };
        let why = Why::new()
            .and("net", key.0.to_string())
            .and("sni", hello.server_name().unwrap_or_default())
            .and("client", key.2.name())
            .and("count", count)
            .and("limit", self.limit);
        Action::Kill(Sentence::new(Scope::Flow, Kill::DropOutbound, FOREVER, why))
    }

    fn on_flow_end(&mut self, _cx: &mut Cx<'_>, flow: &Flow) {
        let Some(key) = self.of_flow.forget(flow).flatten() else { return };
        let Some(handshakes) = self.keys.get(&key) else { return };
        for handshake in handshakes.iter_mut().filter(|one| one.flow == flow.id()) {
            handshake.is_open = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use commucat_dissect::tls::build::HelloSpec;

    use crate::testing::{Bench, Connection, hello, hello_of};

    const BRIDGE: &str = "203.0.113.10";
    const NAME: &str = "innocent.example";

    fn chrome(bench: &mut Bench, address: &str, name: &str) -> Connection {
        let mut connection = bench.connect(address, 443);
        connection.client_says(bench, &hello_of(HelloSpec::chrome_current(), name));
        connection
    }

    fn passing(bench: &mut Bench, count: usize) -> usize {
        (0..count).filter(|_| chrome(bench, BRIDGE, NAME).is_untouched()).count()
    }

    #[test]
    fn the_sixth_handshake_passes_and_the_seventh_does_not() {
        let mut bench = Bench::new("tspu-conn");
        assert_eq!(passing(&mut bench, 6), 6);
        let mut seventh = chrome(&mut bench, BRIDGE, NAME);
        assert!(seventh.lost > 0 && seventh.resets_to_client == 0);
        let lost = seventh.lost;
        seventh.client_says(&mut bench, b"again");
        assert!(seventh.lost > lost, "what follows vanishes too");
        let event = &bench.events()[0];
        assert_eq!(event.because("count").and_then(|count| count.as_u64()), Some(6));
        assert_eq!(event.because("client").and_then(|client| client.as_str()), Some("chromium"));
    }

    #[test]
    fn the_limit_is_the_one_asked() {
        for limit in [1, 12, 24] {
            let mut bench = Bench::new(&format!("tspu-conn?limit={limit}"));
            assert_eq!(passing(&mut bench, 30), limit);
        }
    }

    #[test]
    fn each_part_of_the_key_begins_anew() {
        let mut bench = Bench::new("tspu-conn");
        assert_eq!(passing(&mut bench, 8), 6);
        assert!(chrome(&mut bench, BRIDGE, "www.example.org").is_untouched(), "another name");
        assert!(!chrome(&mut bench, "203.0.113.99", NAME).is_untouched(), "the same network");
        let mut firefox = bench.connect(BRIDGE, 443);
        firefox.client_says(&mut bench, &hello_of(HelloSpec::firefox(), NAME));
        assert!(firefox.is_untouched(), "another kind of client");
        let mut bench = Bench::new("tspu-conn?net-bits=32");
        assert_eq!(passing(&mut bench, 8), 6);
        assert!(chrome(&mut bench, "203.0.113.99", NAME).is_untouched(), "another address");
    }

    #[test]
    fn curl_empty_names_and_other_places_are_not_judged() {
        let mut bench = Bench::new("tspu-conn");
        for _time in 0..20 {
            let mut curl = bench.connect(BRIDGE, 443);
            curl.client_says(&mut bench, &hello(NAME));
            let mut nameless = bench.connect(BRIDGE, 443);
            let spec = HelloSpec { server_name: None, ..HelloSpec::chrome_current() };
            nameless.client_says(&mut bench, &spec.record(7).unwrap());
            assert!(curl.is_untouched() && nameless.is_untouched());
            assert!(chrome(&mut bench, "198.51.100.10", NAME).is_untouched());
        }
        let mut bench = Bench::new("tspu-conn?clients=all");
        let stopped = (0..20).filter(|_| {
            let mut curl = bench.connect(BRIDGE, 443);
            curl.client_says(&mut bench, &hello(NAME));
            !curl.is_untouched()
        });
        assert_eq!(stopped.count(), 14);
    }

    #[test]
    fn one_muxed_connection_is_never_stopped() {
        let mut bench = Bench::new("tspu-conn");
        let mut mux = chrome(&mut bench, BRIDGE, NAME);
        mux.exchange(&mut bench, 200);
        assert!(mux.is_untouched());
    }

    #[test]
    fn open_connections_count_beyond_the_window_and_closed_ones_do_not() {
        let mut bench = Bench::new("tspu-conn?window=10s");
        let mut open: Vec<_> = (0..6).map(|_| chrome(&mut bench, BRIDGE, NAME)).collect();
        bench.pass(Duration::from_secs(11));
        assert_eq!(passing(&mut bench, 1), 0);
        open.iter_mut().for_each(|connection| connection.close(&mut bench));
        bench.pass(Duration::from_secs(120));
        assert_eq!(passing(&mut bench, 1), 1);

        let mut bench = Bench::new("tspu-conn?window=10s&count=fresh");
        assert_eq!(passing(&mut bench, 8), 6);
        bench.pass(Duration::from_secs(10));
        assert_eq!(passing(&mut bench, 8), 6);
    }

    #[test]
    fn a_closed_connection_still_counts_in_the_window() {
        let mut bench = Bench::new("tspu-conn");
        for _time in 0..6 {
            chrome(&mut bench, BRIDGE, NAME).close(&mut bench);
        }
        assert_eq!(passing(&mut bench, 1), 0);
        let mut bench = Bench::new("tspu-conn?count=open");
        for _time in 0..20 {
            let mut one = chrome(&mut bench, BRIDGE, NAME);
            assert!(one.is_untouched());
            one.close(&mut bench);
            bench.pass(Duration::from_secs(30));
        }
    }
}
