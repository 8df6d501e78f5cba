//! Every finding from synthetic observations, and that none arises without its control.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::time::Duration;

use commucat_transport_api::{Failure, Phase, Signal};
use commucat_verdict::{
    Confidence, ControlKind, Finding, conclude, ids,
    observations::{
        Condition, Counting, Decision, Direction, Environment, Fingerprint, Limit, Lookup, LookupAnswer,
        NameClass, Observations, Payload, PortClass, Protocol, RateComparison, ResolverKind, Series,
        ServerKind, Spread, Subtest, TlsSeen, Transfer, Trial, Unit,
    },
};

type Why = (Phase, Signal);
const SILENT: Why = (Phase::Handshake, Signal::Timeout);
const RESET: Why = (Phase::Handshake, Signal::Reset);
const NEVER_OPENS: Why = (Phase::Connect, Signal::Timeout);

fn trial(why: Option<&Why>) -> Trial {
    let failure = why.map(|(phase, signal)| Failure::new(*phase, signal.clone(), Duration::from_secs(1)));
    Trial {
        number: 1,
        at_us: 0,
        took_us: 1,
        address: None,
        source_port: 1,
        server_name: None,
        failure,
        sent: 100,
        received: 0,
        tls: None,
        steps: Vec::new(),
    }
}

fn series(condition: Condition, control: Option<ControlKind>, why: Option<&Why>) -> Series {
    let decision = if why.is_some() { Decision::Fails } else { Decision::Passes };
    Series { condition, control, trials: vec![trial(why), trial(why)], decision, baseline: 0.02 }
}

/// Observations to which a test adds.
#[derive(Default)]
struct Seen(Observations);

impl Seen {
    /// Three servers that answer.
    fn clean() -> Self {
        let mut seen = Self::default();
        seen.0.environment = Some(Environment { routed: Some(true), ..Environment::default() });
        for kind in [ServerKind::Foreign, ServerKind::ForeignOther, ServerKind::Domestic] {
            seen = seen.env(kind, PortClass::High, None).env(kind, PortClass::Https, None);
        }
        seen
    }

    fn with(mut self, condition: Condition, why: Option<&Why>) -> Self {
        // A later series under the same condition replaces the earlier one.
        self.0.series.retain(|one| one.condition != condition);
        self.0.series.push(series(condition, None, why));
        self
    }

    fn without(mut self, unwanted: impl Fn(&Condition) -> bool) -> Self {
        self.0.series.retain(|one| !unwanted(&one.condition));
        self
    }

    fn env(self, kind: ServerKind, port: PortClass, why: Option<&Why>) -> Self {
        self.with(Condition::new(Subtest::Env, Protocol::Tls, kind, Payload::Request).port(port), why)
    }

    fn hello(self, fingerprint: Fingerprint, name: NameClass, why: Option<&Why>) -> Self {
        self.with(hello(Subtest::Tls, ServerKind::Foreign, Payload::Hello, fingerprint, name), why)
    }

    fn simple(self, subtest: Subtest, kind: ServerKind, payload: Payload, why: Option<&Why>) -> Self {
        self.with(Condition::new(subtest, Protocol::Udp, kind, payload), why)
    }

    fn found(&self) -> Vec<Finding> {
        conclude(&self.0)
    }

    fn ids(&self) -> Vec<String> {
        self.found().into_iter().map(|finding| finding.verdict_id.into_owned()).collect()
    }

    #[track_caller]
    fn shows(&self, id: &str) -> Finding {
        let found = self.found();
        assert_eq!(self.ids(), [id], "{found:#?}");
        let finding = found.into_iter().next().unwrap();
        assert!(!finding.evidence_line.is_empty());
        finding
    }

    #[track_caller]
    fn shows_nothing(&self) {
        assert_eq!(self.ids(), Vec::<String>::new());
    }
}

fn hello(
    subtest: Subtest,
    kind: ServerKind,
    payload: Payload,
    fingerprint: Fingerprint,
    name: NameClass,
) -> Condition {
    Condition::new(subtest, Protocol::Tls, kind, payload).fingerprint(fingerprint).name(name)
}

