//! The first flight of a DTLS server, with or without the bytes by which Russia knew Snowflake's in 2021.

use std::{io, net::SocketAddr};

use tokio::net::UdpSocket;

use super::{Outcome, Scene, datagram};

/// A handshake record of DTLS 1.2, epoch 0 (RFC 6347 §4.1): type and version.
const HANDSHAKE: [u8; 3] = [22, 0xfe, 0xfd];
/// Epoch, sequence number and length of a record follow, then its body.
const RECORD_HEADER_BYTES: usize = 13;
const BODY_BYTES: usize = 120;
/// Where the groups of Snowflake's ServerHello stood, from the start of the payload, and what they were.
const GROUPS_AT: usize = 0x5a;
const GROUPS: [u8; 5] = [0x1d, 0x00, 0x17, 0x00, 0x18];

/// Opens a server in the world that answers like that, and asks it.
pub(super) async fn visit(scene: &Scene, at: SocketAddr, marked: bool) -> Outcome {
    match try_visit(scene, at, marked).await {
        Ok(outcome) | Err(outcome) => outcome,
    }
}

async fn try_visit(scene: &Scene, at: SocketAddr, marked: bool) -> Result<Outcome, Outcome> {
    let server = scene.in_world(UdpSocket::bind(at)).await?;
    let hello = record(scene, marked);
    let answer = hello.clone();
    scene.leave_in_world(async move {
        // The socket ends with the world.
        let ended: io::Result<()> = serve(&server, &answer).await;
        drop(ended);
    });
    let socket = datagram::connect(scene, at).await?;
    scene.wait(0, socket.send(&record(scene, false))).await?;
    let answer = datagram::receive(scene, &socket, 0).await?;
    if answer != hello {
        return Ok(Outcome::Altered { at: 0 });
    }
    Ok(Outcome::Intact { bytes: u64::try_from(answer.len()).unwrap_or_default() })
}

async fn serve(socket: &UdpSocket, answer: &[u8]) -> io::Result<()> {
    let mut asked = [0; 2048];
    loop {
        let (_, from) = socket.recv_from(&mut asked).await?;
        socket.send_to(answer, from).await?;
    }
}

fn record(scene: &Scene, marked: bool) -> Vec<u8> {
    let mut record = [HANDSHAKE.as_slice(), &[0; 8]].concat();
    record.extend(u16::try_from(BODY_BYTES).unwrap_or_default().to_be_bytes());
    debug_assert_eq!(record.len(), RECORD_HEADER_BYTES);
    record.extend(scene.random(BODY_BYTES));
    if let Some(place) = record.get_mut(GROUPS_AT..GROUPS_AT + GROUPS.len()).filter(|_| marked) {
        place.copy_from_slice(&GROUPS);
    }
    record
}
