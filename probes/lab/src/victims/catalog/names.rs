//! Policies that look for a name: in DNS, in TLS over TCP, in QUIC.

use crate::{
    services::{BLOCKED_NAME, CONTROL_FOREIGN, INNOCENT_NAME},
    victims::{
        Case, Harm, Outcome, Scene, datagram, hellos,
        quic::{DRAFT_29, V1, Visit},
        scene::at,
        secure::{self, Https},
    },
};

/// Bytes of a small page.
const PAGE: u64 = 4000;
/// A datagram that begins no protocol, to come before a QUIC Initial.
const JUNK_BYTES: usize = 40;

pub(super) const CASES: &[Case] = &[
    Case {
        policy: "dns-inject",
        spec: "dns-inject",
        what: "a listed name gets a false address first, another name the true one",
        harm: &[Harm::Forgery],
        borne: &[],
        victim: |scene| Box::pin(async move { datagram::resolve(&scene, "twitter.com").await }),
        innocent: |scene| Box::pin(async move { datagram::resolve(&scene, "example.com").await }),
    },
    Case {
        policy: "dns-replace-ir",
        spec: "dns-replace-ir",
        what: "a listed name gets an address of the censor, another name the true one",
        harm: &[Harm::Forgery],
        borne: &[],
        victim: |scene| Box::pin(async move { datagram::resolve(&scene, BLOCKED_NAME).await }),
        innocent: |scene| Box::pin(async move { datagram::resolve(&scene, INNOCENT_NAME).await }),
    },
    Case {
        policy: "sni-rst",
        spec: "sni-rst",
        what: "a listed SNI is reset, another name on the same network is not",
        harm: &[Harm::Reset],
        borne: &[],
        victim: |scene| Box::pin(page(scene, BLOCKED_NAME)),
        innocent: |scene| Box::pin(page(scene, INNOCENT_NAME)),
    },
    Case {
        policy: "sni-rst",
        spec: "sni-rst?reassembly=none",
        what: "a box that reads single segments finds a short hello, and misses one in two segments",
        harm: &[Harm::Reset],
        borne: &[],
        victim: |scene| Box::pin(old_page(scene, BLOCKED_NAME)),
        innocent: |scene| Box::pin(in_two_segments(scene, BLOCKED_NAME)),
    },
    Case {
        policy: "sni-rst",
        spec: "sni-rst?reassembly=tcp",
        what: "a box that reassembles TCP finds a hello in two segments, and misses one in two TLS records",
        harm: &[Harm::Reset],
        borne: &[],
        victim: |scene| Box::pin(in_two_segments(scene, BLOCKED_NAME)),
        innocent: |scene| Box::pin(in_two_records(scene, BLOCKED_NAME)),
    },
    Case {
        policy: "sni-rst",
        spec: "sni-rst?reassembly=tcp-tls",
        what: "a box that reassembles TLS records too finds a hello in two records",
        harm: &[Harm::Reset],
        borne: &[],
        victim: |scene| Box::pin(in_two_records(scene, BLOCKED_NAME)),
        innocent: |scene| Box::pin(in_two_records(scene, INNOCENT_NAME)),
    },
    Case {
        policy: "sni-rst-henan",
        spec: "sni-rst-henan",
        what: "a client without TCP options is reset, one with timestamps is not, for the same listed SNI",
        harm: &[Harm::Reset],
        borne: &[],
        victim: |scene| Box::pin(without_tcp_options(scene)),
        innocent: |scene| Box::pin(old_page(scene, BLOCKED_NAME)),
    },
    Case {
        policy: "sni-drop-ir",
        spec: "sni-drop-ir",
        what: "a listed SNI is reset and its connection stays dead, another name passes",
        harm: &[Harm::Reset, Harm::Silence],
        borne: &[],
        victim: |scene| Box::pin(old_page(scene, BLOCKED_NAME)),
        innocent: |scene| Box::pin(page(scene, INNOCENT_NAME)),
    },
    Case {
        policy: "quic-sni-gfw",
        spec: "quic-sni-gfw",
        what: "a listed SNI in QUIC vanishes, another name passes",
        harm: &[Harm::Silence],
        borne: &[],
        victim: |scene| Box::pin(over_quic(scene, BLOCKED_NAME, V1, false)),
        innocent: |scene| Box::pin(over_quic(scene, INNOCENT_NAME, V1, false)),
    },
    Case {
        policy: "quic-sni-gfw",
        spec: "quic-sni-gfw",
        what: "a listed SNI in QUIC vanishes, but not behind a datagram of junk",
        harm: &[Harm::Silence],
        borne: &[],
        victim: |scene| Box::pin(over_quic(scene, BLOCKED_NAME, V1, false)),
        innocent: |scene| Box::pin(over_quic(scene, BLOCKED_NAME, V1, true)),
    },
    Case {
        policy: "quic-sni-gfw",
        spec: "quic-sni-gfw",
        what: "a listed SNI in QUIC vanishes on any port, but not from a port below the server's",
        harm: &[Harm::Silence],
        borne: &[],
        victim: |scene| Box::pin(from_port(scene, 40_000)),
        innocent: |scene| Box::pin(from_port(scene, 4000)),
    },
    Case {
        policy: "quic-len-tspu",
        spec: "quic-len-tspu",
        what: "QUIC version 1 to port 443 vanishes whatever its SNI, another version passes",
        harm: &[Harm::Silence],
        borne: &[],
        victim: |scene| Box::pin(over_quic(scene, INNOCENT_NAME, V1, false)),
        innocent: |scene| Box::pin(over_quic(scene, INNOCENT_NAME, DRAFT_29, false)),
    },
];

