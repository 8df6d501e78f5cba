//! What happens to a flow after it began.

use super::Explanation;

pub(super) const ALL: &[Explanation] = &[
    Explanation {
        id: "flow.rst_after_data",
        title: "Reset after the first bytes",
        means: "The connection opens and is reset once bytes of this protocol pass.",
        measured: "The suspect payload was reset, an innocuous one on the same server was not.",
        otherwise: "A server that does not like what it hears; the control server echoes everything.",
        to_do: "Use a transport that looks like something else.",
    },
    Explanation {
        id: "flow.drop_after_data",
        title: "Silence after the first bytes",
        means: "The connection opens, then nothing comes back once bytes of this protocol pass.",
        measured: "The suspect payload met silence, an innocuous one on the same server was answered.",
        otherwise: "With a bridge, a wrong key gives the same silence: paste the link again.",
        to_do: "Use a transport that looks like something else.",
    },
    Explanation {
        id: "flow.fin_after_data",
        title: "Closed after the first bytes",
        means: "The connection opens and is closed once bytes of this protocol pass.",
        measured: "The suspect payload led to an early end, an innocuous one on the same server did not.",
        otherwise: "With a bridge: a server that hangs up on strangers.",
        to_do: "Paste the link again; then use another transport.",
    },
    Explanation {
        id: "flow.freeze_packets",
        title: "Flows freeze after some packets",
        means: "A connection to this network abroad works at first and stands still for ever after a fixed number of packets. Pages begin to load and never end.",
        measured: "Large transfers froze; so did a trickle of tiny messages after the same number of packets and hardly any bytes. So packets are counted. The limit was searched for and repeated; the domestic control and the control beyond the limit passed whole.",
        otherwise: "A middlebox that loses its state. That would not stop at the same packet each time.",
        to_do: "Use a transport that spreads traffic over many short flows below the limit, or a server inside a range that is not counted.",
    },
    Explanation {
        id: "flow.freeze_bytes",
        title: "Flows freeze after some bytes",
        means: "A connection works at first and stands still after a fixed amount of data.",
        measured: "Large transfers froze at the same number of bytes; a trickle of tiny messages with as many packets went on. So bytes are counted.",
        otherwise: "A quota of the provider; it would not begin anew with each connection.",
        to_do: "Use a transport that spreads traffic over several flows, or a server inside a range that is not counted.",
    },
    Explanation {
        id: "flow.throttled",
        title: "The flow is slowed down",
        means: "This kind of flow is held at a rate far below what the path carries.",
        measured: "A megabyte with the suspect name and one with an innocent name to the same server, in turns, five times; the confidence interval of their ratio excludes equal speed.",
        otherwise: "A busy network slows both alike; the turns cancel that out.",
        to_do: "Use a transport that sends another name, or several paths at once.",
    },
];
