//! Protocols that are recognised, or not recognised.

use super::Explanation;

pub(super) const ALL: &[Explanation] = &[
    Explanation {
        id: "proto.fet",
        title: "Bytes that look random are blocked",
        means: "Connections whose first bytes look like nothing known are dropped, often only some of them: that hits Shadowsocks, VMess and obfs4.",
        measured: "Random first payloads failed and payloads with a printable beginning of the same length passed. About one in four fails where this rule is known, so the test goes on until it is sure.",
        otherwise: "Loss on the path; its rate was measured first and is part of the test.",
        to_do: "Use a transport that begins like a known protocol: TLS, or Shadowsocks with a printable prefix.",
    },
    Explanation {
        id: "proto.allowlist",
        title: "Only known protocols are let through",
        means: "A flow must begin like HTTP, TLS or DNS, or it is dropped after a few packets.",
        measured: "Payloads shaped like those passed on the same port and server where text, SSH and random bytes did not.",
        otherwise: "A company firewall with application rules.",
        to_do: "Use a transport that is real TLS on port 443, or real HTTP.",
    },
    Explanation {
        id: "proto.vpn_signature",
        title: "A VPN's handshake is recognised",
        means: "Packets shaped like those of WireGuard, OpenVPN or DTLS are dropped.",
        measured: "Datagrams with the shape of the first handshake packet got no answer; random datagrams of the same sizes did.",
        otherwise: "Loss that hits long datagrams; the control has the same lengths.",
        to_do: "Use a transport that hides the shape (AmneziaWG with junk packets, MASQUE), or TCP.",
    },
];
