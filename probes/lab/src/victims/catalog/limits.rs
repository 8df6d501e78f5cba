//! Policies that count: packets, connections, bytes, bits a second.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::atomic::Ordering,
    time::Instant,
};

use commucat_censor::Done;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    task::JoinSet,
};

use crate::{
    services::{
        BLOCKED_NAME, BRIDGE, CONTROL_DOMESTIC, CONTROL_FOREIGN, CONTROL_SECOND, IDENTIFICATION,
        INNOCENT_NAME, SSH_PORT,
    },
    victims::{
        Case, Harm, Outcome, Scene,
        counted::Counted,
        hellos,
        scene::at,
        secure::{self, Https},
        steady, stream,
    },
};

/// The size of page that the freeze of 2025 never lets through, in bytes.
const PAGE: u64 = 64 * 1024;
const PAGE_BYTES: usize = 64 * 1024;
/// What is asked for where the time is measured, in bytes: at 140 kbit/s half a minute's worth.
const MEASURED_BYTES: u64 = 512 * 1024;
/// A download that at 40 Mbit/s goes on while the rate is measured, squeezed and let go again, in bytes.
const LONG_BYTES: u64 = 4 * 1024 * 1024;
/// What each of three fetches moves, in bytes: two of them are above the limit of the case.
const VOLUME_BYTES: u64 = 160 * 1024;

pub(super) const CASES: &[Case] = &[
    Case {
        policy: "tspu-l4-25",
        spec: "tspu-l4-25",
        what: "64 KiB from abroad freeze, from a server in the country they come",
        harm: &[Harm::Silence],
        borne: &[],
        victim: |scene| Box::pin(page_from(scene, at(CONTROL_FOREIGN, 443))),
        innocent: |scene| Box::pin(page_from(scene, at(CONTROL_DOMESTIC, 443))),
    },
    Case {
        policy: "tspu-l4-25",
        spec: "tspu-l4-25",
        what: "64 KiB sent abroad freeze, over SSH they do not",
        harm: &[Harm::Silence],
        borne: &[],
        victim: |scene| Box::pin(echo_of_a_page(scene)),
        innocent: |scene| Box::pin(ssh(scene)),
    },
    Case {
        policy: "tspu-l4-25",
        spec: "tspu-l4-25?bytes=15KiB..20KiB",
        what: "the limit in bytes: 64 KiB from abroad freeze, 8 KiB come",
        harm: &[Harm::Silence],
        borne: &[],
        victim: |scene| Box::pin(page_from(scene, at(CONTROL_FOREIGN, 443))),
        innocent: |scene| {
            Box::pin(async move {
                Https::control(at(CONTROL_FOREIGN, 443), INNOCENT_NAME, 8 * 1024).fetch(&scene).await
            })
        },
    },
    Case {
        policy: "tspu-conn",
        spec: "tspu-conn",
        what: "of 13 hellos of a browser at once some get no answer, of five all do",
        harm: &[Harm::Silence],
        borne: &[],
        victim: |scene| Box::pin(parallel(scene, 13)),
        innocent: |scene| Box::pin(parallel(scene, 5)),
    },
    Case {
        policy: "tspu-conn",
        spec: "tspu-conn",
        what: "of 13 hellos of a browser at once some get no answer, those of another program all do",
        harm: &[Harm::Silence],
        borne: &[],
        victim: |scene| Box::pin(parallel(scene, 13)),
        innocent: |scene| Box::pin(fetch_all(scene, &[CONTROL_FOREIGN; 13])),
    },
    Case {
        policy: "throttle-sni",
        spec: "throttle-sni",
        what: "a listed SNI gets 140 kbit/s, another name the whole link",
        harm: &[Harm::Brake],
        borne: &[],
        victim: |scene| Box::pin(measured(scene, BLOCKED_NAME)),
        innocent: |scene| Box::pin(measured(scene, INNOCENT_NAME)),
    },
    Case {
        policy: "throttle-step",
        spec: "throttle-step?observe=300ms&squeeze=600ms&to=25%&stubborn=60%+link?rate=40mbit",
        what: "a sender that keeps its rate is cut off, one that gives way (TCP with CUBIC) is not",
        harm: &[Harm::Silence],
        borne: &[Done::Police],
        victim: |scene| Box::pin(async move { steady::listen(&scene, at(BRIDGE, 40_000)).await }),
        innocent: |scene| Box::pin(long_download(scene)),
    },
    Case {
        policy: "volume-ban",
        spec: "volume-ban?bytes=256KiB",
        what: "one address with much traffic is banned, the same traffic over three addresses passes",
        harm: &[Harm::Silence, Harm::Reset],
        borne: &[],
        victim: |scene| Box::pin(fetch_all(scene, &[CONTROL_FOREIGN; 3])),
        innocent: |scene| Box::pin(fetch_all(scene, &[CONTROL_FOREIGN, CONTROL_SECOND, CONTROL_DOMESTIC])),
    },
    Case {
        policy: "volume-ban",
        spec: "volume-ban?conns=10",
        what: "one address with many connections is banned, as many over three addresses pass",
        harm: &[Harm::Silence, Harm::Reset],
        borne: &[],
        victim: |scene| Box::pin(parallel(scene, 13)),
        innocent: |scene| {
            let spread = [CONTROL_FOREIGN, CONTROL_SECOND, CONTROL_DOMESTIC];
            Box::pin(async move { fetch_all(scene, &spread.repeat(4)).await })
        },
    },
];

