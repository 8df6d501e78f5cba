//! The network as a whole.

use super::Explanation;

pub(super) const ALL: &[Explanation] = &[
    Explanation {
        id: "ok",
        title: "Nothing was found",
        means: "What was measured works as it does on a network that nobody interferes with.",
        measured: "Every trial passed as often as its control, and the sequential test had enough of them to say so.",
        otherwise: "A censor that acts only at some hours, on some names or after more traffic than the probe sends.",
        to_do: "Nothing. Run `commucat probe watch` for a while if the trouble comes and goes.",
    },
    Explanation {
        id: "net.down",
        title: "There is no network",
        means: "Nothing beyond this machine answered: no control server, no resolver, nothing inside the country.",
        measured: "There is no route out of this machine, or every control of every kind stayed silent.",
        otherwise: "A cable, a radio switch, an unpaid bill, or a shutdown that lets nothing at all through.",
        to_do: "Connect this machine to a network. If others nearby have the same, it may be a shutdown: try again later, and try another operator.",
    },
    Explanation {
        id: "net.captive",
        title: "A login page stands in between",
        means: "Something answers in the place of other hosts and asks for a login first.",
        measured: "The control server's answer came from somebody else, with a redirect or a page of its own.",
        otherwise: "A block page of a censor can look the same; a login page goes away after logging in.",
        to_do: "Open any web page, log in to the network, and measure again.",
    },
    Explanation {
        id: "net.whitelist_cidr",
        title: "Only chosen addresses answer",
        means: "This network lets through only hosts on a list. A bridge elsewhere cannot be reached, whatever it speaks.",
        measured: "The server inside the country answered, and every server abroad failed, on all ports and protocols tried.",
        otherwise: "A broken cable abroad, or a tariff that covers only local sites.",
        to_do: "A bridge on a listed network is needed (a domestic cloud, a delivery network), or DNS if foreign resolvers answer. Try another operator: lists differ.",
    },
    Explanation {
        id: "net.whitelist_sni",
        title: "Only chosen names are let through",
        means: "Connections open, but a TLS hello passes only when it names a site on a list.",
        measured: "The same server answers hellos with a listed name and not those with any other, although TCP opens for both.",
        otherwise: "A company filter that works by lists of sites.",
        to_do: "Use a transport that can carry a listed name in its hello, to a server that the list's addresses allow.",
    },
    Explanation {
        id: "net.shutdown",
        title: "Only a few ports are forwarded",
        means: "The country's network is cut down: name look-ups and some web ports pass, the rest is dropped in silence.",
        measured: "UDP 53, TCP 80 and TCP 443 gave answers, and every other port and protocol tried gave none, on more than one server.",
        otherwise: "A strict firewall of a company or a hotel.",
        to_do: "Use a transport on port 443 over TCP, or one over DNS. Keep traffic small: what is left is often watched.",
    },
    Explanation {
        id: "ip.blocked",
        title: "The address is blocked",
        means: "Nothing gets through to this address, on any port, while other addresses abroad answer.",
        measured: "Every port tried on the server failed in the same way, and a control on another server abroad passed.",
        otherwise: "The server is off. Ask somebody outside, or the operator: from one side both look the same.",
        to_do: "Use another bridge. An operator can move the bridge to a new address, or put it behind a delivery network.",
    },
    Explanation {
        id: "inconclusive",
        title: "The measurements do not decide",
        means: "Something failed, but the controls do not tell a censor from an ordinary fault.",
        measured: "A control was missing or failed as well, the trials disagreed, or their number was too small for the error rate asked for.",
        otherwise: "A weak radio link, a busy network, a control server that is down.",
        to_do: "Measure again, on a steadier link, with more control servers in the targets. `--repeat` makes more trials.",
    },
];
