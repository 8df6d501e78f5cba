//! Names.

use super::Explanation;

pub(super) const ALL: &[Explanation] = &[
    Explanation {
        id: "dns.bogon",
        title: "The resolver gives impossible addresses",
        means: "The name is answered with an address that no public site can have, or with one known as a censor's.",
        measured: "The answer lies in a private or reserved range, or on the list of known forgeries; the control resolver answers otherwise.",
        otherwise: "A home network that gives its own devices such addresses; an ad blocker that answers 0.0.0.0.",
        to_do: "Use a link that holds an address in place of a name, or an encrypted resolver.",
    },
    Explanation {
        id: "dns.injected",
        title: "Forged answers race the true one",
        means: "Somebody on the path sees the question and answers first, whoever was asked.",
        measured: "Two different answers came to one question, or an answer came from a host that runs no resolver at all. The socket stays open for seconds to catch both.",
        otherwise: "Almost nothing: a host without a resolver does not answer.",
        to_do: "Plain DNS cannot be trusted here, whichever resolver is set. Use addresses in links, or DNS inside TLS.",
    },
    Explanation {
        id: "dns.hijacked",
        title: "Questions are answered by somebody else",
        means: "Questions to a resolver abroad never get there: a resolver of this network answers in its name.",
        measured: "Every resolver asked gives the same false answer, once, and at a speed that the distance does not allow; the true answer never comes.",
        otherwise: "A home router or company network that redirects all DNS to itself.",
        to_do: "Use DNS inside TLS or HTTPS, or addresses in links.",
    },
    Explanation {
        id: "dns.inconsistent",
        title: "Resolvers disagree",
        means: "The resolver of this network and the control resolver answer with addresses that have nothing in common.",
        measured: "The same question was asked several times of both, in turns, and the answers never met.",
        otherwise: "Large sites give each region other addresses: alone this proves little.",
        to_do: "Look whether the site works at the address that the control resolver gives. If so, treat it as a false answer.",
    },
    Explanation {
        id: "dns.nxdomain",
        title: "The resolver denies the name",
        means: "The resolver says that the name does not exist.",
        measured: "The answer was NXDOMAIN. Where a control resolver was asked as well, it knows the name.",
        otherwise: "The name is mistyped, expired or too new.",
        to_do: "Compare the name with the link. If it is right, use another resolver or an address.",
    },
    Explanation {
        id: "dns.timeout",
        title: "Questions get no answer",
        means: "The resolver does not answer questions about this name, or none at all.",
        measured: "Nothing came within the window, several times, while other questions or other hosts were answered.",
        otherwise: "A resolver that is down or overloaded; loss on a radio link.",
        to_do: "Set another resolver, or use a link that holds an address.",
    },
];