#[test]
fn nothing_follows_from_nothing_and_from_success() {
    assert_eq!(conclude(&Observations::default()), Vec::new());
    Seen::clean().shows_nothing();
}

#[test]
fn a_machine_without_route_has_no_network() {
    let mut seen = Seen::clean();
    seen.0.environment = Some(Environment { routed: Some(false), ..Environment::default() });
    seen.0.series.clear();
    assert_eq!(seen.shows(ids::NET_DOWN).confidence, Confidence::Certain);
}

fn dead_abroad(why: &Why) -> Seen {
    Seen::clean().without(|_| true).env(ServerKind::Foreign, PortClass::High, Some(why)).env(
        ServerKind::ForeignOther,
        PortClass::High,
        Some(why),
    )
}

#[test]
fn only_a_domestic_control_tells_a_whitelist_from_no_network() {
    let whitelist = dead_abroad(&SILENT).env(ServerKind::Domestic, PortClass::High, None);
    assert_eq!(whitelist.shows(ids::NET_WHITELIST).confidence, Confidence::Certain);
    dead_abroad(&NEVER_OPENS)
        .env(ServerKind::Domestic, PortClass::High, Some(&NEVER_OPENS))
        .shows(ids::NET_DOWN);
    let open = dead_abroad(&NEVER_OPENS).shows(ids::INCONCLUSIVE);
    assert_eq!(open.between, [ids::NET_DOWN, ids::NET_WHITELIST]);
    assert_eq!(open.confidence, Confidence::Open);
    // One server abroad alone may simply be off.
    let one = Seen::clean()
        .without(|_| true)
        .env(ServerKind::Foreign, PortClass::High, Some(&NEVER_OPENS))
        .env(ServerKind::Domestic, PortClass::High, None);
    assert_eq!(one.shows(ids::INCONCLUSIVE).between, [ids::NET_WHITELIST, ids::IP_BLOCKED]);
    let address = Seen::clean().env(ServerKind::Foreign, PortClass::High, Some(&NEVER_OPENS)).env(
        ServerKind::Foreign,
        PortClass::Https,
        Some(&NEVER_OPENS),
    );
    assert_eq!(address.shows(ids::IP_BLOCKED).confidence, Confidence::Open);
}

#[test]
fn a_portal_is_named_only_where_the_server_does_not_answer() {
    let mut seen = dead_abroad(&SILENT);
    seen.0.environment.as_mut().unwrap().captive = true;
    seen.shows(ids::NET_CAPTIVE);
    let mut answered = Seen::clean();
    answered.0.environment.as_mut().unwrap().captive = true;
    answered.shows_nothing();
}

#[test]
fn ports_tell_a_shutdown_from_a_closed_port() {
    let high_dead = || Seen::clean().env(ServerKind::Foreign, PortClass::High, Some(&NEVER_OPENS));
    let datagram =
        |seen: Seen, why| seen.simple(Subtest::Udp, ServerKind::Foreign, Payload::DatagramSmall, why);
    assert_eq!(datagram(high_dead(), Some(&SILENT)).shows(ids::NET_SHUTDOWN).confidence, Confidence::Certain);
    datagram(high_dead(), None).shows(ids::TCP_TIMEOUT);
    let reset = (Phase::Connect, Signal::Reset);
    Seen::clean().env(ServerKind::Foreign, PortClass::Https, Some(&reset)).shows(ids::TCP_RST);
    Seen::clean().env(ServerKind::Foreign, PortClass::Https, Some(&NEVER_OPENS)).shows(ids::TCP_TIMEOUT);
    // Hellos that vanish are no matter of ports.
    Seen::clean().env(ServerKind::Foreign, PortClass::Https, Some(&SILENT)).shows_nothing();
}