async fn page(scene: Scene, name: &str) -> Outcome {
    Https::site(&scene, name, PAGE).fetch(&scene).await
}

/// Over TLS 1.2, whose hello has no keys in it and always fits into one segment.
async fn old_page(scene: Scene, name: &str) -> Outcome {
    Https { old: true, ..Https::site(&scene, name, PAGE) }.fetch(&scene).await
}

async fn over_quic(scene: Scene, name: &'static str, version: u32, junk: bool) -> Outcome {
    let before = junk.then(|| scene.random(JUNK_BYTES));
    let to = at(CONTROL_FOREIGN, 443);
    Visit { at: to, name, bytes: PAGE, version, from: 0, before }.fetch(&scene).await
}

/// To port 8443, from above or from below it.
async fn from_port(scene: Scene, from: u16) -> Outcome {
    let to = at(CONTROL_FOREIGN, 8443);
    Visit { at: to, name: BLOCKED_NAME, bytes: PAGE, version: V1, from, before: None }.fetch(&scene).await
}

/// A hello of a browser whose server name lies across two segments.
async fn in_two_segments(scene: Scene, name: &str) -> Outcome {
    let hello = hellos::current(&scene, name);
    let (first, second) = hello.split_at_checked(hellos::middle_of(&hello, name)).unwrap_or((&hello, &[]));
    secure::hello(&scene, scene.site(name), &[first, second]).await.0
}

/// The same with its server name across two TLS records, in one segment.
async fn in_two_records(scene: Scene, name: &str) -> Outcome {
    let hello = hellos::in_records(&hellos::current(&scene, name), name);
    secure::hello(&scene, scene.site(name), &[&hello]).await.0
}

/// A page over TLS 1.2 and connections whose segments have a header of 20 bytes: no timestamps (RFC 7323), the only option that
/// Linux sends on data segments when nothing is lost. The switch belongs to the client's place, which ends with this.
async fn without_tcp_options(scene: Scene) -> Outcome {
    let switch = || std::fs::write("/proc/sys/net/ipv4/tcp_timestamps", "0");
    match tokio::task::spawn_blocking(switch).await {
        Ok(Ok(())) => old_page(scene, BLOCKED_NAME).await,
        Ok(Err(error)) => Outcome::failed(format!("timestamps cannot be turned off: {error}")),
        Err(error) => Outcome::failed(error),
    }
}
