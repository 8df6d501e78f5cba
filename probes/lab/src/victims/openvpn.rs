//! Datagrams with the shapes of OpenVPN without `--tls-auth`: both ends. As in [`super::tunnel`], no cryptography.

use std::{io, net::SocketAddr};

use tokio::net::UdpSocket;

use super::{Outcome, Scene, datagram};

/// First bytes of packets: opcode in the upper five bits, key 0 (OpenVPN's network protocol, "packet opcodes").
const CLIENT_RESET: u8 = 7 << 3;
const SERVER_RESET: u8 = 8 << 3;
const CONTROL: u8 = 4 << 3;
const DATA: u8 = 9 << 3;

const SESSION_BYTES: usize = 8;
/// No acknowledgments, packet id 0.
const EMPTY_BODY: [u8; 5] = [0; 5];
/// Control packets, then data packets, that a client sends and gets an answer to.
const CONTROL_PACKETS: usize = 6;
const DATA_PACKETS: usize = 6;
const PACKET_BYTES: usize = 300;
const DATAGRAM_BYTES_MAX: usize = 2048;

/// Opens a server in the world and talks to it.
pub(super) async fn visit(scene: &Scene, at: SocketAddr) -> Outcome {
    match try_visit(scene, at).await {
        Ok(outcome) | Err(outcome) => outcome,
    }
}

async fn try_visit(scene: &Scene, at: SocketAddr) -> Result<Outcome, Outcome> {
    let socket = scene.in_world(UdpSocket::bind(at)).await?;
    scene.leave_in_world(async move {
        // The socket ends with the world.
        let ended: io::Result<()> = serve(&socket).await;
        drop(ended);
    });
    let mut random = fastrand::Rng::with_seed(scene.seed());
    let mut some = |count: usize| -> Vec<u8> { (0..count).map(|_| random.u8(..)).collect() };
    let session = some(SESSION_BYTES);
    let mut packets = vec![[&[CLIENT_RESET], session.as_slice(), &EMPTY_BODY].concat()];
    packets
        .extend((0..CONTROL_PACKETS).map(|_| [&[CONTROL], session.as_slice(), &some(PACKET_BYTES)].concat()));
    packets.extend((0..DATA_PACKETS).map(|_| [vec![DATA], some(PACKET_BYTES)].concat()));

    let socket = datagram::connect(scene, at).await?;
    let mut bytes = 0;
    for packet in packets {
        scene.wait(bytes, socket.send(&packet)).await?;
        let answer = datagram::receive(scene, &socket, bytes).await?;
        if answer != answer_to(&packet) {
            return Ok(Outcome::Altered { at: bytes });
        }
        bytes += u64::try_from(answer.len()).unwrap_or_default();
    }
    Ok(Outcome::Intact { bytes })
}

async fn serve(socket: &UdpSocket) -> io::Result<()> {
    let mut buffer = vec![0; DATAGRAM_BYTES_MAX];
    loop {
        let (read, from) = socket.recv_from(&mut buffer).await?;
        socket.send_to(&answer_to(buffer.get(..read).unwrap_or_default()), from).await?;
    }
}

/// A reset is answered by one that acknowledges it; everything else comes back as it is.
fn answer_to(packet: &[u8]) -> Vec<u8> {
    let Some((&CLIENT_RESET, rest)) = packet.split_first() else { return packet.to_vec() };
    let session = rest.get(..SESSION_BYTES).unwrap_or_default();
    let own: Vec<u8> = session.iter().map(|byte| !byte).collect();
    // One acknowledgment, of packet 0, for the client's session; then the server's own packet id 0.
    [&[SERVER_RESET], own.as_slice(), &[1, 0, 0, 0, 0], session, &[0; 4]].concat()
}

#[cfg(test)]
mod tests {
    use commucat_dissect::openvpn;

    use super::*;

    #[test]
    fn the_resets_have_the_shape_that_a_censor_knows() {
        let question = [&[CLIENT_RESET], [7; SESSION_BYTES].as_slice(), &EMPTY_BODY].concat();
        let answer = openvpn::reset(&answer_to(&question)).unwrap();
        assert!(answer.answers(&openvpn::reset(&question).unwrap()));
    }
}