fn lookup(resolver: ResolverKind, class: NameClass, answers: &[(&str, u16)]) -> Lookup {
    let answer = |(address, rcode): &(&str, u16)| {
        let addresses: Vec<_> = address.parse().into_iter().collect();
        let bogon = address.starts_with("10.");
        LookupAnswer { after_us: 1, rcode: *rcode, authoritative: false, addresses, ttl_s: None, bogon }
    };
    Lookup {
        number: 1,
        at_us: 0,
        window_us: 1,
        resolver,
        address: "192.0.2.53:53".parse().unwrap(),
        tcp: false,
        name: "a.example".to_owned(),
        class,
        record: "A".to_owned(),
        answers: answers.iter().map(answer).collect(),
        failure: None,
    }
}

fn names(lookups: impl IntoIterator<Item = Lookup>) -> Seen {
    let mut seen = Seen::clean();
    seen.0.lookups.extend(lookups);
    seen
}

#[test]
fn forged_answers_show_in_four_ways() {
    use NameClass::{Blocked, Innocent};
    use ResolverKind::{Control, NoResolver, System};
    let fine = || lookup(System, Innocent, &[("198.51.100.1", 0)]);
    let truth = || lookup(Control, Blocked, &[("198.51.100.9", 0)]);
    names([fine(), lookup(System, Blocked, &[("203.0.113.1", 0), ("198.51.100.9", 0)])])
        .shows(ids::DNS_INJECTED);
    names([fine(), lookup(NoResolver, Blocked, &[("203.0.113.1", 0)])]).shows(ids::DNS_INJECTED);
    names([fine(), lookup(NoResolver, Innocent, &[("203.0.113.1", 0)])]).shows(ids::DNS_HIJACKED);
    let bogon = names([fine(), lookup(System, Blocked, &[("10.10.34.35", 0)])]).shows(ids::DNS_BOGON);
    assert_eq!(bogon.confidence, Confidence::Certain);
    names([fine(), lookup(System, Blocked, &[("", 3)]), truth()]).shows(ids::DNS_NXDOMAIN);
    // The same answer twice is a datagram that the network doubled.
    names([fine(), lookup(System, Blocked, &[("198.51.100.9", 0), ("198.51.100.9", 0)])]).shows_nothing();
    // Without somebody who knows better, "no such name" may be true.
    names([fine(), lookup(System, Blocked, &[("", 3)])]).shows_nothing();
    let agree = lookup(Control, Innocent, &[("198.51.100.1", 0)]);
    let other = names([fine(), agree, lookup(System, Blocked, &[("203.0.113.1", 0)]), truth()]);
    assert_eq!(other.shows(ids::DNS_INCONSISTENT).confidence, Confidence::Open);
}

#[test]
fn silence_of_a_resolver_needs_repeats_and_a_network() {
    let silent = || (0..4).map(|_| lookup(ResolverKind::System, NameClass::Innocent, &[]));
    names(silent()).shows(ids::DNS_TIMEOUT);
    names(silent().take(3)).shows_nothing();
    let mut dead = dead_abroad(&NEVER_OPENS).env(ServerKind::Domestic, PortClass::High, None);
    dead.0.lookups.extend(silent());
    dead.shows(ids::NET_WHITELIST);
}

#[test]
fn a_name_is_blocked_only_beside_one_that_passes() {
    let curl = Fingerprint::CurlLike;
    let eof = (Phase::Handshake, Signal::UnexpectedEof);
    for (why, id) in
        [(RESET, ids::TLS_RST_AFTER_CH), (SILENT, ids::TLS_DROP_AFTER_CH), (eof, ids::TLS_FIN_AFTER_CH)]
    {
        let blocked = || Seen::clean().hello(curl, NameClass::Blocked, Some(&why));
        blocked().hello(curl, NameClass::Innocent, None).shows(id);
        blocked().shows_nothing();
        // Another look that passes is no control for this one.
        blocked().hello(Fingerprint::Firefox, NameClass::Innocent, None).shows_nothing();
    }
}

#[test]
fn one_look_is_blocked_only_beside_another_that_passes() {
    let stale = || Seen::clean().hello(Fingerprint::ChromeStale, NameClass::Innocent, Some(&SILENT));
    stale().hello(Fingerprint::CurlLike, NameClass::Innocent, None).shows(ids::TLS_FP_BLOCKED);
    stale().shows_nothing();
}

