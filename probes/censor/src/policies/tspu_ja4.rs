//! `tspu-ja4`: drops connections whose ClientHello has a listed JA4 fingerprint (Russia, 2026).
//!
//! The list holds what no browser sends any more but circumvention tools still do. The name in the hello does not matter.
//! The connection goes silent without a reset.
//!
//! Known: Chrome 134's fingerprint is dropped while Chrome 148's passes, and since May or June 2026 segments are joined
//! before (field reports). Choice of this lab: the silence lasts as long as the connection.

use std::collections::BTreeSet;

use super::{Entry, common};
use crate::{
    event::Why,
    flow::Flow,
    hello::{Hello, Reassembly},
    parameter::{Kind, Parameter, Values},
    policy::{Action, Cx, Policy, Seen},
    residual::{FOREVER, Kill, Scope, Sentence},
    spec::{Places, SpecError},
};

pub(crate) const ENTRY: Entry = Entry {
    name: "tspu-ja4",
    about: "drops connections by the JA4 fingerprint of their TLS hello",
    parameters: &[
        Parameter::new(
            "ja4",
            Kind::Words,
            "t13d1516h2_8daaf6152771_d8a2da3f94cd",
            "fingerprints that are dropped",
            "Chrome 134 and Telegram's false TLS: tdesktop 30733, XTLS/Xray-core 6273, reported",
        ),
        Parameter::new(
            "reassembly",
            common::REASSEMBLY,
            "tcp",
            "how much the box puts together: none, TCP segments, TCP segments and TLS records",
            "segments since 2026-05 or 06: reported",
        ),
        Parameter::new(
            "to",
            Kind::Words,
            "any",
            "networks of servers that are judged",
            "reported without a limit",
        ),
        Parameter::new(
            "quic",
            Kind::Flag,
            "true",
            "whether hellos in QUIC are judged too",
            "choice of this lab",
        ),
    ],
    build,
};

#[derive(Debug)]
struct Fingerprints {
    ja4: BTreeSet<String>,
    reassembly: Reassembly,
    to: Places,
    quic: bool,
}

fn build(values: &Values) -> Result<Box<dyn Policy>, SpecError> {
    let words = values.words("ja4")?;
    if let Some(wrong) = words.iter().find(|word| word.split('_').count() != 3) {
        let expected = "fingerprints such as `t13d1516h2_8daaf6152771_d8a2da3f94cd`";
        return Err(values.refuse("ja4", wrong, expected).into());
    }
    Ok(Box::new(Fingerprints {
        ja4: words.iter().cloned().collect(),
        reassembly: common::reassembly(values)?,
        to: Places::read(values, "to")?,
        quic: values.flag("quic")?,
    }))
}

impl Policy for Fingerprints {
    fn on_packet(&mut self, cx: &mut Cx<'_>, seen: &Seen<'_>, flow: &mut Flow) -> Action {
        if !flow.is_tcp() && (!self.quic || flow.data_packets().client > 1) {
            cx.ignore();
            return Action::Pass;
        }
        let Some(hello) = self.hello(seen).filter(|hello| hello.client_hello().is_whole()) else {
            return Action::Pass;
        };
        if !self.ja4.contains(hello.ja4()) || !self.to.contain(flow.world_ip(), cx.geography(), cx.lists()) {
            return Action::Pass;
        }
        let why = Why::new().and("ja4", hello.ja4()).and("sni", hello.server_name());
        Action::Kill(Sentence::new(Scope::Flow, Kill::DropBoth, FOREVER, why))
    }
}

impl Fingerprints {
    fn hello<'a>(&self, seen: &'a Seen<'_>) -> Option<&'a Hello> {
        match seen.udp() {
            Some(_) if !seen.from_client() => None,
            Some(_) => seen.quic()?.hello(),
            None => seen.new_hello(self.reassembly),
        }
    }
}

#[cfg(test)]
mod tests {
    use commucat_dissect::{quic::crypto_frame, tls::build::HelloSpec};

    use crate::{
        hello::QuicHello,
        testing::{Bench, hello_of, initial, initial_of, quic_hello},
    };

    /// Packets of a connection that vanish, with the hello cut at a place.
    fn lost(chain: &str, hello: &[u8], cut: usize) -> usize {
        let mut bench = Bench::new(chain);
        let mut connection = bench.connect("203.0.113.10", 443);
        connection.client_says(&mut bench, &hello[..cut]);
        connection.client_says(&mut bench, &hello[cut..]);
        connection.world_says(&mut bench, b"hello");
        connection.lost
    }

    #[test]
    fn the_stale_browser_is_dropped_and_the_current_ones_pass() {
        let stale = hello_of(HelloSpec::chrome_stale(), "innocent.example");
        assert!(lost("tspu-ja4", &stale, 0) > 0);
        for spec in [HelloSpec::chrome_current(), HelloSpec::firefox(), HelloSpec::curl_like()] {
            assert_eq!(lost("tspu-ja4", &hello_of(spec, "blocked.example"), 0), 0);
        }
    }

    #[test]
    fn segments_are_joined_and_a_flow_stays_silent() {
        let stale = hello_of(HelloSpec::chrome_stale(), "innocent.example");
        assert!(lost("tspu-ja4", &stale, 88) > 0);
        assert_eq!(lost("tspu-ja4?reassembly=none", &stale, 88), 0);
        let mut bench = Bench::new("tspu-ja4");
        let mut victim = bench.connect("203.0.113.10", 443);
        victim.client_says(&mut bench, &stale);
        let before = victim.lost;
        victim.exchange(&mut bench, 2);
        assert!(victim.lost >= before + 4);
        let mut next = bench.connect("203.0.113.10", 443);
        next.exchange(&mut bench, 2);
        assert!(next.is_untouched());
    }

    #[test]
    fn networks_can_be_chosen() {
        let stale = hello_of(HelloSpec::chrome_stale(), "innocent.example");
        assert_eq!(lost("tspu-ja4?to=cdn", &stale, 0), 0);
        assert!(lost("tspu-ja4?to=foreign", &stale, 0) > 0);
    }

    #[test]
    fn quic_hellos_are_judged_by_their_own_fingerprint() {
        let datagram = initial("innocent.example");
        let ja4 = QuicHello::read(&datagram).unwrap().hello().unwrap().ja4().to_owned();
        assert!(ja4.starts_with('q'));
        for (chain, lost) in
            [(format!("tspu-ja4?ja4={ja4}"), 2), (format!("tspu-ja4?ja4={ja4}&quic=false"), 0)]
        {
            let mut bench = Bench::new(&chain);
            let mut flow = bench.datagrams("203.0.113.10", 443);
            flow.client_says(&mut bench, &initial_of(1, &crypto_frame(0, &quic_hello("innocent.example"))));
            flow.world_says(&mut bench, b"answer");
            assert_eq!(flow.lost, lost, "{chain}");
        }
    }
}
