//! What a bridge itself says, or what stands in its place.

use super::Explanation;

pub(super) const ALL: &[Explanation] = &[
    Explanation {
        id: "auth.key",
        title: "The bridge does not accept the key",
        means: "The path works. The key in the link is not the bridge's.",
        measured: "The bridge answered, or behaved as it does for a stranger.",
        otherwise: "With some transports a wrong clock looks the same.",
        to_do: "Paste the link again, whole; set the clock; else ask for a fresh link.",
    },
    Explanation {
        id: "auth.user",
        title: "The bridge does not know the user",
        means: "The path and the bridge's key are fine; this user was removed, disabled or renamed.",
        measured: "The bridge said so to a holder of its key.",
        otherwise: "Nothing else: only the bridge can say this.",
        to_do: "Ask the operator for a fresh link.",
    },
    Explanation {
        id: "auth.clock",
        title: "The clocks differ too much",
        means: "This machine's clock is so wrong that the bridge takes our hello for a replay.",
        measured: "The bridge said so, or the clock was compared with that of other hosts.",
        otherwise: "Nothing else: the difference was measured.",
        to_do: "Set the clock: timedatectl set-ntp true.",
    },
    Explanation {
        id: "bridge.version",
        title: "The bridge asks for a newer version",
        means: "The path works; this program is too old for the bridge.",
        measured: "The bridge said so to a holder of its key.",
        otherwise: "Nothing else: only the bridge can say this.",
        to_do: "Update this program and try again.",
    },
    Explanation {
        id: "bridge.full",
        title: "The bridge is full",
        means: "The path works; the bridge takes no further connections now.",
        measured: "The bridge said so to a holder of its key.",
        otherwise: "Nothing else: only the bridge can say this.",
        to_do: "Try again later, or ask for a link of another bridge.",
    },
    Explanation {
        id: "bridge.target",
        title: "The host behind the bridge does not answer",
        means: "The bridge works. It cannot reach the host that was asked for, or may not.",
        measured: "The bridge said so after the connection to it stood.",
        otherwise: "The operator does not allow that host or port.",
        to_do: "Try another host; compare the name.",
    },
    Explanation {
        id: "peer.other_service",
        title: "Something else answers",
        means: "What answers at the bridge's address speaks, but it is not this bridge.",
        measured: "The answer does not follow the bridge's protocol.",
        otherwise: "A wrong port, a bridge that was replaced by a web server, or a block page.",
        to_do: "Compare host and port with the link, and ask for a fresh one.",
    },
];
