//! Policies that look at the shape of what is said: first bytes, fingerprints, lengths, and how a server answers a probe.

use std::time::Duration;

use crate::{
    services::{BRIDGE, CONTROL_FOREIGN, ECH_PUBLIC_NAME, INNOCENT_NAME},
    victims::{
        Case, Harm, Outcome, Scene, datagram, dtls, hellos, keyed, nested, openvpn,
        scene::at,
        secure::{self, Https},
        stream,
        tunnel::{self, Shape},
    },
};

/// Bytes of a small page.
const PAGE: u64 = 4000;
/// Bytes of a first flight that looks fully encrypted: within the lengths that were probed (160 to 700).
const ENCRYPTED_BYTES: usize = 400;
/// Bytes of a conversation that takes more than six packets.
const LONG_BYTES: usize = 32 * 1024;
/// Pages that are fetched while the prober works, and the pause between them: two seconds together.
const PAGES: usize = 10;
const PAGE_PAUSE: Duration = Duration::from_millis(200);
/// What an SSH client says first.
const SSH_CLIENT: &[u8] = b"SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u10\r\n";

pub(super) const CASES: &[Case] = &[
    Case {
        policy: "gfw-fet",
        spec: "gfw-fet?p=1",
        what: "a first flight of random bytes vanishes, TLS passes",
        harm: &[Harm::Silence],
        borne: &[],
        victim: |scene| Box::pin(random_bytes(scene, ENCRYPTED_BYTES)),
        innocent: |scene| Box::pin(control_page(scene)),
    },
    Case {
        policy: "gfw-fet",
        spec: "gfw-fet?p=1",
        what: "random bytes vanish, the same behind six printable ones pass",
        harm: &[Harm::Silence],
        borne: &[],
        victim: |scene| Box::pin(random_bytes(scene, ENCRYPTED_BYTES)),
        innocent: |scene| Box::pin(behind(scene, b"hello ")),
    },
    Case {
        policy: "tspu-ja4",
        spec: "tspu-ja4",
        what: "the hello of an old Chrome vanishes, that of a current one is answered",
        harm: &[Harm::Silence],
        borne: &[],
        victim: |scene| Box::pin(hello(scene, hellos::stale, INNOCENT_NAME)),
        innocent: |scene| Box::pin(hello(scene, hellos::current, INNOCENT_NAME)),
    },
    Case {
        policy: "tspu-ech",
        spec: "tspu-ech",
        what: "an encrypted hello behind a CDN's public name vanishes, one behind another name is answered",
        harm: &[Harm::Silence],
        borne: &[],
        victim: |scene| Box::pin(hello(scene, hellos::current, ECH_PUBLIC_NAME)),
        innocent: |scene| Box::pin(hello(scene, hellos::current, INNOCENT_NAME)),
    },
    Case {
        policy: "tspu-ech",
        spec: "tspu-ech",
        what: "an encrypted hello behind a CDN's public name vanishes, a plain one for that name passes",
        harm: &[Harm::Silence],
        borne: &[],
        victim: |scene| Box::pin(hello(scene, hellos::current, ECH_PUBLIC_NAME)),
        innocent: |scene| {
            Box::pin(async move { Https::site(&scene, ECH_PUBLIC_NAME, PAGE).fetch(&scene).await })
        },
    },
    Case {
        policy: "ir-protofilter",
        spec: "ir-protofilter",
        what: "SSH to port 443 vanishes, TLS there passes",
        harm: &[Harm::Silence],
        borne: &[],
        victim: |scene| Box::pin(ssh_on_443(scene)),
        innocent: |scene| Box::pin(control_page(scene)),
    },
    Case {
        policy: "ir-allow6",
        spec: "ir-allow6",
        what: "an unknown protocol dies after six packets, one that begins like HTTP lives",
        harm: &[Harm::Silence],
        borne: &[],
        victim: |scene| Box::pin(random_bytes(scene, LONG_BYTES)),
        innocent: |scene| Box::pin(behind(scene, b"PUT / HTTP/1.1\r\nHost: innocent.example\r\n\r\n")),
    },
    Case {
        policy: "vpn-sig",
        spec: "vpn-sig",
        what: "WireGuard dies, the same with other headers and lengths (AmneziaWG) lives",
        harm: &[Harm::Silence],
        borne: &[],
        victim: |scene| Box::pin(tunnel(scene, Shape::WIREGUARD)),
        innocent: |scene| Box::pin(tunnel(scene, Shape::AMNEZIA)),
    },
    Case {
        policy: "vpn-sig",
        spec: "vpn-sig",
        what: "OpenVPN over UDP dies, other datagrams to its port live",
        harm: &[Harm::Silence],
        borne: &[],
        victim: |scene| Box::pin(async move { openvpn::visit(&scene, at(BRIDGE, 1194)).await }),
        innocent: |scene| Box::pin(datagrams(scene)),
    },
    Case {
        policy: "vpn-sig",
        spec: "vpn-sig",
        what: "a DTLS server that answers as Snowflake's did in 2021 is cut off, another DTLS server is not",
        harm: &[Harm::Silence],
        borne: &[],
        victim: |scene| Box::pin(async move { dtls::visit(&scene, at(BRIDGE, 3478), true).await }),
        innocent: |scene| Box::pin(async move { dtls::visit(&scene, at(BRIDGE, 3478), false).await }),
    },
    Case {
        policy: "tls-in-tls",
        spec: "tls-in-tls",
        what: "HTTPS through a TLS tunnel is found, HTTPS alone is not",
        harm: &[Harm::Reset, Harm::Silence],
        borne: &[],
        victim: |scene| Box::pin(async move { nested::through_relay(&scene).await }),
        innocent: |scene| Box::pin(async move { nested::alone(&scene).await }),
    },
    Case {
        policy: "active-prober",
        spec: "active-prober?probes=replay",
        what: "a server that answers a replay is banned, one that remembers is not",
        harm: &[Harm::Silence],
        borne: &[],
        victim: |scene| Box::pin(async move { keyed::visit_often(&scene, at(BRIDGE, 8388), false).await }),
        innocent: |scene| Box::pin(async move { keyed::visit_often(&scene, at(BRIDGE, 8388), true).await }),
    },
    Case {
        policy: "active-prober",
        spec: "active-prober?trigger=any",
        what: "all probes: a server that answers a replay is banned, a web server is not",
        harm: &[Harm::Silence],
        borne: &[],
        victim: |scene| Box::pin(async move { keyed::visit_often(&scene, at(BRIDGE, 8388), false).await }),
        innocent: |scene| Box::pin(pages_for_a_while(scene)),
    },
];

