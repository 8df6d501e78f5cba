//! Policies that look at addresses, ports and protocols, whatever is said over them.

use crate::{
    services::{CONTROL_DOMESTIC, CONTROL_FOREIGN, DOMESTIC_NAME, INNOCENT_NAME},
    victims::{
        Case, Harm, Outcome, Scene, datagram,
        quic::{V1, Visit},
        scene::at,
        secure::Https,
        tunnel::{self, Shape},
    },
};

/// Bytes of a small page.
const PAGE: u64 = 4000;

pub(super) const CASES: &[Case] = &[
    Case {
        policy: "ru-mobile-wl",
        spec: "ru-mobile-wl",
        what: "a hello to a foreign address vanishes, one to a listed site passes",
        harm: &[Harm::Silence],
        borne: &[],
        victim: |scene| Box::pin(control_page(scene, 443)),
        innocent: |scene| Box::pin(site_page(scene, DOMESTIC_NAME)),
    },
    Case {
        policy: "ir-blackout-2025",
        spec: "ir-blackout-2025",
        what: "WireGuard's port is shut, HTTPS passes",
        harm: &[Harm::Silence],
        borne: &[],
        victim: |scene| Box::pin(wireguard(scene)),
        innocent: |scene| Box::pin(site_page(scene, INNOCENT_NAME)),
    },
    Case {
        policy: "ir-blackout-2025",
        spec: "ir-blackout-2025",
        what: "TLS on another port is shut, DNS passes",
        harm: &[Harm::Silence],
        borne: &[],
        victim: |scene| Box::pin(control_page(scene, 8443)),
        innocent: |scene| Box::pin(async move { datagram::resolve(&scene, INNOCENT_NAME).await }),
    },
    Case {
        policy: "ir-wl-2026",
        spec: "ir-wl-2026",
        what: "a server abroad is not reached, one in the country is",
        harm: &[Harm::Silence, Harm::Reset],
        borne: &[],
        victim: |scene| Box::pin(control_page(scene, 443)),
        innocent: |scene| {
            Box::pin(async move {
                Https::control(at(CONTROL_DOMESTIC, 443), INNOCENT_NAME, PAGE).fetch(&scene).await
            })
        },
    },
    Case {
        policy: "udp-off",
        spec: "udp-off",
        what: "QUIC is shut, TLS over TCP passes",
        harm: &[Harm::Silence],
        borne: &[],
        victim: |scene| Box::pin(quic_page(scene)),
        innocent: |scene| Box::pin(control_page(scene, 443)),
    },
    Case {
        policy: "udp-off",
        spec: "udp-off",
        what: "WireGuard is shut, DNS passes",
        harm: &[Harm::Silence],
        borne: &[],
        victim: |scene| Box::pin(wireguard(scene)),
        innocent: |scene| Box::pin(async move { datagram::resolve(&scene, INNOCENT_NAME).await }),
    },
    Case {
        policy: "p443-rst",
        spec: "p443-rst",
        what: "port 443 is reset at the SYN, the same server on port 8443 passes",
        harm: &[Harm::Reset],
        borne: &[],
        victim: |scene| Box::pin(control_page(scene, 443)),
        innocent: |scene| Box::pin(control_page(scene, 8443)),
    },
];

async fn site_page(scene: Scene, name: &str) -> Outcome {
    Https::site(&scene, name, PAGE).fetch(&scene).await
}

async fn control_page(scene: Scene, port: u16) -> Outcome {
    Https::control(at(CONTROL_FOREIGN, port), INNOCENT_NAME, PAGE).fetch(&scene).await
}

async fn quic_page(scene: Scene) -> Outcome {
    let visit = Visit {
        at: at(CONTROL_FOREIGN, 443),
        name: INNOCENT_NAME,
        bytes: PAGE,
        version: V1,
        from: 0,
        before: None,
    };
    visit.fetch(&scene).await
}

async fn wireguard(scene: Scene) -> Outcome {
    tunnel::visit(&scene, at(crate::services::BRIDGE, 51_820), Shape::WIREGUARD).await
}
