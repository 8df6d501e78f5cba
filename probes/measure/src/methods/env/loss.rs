//! What gets lost anyway: harmless datagrams and their echoes.

use std::{sync::Arc, time::Duration};

use commucat_verdict::observations::ServerKind;
use tokio::{net::UdpSocket, task::JoinSet, time::Instant};

use crate::trial::{Bench, Carrier, unspecified};

/// Flows. Each stays below the number of packets after which some networks freeze a flow.
const FLOWS: usize = 8;
/// Datagrams of a flow.
const DATAGRAMS: usize = 5;
/// Pause between datagrams of a flow: losses come in bursts.
const PAUSE: Duration = Duration::from_millis(10);
/// Least time to wait for echoes: the distance is not known yet, and a satellite's takes 600 ms.
const WAIT_MIN: Duration = Duration::from_millis(1_500);
/// Size of a datagram, in bytes.
const DATAGRAM_BYTES: usize = 64;

/// The share of datagrams without echo; `None` when nothing came back at all, because then it is not loss.
///
/// Servers that give nothing back are left out: those are blocked or off. The others lie beyond the same last mile.
pub(super) async fn measure(bench: &Arc<Bench>) -> Option<f64> {
    let kinds = [ServerKind::Foreign, ServerKind::ForeignOther, ServerKind::Domestic];
    let [one, two, three] = kinds.map(|kind| to_one(bench, kind));
    let (one, two, three) = tokio::join!(one, two, three);
    let answering: Vec<usize> = [one, two, three].into_iter().flatten().filter(|back| *back > 0).collect();
    let share = |n: usize| f64::from(u32::try_from(n).unwrap_or(u32::MAX));
    let sent = answering.len() * FLOWS * DATAGRAMS;
    (sent > 0).then(|| 1.0 - share(answering.iter().sum()) / share(sent))
}

/// How many echoes came back from one server; `None` when there is no port to ask.
async fn to_one(bench: &Arc<Bench>, kind: ServerKind) -> Option<usize> {
    let mut flows = JoinSet::new();
    for _flow in 0..FLOWS {
        let address = bench.any_port(kind, Carrier::Udp)?;
        let timeout = bench.timeout().max(WAIT_MIN);
        let mut rng = bench.rng();
        flows.spawn(async move {
            let socket = UdpSocket::bind(unspecified(address.ip())).await.ok()?;
            socket.connect(address).await.ok()?;
            let mut datagram = [0; DATAGRAM_BYTES];
            datagram.fill_with(|| rng.u8(..));
            for _datagram in 0..DATAGRAMS {
                socket.send(&datagram).await.ok()?;
                tokio::time::sleep(PAUSE).await;
            }
            let until = Instant::now() + timeout;
            let mut back = 0;
            let mut buffer = [0; DATAGRAM_BYTES];
            while back < DATAGRAMS {
                match tokio::time::timeout_at(until, socket.recv(&mut buffer)).await {
                    Ok(Ok(_)) => back += 1,
                    Ok(Err(_)) => {}
                    Err(_elapsed) => break,
                }
            }
            Some(back)
        });
    }
    let mut back = 0;
    while let Some(flow) = flows.join_next().await {
        back += flow.ok().flatten().unwrap_or(0);
    }
    Some(back)
}