#[test]
fn a_list_of_names_lets_listed_names_pass_and_no_others() {
    let chrome = Fingerprint::ChromeCurrent;
    let listed = || {
        Seen::clean().hello(chrome, NameClass::Innocent, None).hello(chrome, NameClass::Random, Some(&SILENT))
    };
    listed().hello(chrome, NameClass::Empty, Some(&SILENT)).shows(ids::NET_WHITELIST_SNI);
    listed().hello(chrome, NameClass::Empty, None).shows_nothing();
}

#[test]
fn ech_is_blocked_only_beside_the_same_hello_without_it() {
    let cell =
        |payload, name| hello(Subtest::Ech, ServerKind::Cdn, payload, Fingerprint::ChromeCurrent, name);
    let stopped = || Seen::clean().with(cell(Payload::HelloEch, NameClass::EchOuter), Some(&SILENT));
    stopped().with(cell(Payload::Hello, NameClass::EchOuter), None).shows(ids::TLS_ECH_BLOCKED);
    stopped().shows_nothing();
}

#[test]
fn a_wrong_key_is_somebody_in_the_middle() {
    let mut seen = Seen::clean();
    let pin = |matches| Some(TlsSeen { pin_matches: Some(matches), ..TlsSeen::default() });
    seen.0.series[0].trials[0].tls = pin(false);
    assert_eq!(seen.shows(ids::TLS_MITM).confidence, Confidence::Likely);
    seen.0.series[0].trials[1].tls = pin(true);
    assert_eq!(seen.shows(ids::TLS_MITM).confidence, Confidence::Certain);
}

#[test]
fn quic_findings_need_datagrams_or_other_names_that_pass() {
    let cell = |payload| {
        Condition::new(Subtest::Quic, Protocol::Quic, ServerKind::Foreign, payload).port(PortClass::Https)
    };
    let v1 = |name| cell(Payload::QuicV1).name(name);
    let stopped = || Seen::clean().with(v1(NameClass::Innocent), Some(&SILENT));
    stopped().with(cell(Payload::QuicUnknown), None).shows(ids::QUIC_DROP);
    stopped().with(cell(Payload::QuicUnknown), Some(&SILENT)).shows_nothing();
    let name = || Seen::clean().with(v1(NameClass::Blocked), Some(&SILENT));
    name().with(v1(NameClass::Innocent), None).shows(ids::QUIC_SNI);
    name().shows_nothing();
}

#[test]
fn datagrams_are_blocked_only_where_tcp_passes_and_shapes_where_sizes_pass() {
    let udp = |seen: Seen, payload, why| seen.simple(Subtest::Udp, ServerKind::Foreign, payload, why);
    let silent = || udp(Seen::clean(), Payload::DatagramSmall, Some(&SILENT));
    assert_eq!(silent().shows(ids::UDP_BLOCKED).confidence, Confidence::Likely);
    let domestic = silent().simple(Subtest::Udp, ServerKind::Domestic, Payload::DatagramSmall, None);
    assert_eq!(domestic.shows(ids::UDP_BLOCKED).confidence, Confidence::Certain);
    udp(silent(), Payload::DatagramLarge, None).shows_nothing();
    for shape in [Payload::WireGuard, Payload::OpenVpn, Payload::Dtls] {
        let stopped = || udp(Seen::clean(), shape, Some(&SILENT));
        udp(stopped(), Payload::VpnSized, None).shows(ids::PROTO_VPN_SIGNATURE);
        udp(stopped(), Payload::VpnSized, Some(&SILENT)).shows_nothing();
        stopped().shows_nothing();
    }
}

