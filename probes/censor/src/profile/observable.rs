//! What a probe inside can find out about each policy, as verdict ids (`commucat-verdict`, `ids`), and about which it
//! can find nothing.

use crate::spec::PolicySpec;

/// What of a policy shows from inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Observable {
    /// The verdicts that name the policy.
    pub expected: &'static [&'static str],
    /// Verdicts that are true as a consequence.
    pub also_true: &'static [&'static str],
    /// Why none names it, when none does.
    pub unseen: Option<&'static str>,
}

const fn shows(expected: &'static [&'static str], also_true: &'static [&'static str]) -> Observable {
    Observable { expected, also_true, unseen: None }
}

const fn hidden(why: &'static str) -> Observable {
    Observable { expected: &[], also_true: &[], unseen: Some(why) }
}

/// What shows of this policy with these parameters.
pub fn observable(spec: &PolicySpec) -> Observable {
    match spec.name.as_str() {
        "dns-inject" => shows(&["dns.injected"], &["dns.inconsistent", "dns.bogon", "dns.hijacked"]),
        "dns-replace-ir" => shows(&["dns.bogon"], &["dns.injected", "dns.inconsistent", "dns.hijacked"]),
        "sni-rst" | "sni-rst-henan" => shows(&["tls.rst_after_ch"], &[]),
        "sni-drop-ir" => shows(&["tls.rst_after_ch"], &["tls.drop_after_ch"]),
        "quic-sni-gfw" => shows(&["quic.sni"], &[]),
        "quic-len-tspu" => shows(&["quic.drop_after_initial"], &[]),
        "gfw-fet" => shows(&["proto.fet"], &[]),
        "tspu-l4-25" if spec.get("bytes").is_some_and(|bytes| bytes != "none") => {
            shows(&["flow.freeze_bytes"], &[])
        }
        "tspu-l4-25" => shows(&["flow.freeze_packets"], &[]),
        "tspu-conn" => shows(&["conn.parallel_limit"], &[]),
        "tspu-ja4" => shows(&["tls.fp_blocked"], &[]),
        "tspu-ech" => shows(&["tls.ech_blocked"], &[]),
        "ru-mobile-wl" => ru_mobile_wl(spec),
        "ir-protofilter" | "ir-allow6" => shows(&["proto.allowlist"], &[]),
        "ir-blackout-2025" => shows(
            &["net.shutdown"],
            &["udp.blocked", "tcp.timeout", "quic.drop_after_initial", "proto.vpn_signature"],
        ),
        "ir-wl-2026" => shows(
            &["net.whitelist_cidr"],
            &["tcp.timeout", "ip.blocked", "udp.blocked", "quic.drop_after_initial", "tls.drop_after_ch"],
        ),
        "udp-off" => shows(&["udp.blocked"], &["quic.drop_after_initial", "proto.vpn_signature"]),
        "vpn-sig" => shows(&["proto.vpn_signature"], &[]),
        "throttle-sni" => shows(&["flow.throttled"], &[]),
        "p443-rst" => shows(&["tcp.rst"], &[]),
        "throttle-step" => hidden(
            "A rate that halves in the middle of a transfer is what any crowded link does; what the step looks for is \
             in the sender, not in the network.",
        ),
        "tls-in-tls" => hidden(
            "It judges one flow by chance of its sizes and kills single flows that carry a second handshake. A probe \
             that carried one would have to be a proxy; only a transport's own run can meet it.",
        ),
        "volume-ban" => hidden(
            "It acts after a gigabyte or hundreds of connections to one address. A probe that spends that much would \
             burn the address that it measures.",
        ),
        "active-prober" => hidden(
            "What it does it does to the server, from other addresses. Inside, nothing shows until an address is \
             banned, and then it looks like a dead server. `commucat probe bridge` asks the server instead.",
        ),
        _ => Observable { expected: &[], also_true: &[], unseen: None },
    }
}

fn ru_mobile_wl(spec: &PolicySpec) -> Observable {
    const ALSO: &[&str] = &["tls.drop_after_ch", "udp.blocked", "quic.drop_after_initial", "ip.blocked"];
    match spec.get("match") {
        Some("name" | "either") => shows(&["net.whitelist_sni"], ALSO),
        Some("both") => {
            shows(&["net.whitelist_cidr"], &["net.whitelist_sni", "tls.drop_after_ch", "udp.blocked"])
        }
        _ => shows(&["net.whitelist_cidr"], ALSO),
    }
}