/// Pages again and again, for as long as the prober takes.
async fn pages_for_a_while(scene: Scene) -> Outcome {
    let mut bytes = 0;
    for _ in 0..PAGES {
        match control_page(scene.clone()).await {
            Outcome::Intact { bytes: more } => bytes += more,
            other => return other,
        }
        tokio::time::sleep(PAGE_PAUSE).await;
    }
    Outcome::Intact { bytes }
}

async fn control_page(scene: Scene) -> Outcome {
    Https::control(at(CONTROL_FOREIGN, 443), INNOCENT_NAME, PAGE).fetch(&scene).await
}

async fn random_bytes(scene: Scene, count: usize) -> Outcome {
    let payload = scene.random(count);
    stream::echo(&scene, at(CONTROL_FOREIGN, 8080), payload).await
}

/// Random bytes behind something known.
async fn behind(scene: Scene, first: &'static [u8]) -> Outcome {
    let payload = [first, &scene.random(LONG_BYTES)].concat();
    stream::echo(&scene, at(CONTROL_FOREIGN, 8080), payload).await
}

async fn hello(scene: Scene, make: fn(&Scene, &str) -> Vec<u8>, name: &'static str) -> Outcome {
    let bytes = make(&scene, name);
    secure::hello(&scene, scene.site(name), &[&bytes]).await.0
}

/// An SSH client's side of the conversation, sent back by a server that echoes what is neither TLS nor HTTP.
async fn ssh_on_443(scene: Scene) -> Outcome {
    let connection = match stream::connect(&scene, at(CONTROL_FOREIGN, 443)).await {
        Ok(connection) => connection,
        Err(outcome) => return outcome,
    };
    stream::echo_in_turns(&scene, connection, &[SSH_CLIENT.to_vec(), scene.random(1200), scene.random(500)])
        .await
}

async fn datagrams(scene: Scene) -> Outcome {
    let lengths = [14, 148, 300, 92, 600, 1200];
    let datagrams: Vec<_> = lengths.iter().map(|&length| scene.random(length)).collect();
    datagram::echo(&scene, at(CONTROL_FOREIGN, 1194), &datagrams).await
}

async fn tunnel(scene: Scene, shape: Shape) -> Outcome {
    tunnel::visit(&scene, at(BRIDGE, 51_820), shape).await
}