#[test]
fn random_payloads_and_unknown_protocols_are_told_apart() {
    let fet = |seen: Seen, payload, why| seen.simple(Subtest::Fet, ServerKind::Foreign, payload, why);
    let random = || fet(Seen::clean(), Payload::Random, Some(&SILENT));
    let found = fet(random(), Payload::TlsRecord, None).shows(ids::PROTO_FET);
    assert!(found.evidence_line.contains("share 100 %"), "{}", found.evidence_line);
    fet(random(), Payload::TlsRecord, Some(&SILENT)).shows_nothing();
    random().shows_nothing();
    let known = |seen: Seen, payload, why| seen.simple(Subtest::Allowlist, ServerKind::Foreign, payload, why);
    let unknown = |seen: Seen| known(known(seen, Payload::Ssh, Some(&SILENT)), Payload::Text, Some(&SILENT));
    known(unknown(Seen::clean()), Payload::Http, None).shows(ids::PROTO_ALLOWLIST);
    unknown(Seen::clean()).shows_nothing();
    let ssh_passes = known(unknown(Seen::clean()), Payload::Ssh, None);
    known(ssh_passes, Payload::Http, None).shows_nothing();
    // Where unknown protocols do not pass, that explains the random bytes.
    let both = known(unknown(fet(random(), Payload::TlsRecord, None)), Payload::Http, None);
    both.shows(ids::PROTO_ALLOWLIST);
}

fn transfer(direction: Direction, kind: ServerKind, stopped: Option<(Signal, u32, u64)>) -> Transfer {
    let (packets, bytes) = stopped.as_ref().map_or((120, 100_000), |(_, packets, bytes)| (*packets, *bytes));
    let failure = stopped.map(|(signal, ..)| Failure::new(Phase::Data, signal, Duration::from_secs(2)));
    Transfer {
        number: 1,
        condition: Condition::new(Subtest::Freeze, Protocol::Tls, kind, Payload::Download),
        control: (kind != ServerKind::Foreign).then_some(ControlKind::Domestic),
        direction,
        at_us: 0,
        took_us: 1,
        asked: 98_304,
        moved: bytes,
        packets: Some(packets),
        flow_bytes: bytes,
        counting: Counting::Kernel,
        stalled: failure.as_ref().is_some_and(|failure| failure.signal == Signal::Timeout),
        failure,
        curve: Vec::new(),
    }
}

fn transfers(list: impl IntoIterator<Item = Transfer>) -> Seen {
    let mut seen = Seen::clean();
    seen.0.transfers.extend(list);
    seen
}

#[test]
fn a_freeze_needs_repeats_and_says_what_was_counted() {
    use Direction::{Both, Down};
    let froze = |direction, packets, bytes| {
        transfer(direction, ServerKind::Foreign, Some((Signal::Timeout, packets, bytes)))
    };
    let domestic = || transfer(Down, ServerKind::Domestic, None);
    let bulk = || [froze(Down, 25, 16_000), froze(Down, 24, 15_800)];
    let by_packets = [froze(Both, 25, 2_500), froze(Both, 25, 2_600)];
    let found = transfers(bulk().into_iter().chain(by_packets).chain([domestic()]));
    assert_eq!(found.shows(ids::FLOW_FREEZE_PACKETS).confidence, Confidence::Certain);
    let by_bytes = [froze(Both, 150, 16_000), froze(Both, 150, 16_100)];
    transfers(bulk().into_iter().chain(by_bytes)).shows(ids::FLOW_FREEZE);
    let went_on = transfer(Both, ServerKind::Foreign, None);
    let bytes = transfers(bulk().into_iter().chain([went_on])).shows(ids::FLOW_FREEZE);
    assert_eq!(bytes.confidence, Confidence::Likely, "no domestic transfer was made");
    // Not told apart.
    assert_eq!(
        transfers(bulk()).shows(ids::INCONCLUSIVE).between,
        [ids::FLOW_FREEZE_PACKETS, ids::FLOW_FREEZE]
    );
    // One stop, or one of three, is an accident.
    transfers([froze(Down, 25, 16_000)]).shows_nothing();
    let fine = || transfer(Down, ServerKind::Foreign, None);
    transfers([froze(Down, 25, 16_000), fine(), fine()]).shows_nothing();
}