async fn page_from(scene: Scene, at: SocketAddr) -> Outcome {
    Https::control(at, INNOCENT_NAME, PAGE).fetch(&scene).await
}

async fn echo_of_a_page(scene: Scene) -> Outcome {
    let payload = scene.random(PAGE_BYTES);
    stream::echo(&scene, at(CONTROL_FOREIGN, 8080), payload).await
}

async fn ssh(scene: Scene) -> Outcome {
    let mut connection = match stream::connect(&scene, at(CONTROL_FOREIGN, SSH_PORT)).await {
        Ok(connection) => connection,
        Err(outcome) => return outcome,
    };
    let mut banner = vec![0; IDENTIFICATION.len()];
    let greeted = async {
        scene.wait(0, connection.read_exact(&mut banner)).await?;
        scene.wait(0, connection.write_all(IDENTIFICATION.as_bytes())).await
    };
    match greeted.await {
        Ok(()) => stream::echo_over(&scene, connection, scene.random(PAGE_BYTES)).await,
        Err(outcome) => outcome,
    }
}

/// Opens so many connections at once, each with a browser's hello, and keeps them open until all are decided.
async fn parallel(scene: Scene, count: usize) -> Outcome {
    let mut tries = JoinSet::new();
    for _ in 0..count {
        let scene = scene.clone();
        tries.spawn(async move {
            let hello = hellos::current(&scene, INNOCENT_NAME);
            secure::hello(&scene, at(CONTROL_FOREIGN, 443), &[&hello]).await
        });
    }
    let ended = tries.join_all().await;
    if let Some((failed, _)) = ended.iter().find(|(outcome, _)| matches!(outcome, Outcome::Failed { .. })) {
        return failed.clone();
    }
    let served = ended.iter().filter(|(outcome, _)| outcome.is_intact()).count();
    if served == count {
        Outcome::Intact { bytes: u64::try_from(served).unwrap_or_default() }
    } else {
        Outcome::Partly { served, tried: count }
    }
}

/// Asks for much and looks how much comes in the time that a client waits.
async fn measured(scene: Scene, name: &str) -> Outcome {
    let https = Https::site(&scene, name, MEASURED_BYTES);
    let began = Instant::now();
    let connection = match stream::connect(&scene, https.at).await {
        Ok(connection) => connection,
        Err(outcome) => return outcome,
    };
    let counted = Counted::new(connection);
    let bytes = counted.bytes();
    let fetch = async {
        match secure::handshake(&scene, counted, name, false).await {
            Ok(mut tls) => https.request().over(&scene, &mut tls).await,
            Err(outcome) => outcome,
        }
    };
    match tokio::time::timeout(scene.patience(), fetch).await {
        Ok(outcome) if outcome.is_intact() => outcome,
        Ok(_) | Err(_) => {
            let bytes = bytes.load(Ordering::Relaxed);
            let ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX).max(1);
            Outcome::Slow { bytes, bits_per_second: bytes * 8 * 1000 / ms }
        }
    }
}

/// A download of some seconds from a site.
async fn long_download(scene: Scene) -> Outcome {
    Https::site(&scene, INNOCENT_NAME, LONG_BYTES).fetch(&scene).await
}

/// Fetches from each address in turn.
async fn fetch_all(scene: Scene, addresses: &[Ipv4Addr]) -> Outcome {
    let mut bytes = 0;
    for address in addresses {
        match Https::control(at(*address, 443), INNOCENT_NAME, VOLUME_BYTES).fetch(&scene).await {
            Outcome::Intact { bytes: more } => bytes += more,
            other => return other,
        }
    }
    Outcome::Intact { bytes }
}
