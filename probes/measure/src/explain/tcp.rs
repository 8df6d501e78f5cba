//! Opening a connection.

use super::Explanation;

pub(super) const ALL: &[Explanation] = &[
    Explanation {
        id: "tcp.refused",
        title: "The connection is refused",
        means: "The address answers that nothing listens on that port.",
        measured: "The opening packet was answered with a reset from the port, each time.",
        otherwise: "Most often the bridge is off or the port is wrong. Some censors forge this answer.",
        to_do: "Compare the port with the link and ask the operator whether the bridge runs. Try another port if it has one.",
    },
    Explanation {
        id: "tcp.rst",
        title: "Connections are reset while they open",
        means: "Somebody tears the connection down before it stands.",
        measured: "A reset came during the three opening packets, while the same server answered on another port or another server answered on this one.",
        otherwise: "A firewall in front of the server that turns this network away.",
        to_do: "Use another port or another address. If only port 443 is hit, nearly any other port will do.",
    },
    Explanation {
        id: "tcp.timeout",
        title: "Opening packets get no answer",
        means: "Nothing comes back from this address and port.",
        measured: "Opening packets were repeated until the deadline, with a control elsewhere that answered at once.",
        otherwise: "The server is off, or its own firewall drops what comes from here.",
        to_do: "Ask somebody outside whether the bridge answers. If it does, it is blocked from here: use another address.",
    },
    Explanation {
        id: "tcp.no_route",
        title: "The network knows no way there",
        means: "A router says that the address cannot be reached.",
        measured: "The system reported an unreachable network or host, not a silence.",
        otherwise: "IPv6 that is configured and does not work; a VPN that went away.",
        to_do: "Try the bridge's other address family, and look at this machine's own network first.",
    },
    Explanation {
        id: "conn.parallel_limit",
        title: "Parallel connections are limited",
        means: "The network tolerates a few TLS handshakes at a time to one place and name; beyond that, new ones get no answer.",
        measured: "One connection works, several at once do not, and the number at which it turns was searched for and repeated. Another name or another fingerprint starts the count anew.",
        otherwise: "A limit in the server or in a home router. The control with another name excludes the server.",
        to_do: "Use a transport that carries everything over one connection, and keep the number of connections below the limit found.",
    },
];