#[test]
fn resets_in_a_transfer_are_named() {
    let reset = || transfer(Direction::Down, ServerKind::Foreign, Some((Signal::Reset, 40, 30_000)));
    transfers([reset(), reset()]).shows(ids::FLOW_RST);
    transfers([reset()]).shows_nothing();
}

fn spread(median: f64, repeats: u32) -> Spread {
    Spread { median, low: median, high: median, repeats }
}

#[test]
fn a_slowed_flow_needs_turns_and_an_interval_that_excludes_chance() {
    let compared = |ratio: Spread| {
        let mut seen = Seen::clean();
        let condition =
            Condition::new(Subtest::Throttle, Protocol::Tls, ServerKind::Foreign, Payload::Download);
        seen.0.rates.push(RateComparison {
            suspect: condition.clone().name(NameClass::Blocked),
            control: condition.name(NameClass::Innocent),
            suspect_kbps: vec![140.0; 5],
            control_kbps: vec![9000.0; 5],
            ratio,
            threshold: 0.5,
        });
        seen
    };
    compared(spread(0.02, 5)).shows(ids::FLOW_THROTTLED);
    compared(spread(0.02, 3)).shows_nothing();
    compared(spread(0.8, 5)).shows_nothing();
    compared(Spread { median: 0.4, low: 0.1, high: 1.3, repeats: 5 }).shows_nothing();
}

#[test]
fn a_limit_of_connections_needs_a_group_that_passes_and_searches_that_agree() {
    let browser = Fingerprint::ChromeCurrent;
    let group =
        |fingerprint, name| hello(Subtest::Conns, ServerKind::Foreign, Payload::Hello, fingerprint, name);
    let chrome = group(browser, NameClass::Random);
    let measured = |value: Spread| {
        let mut seen =
            Seen::clean().with(chrome.clone().parallel(16), Some(&SILENT)).with(chrome.clone(), None);
        seen.0.limits.push(Limit {
            subtest: Subtest::Conns,
            condition: chrome.clone(),
            unit: Unit::Connections,
            value,
            counting: Counting::None,
        });
        seen
    };
    let curl = group(Fingerprint::CurlLike, NameClass::Random).parallel(16);
    let found = measured(spread(6.0, 3)).with(curl.clone(), None).shows(ids::CONN_PARALLEL_LIMIT);
    assert_eq!(found.thresholds.conns, Some(spread(6.0, 3)));
    measured(spread(6.0, 3)).with(curl.clone(), Some(&SILENT)).shows_nothing();
    measured(spread(6.0, 3)).shows_nothing();
    measured(spread(6.0, 1)).with(curl.clone(), None).shows_nothing();
    let apart = Spread { median: 6.0, low: 3.0, high: 14.0, repeats: 3 };
    measured(apart).with(curl.clone(), None).shows_nothing();
    // One alone that fails as well is no matter of numbers.
    measured(spread(6.0, 3)).with(curl, None).with(chrome.clone(), Some(&SILENT)).shows_nothing();
}

#[test]
fn an_undecided_series_shows_nothing() {
    let mut seen = Seen::clean().hello(Fingerprint::CurlLike, NameClass::Innocent, None).hello(
        Fingerprint::CurlLike,
        NameClass::Blocked,
        Some(&RESET),
    );
    for series in seen.0.series.iter_mut().filter(|one| one.condition.subtest == Subtest::Tls) {
        series.decision = Decision::Open;
    }
    seen.shows_nothing();
}

#[test]
fn observations_and_findings_survive_writing() {
    let seen = Seen::clean().hello(Fingerprint::CurlLike, NameClass::Innocent, None).hello(
        Fingerprint::CurlLike,
        NameClass::Blocked,
        Some(&RESET),
    );
    let text = serde_json::to_string(&seen.0).unwrap();
    let again: Observations = serde_json::from_str(&text).unwrap();
    assert_eq!(again, seen.0);
    let found = serde_json::to_string(&seen.found()).unwrap();
    assert_eq!(serde_json::from_str::<Vec<Finding>>(&found).unwrap(), conclude(&again));
}
