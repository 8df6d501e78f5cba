//! Datagrams with the shapes of WireGuard, and of what was made of it to look like nothing (AmneziaWG): both ends.
//!
//! Only what a censor can see is right here: types, lengths, indices, and who sends what when. There is no cryptography
//! in it, so this is no tunnel; `tests/lab` drives the real programs.

use std::{io, net::SocketAddr};

use tokio::net::UdpSocket;

use super::{Outcome, Scene, datagram};

/// Lengths of WireGuard's messages (the WireGuard paper, §5.4): initiation, response.
const INITIATION_BYTES: usize = 148;
const RESPONSE_BYTES: usize = 92;
/// The header of a data message: type, receiver, counter (§5.4.6).
const DATA_HEADER_BYTES: usize = 16;
/// Data messages that a client sends, and gets back.
const DATA_MESSAGES: usize = 8;
/// Length of what they carry: a multiple of 16 as the padding of §5.4.6 makes it, and the tag.
const DATA_BYTES: usize = 16 * 20 + 16;
const DATAGRAM_BYTES_MAX: usize = 2048;

/// What the messages look like.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    /// The first four bytes of initiation, response and data, as little-endian numbers.
    headers: [u32; 3],
    /// Datagrams of random bytes before the initiation.
    junk: usize,
    /// Random bytes before the initiation and before the response.
    padding: [usize; 2],
}

impl Shape {
    /// As the paper has it.
    pub(super) const WIREGUARD: Self = Self { headers: [1, 2, 4], junk: 0, padding: [0, 0] };
    /// As AmneziaWG 1.5 has it, with parameters as its clients draw them (Jc, S1, S2, H1, H2, H4).
    pub(super) const AMNEZIA: Self =
        Self { headers: [0x4f21_9c37, 0x6b0d_55e2, 0x23a9_71f8], junk: 4, padding: [86, 41] };

    fn message(&self, kind: usize, rest: &[u8], random: &mut fastrand::Rng) -> Vec<u8> {
        let padding = self.padding.get(kind).copied().unwrap_or(0);
        let mut message: Vec<u8> = (0..padding).map(|_| random.u8(..)).collect();
        message.extend(self.headers.get(kind).copied().unwrap_or(0).to_le_bytes());
        message.extend(rest);
        message
    }

    /// The kind of a message and what follows its first four bytes.
    fn read<'a>(&self, message: &'a [u8]) -> Option<(usize, &'a [u8])> {
        (0..self.headers.len()).find_map(|kind| {
            let padding = self.padding.get(kind).copied().unwrap_or(0);
            let (header, rest) = message.get(padding..)?.split_first_chunk::<4>()?;
            let right = self.headers.get(kind) == Some(&u32::from_le_bytes(*header));
            right.then_some((kind, rest))
        })
    }
}

/// Opens the far end in the world.
pub(super) async fn serve(scene: &Scene, at: SocketAddr, shape: Shape) -> Result<(), Outcome> {
    let socket = scene.in_world(UdpSocket::bind(at)).await?;
    let mut random = fastrand::Rng::with_seed(scene.seed() ^ 1);
    scene.leave_in_world(async move {
        // The socket ends with the world.
        let ended: io::Result<()> = answer(&socket, shape, &mut random).await;
        drop(ended);
    });
    Ok(())
}

async fn answer(socket: &UdpSocket, shape: Shape, random: &mut fastrand::Rng) -> io::Result<()> {
    let mut buffer = vec![0; DATAGRAM_BYTES_MAX];
    loop {
        let (read, from) = socket.recv_from(&mut buffer).await?;
        let Some((kind, rest)) = shape.read(buffer.get(..read).unwrap_or_default()) else { continue };
        let message = match kind {
            0 => {
                // Sender, receiver, then what would be keys and tags.
                let mut response: Vec<u8> = (0..RESPONSE_BYTES - 4).map(|_| random.u8(..)).collect();
                if let (Some(receiver), Some(sender)) = (response.get_mut(4..8), rest.get(..4)) {
                    receiver.copy_from_slice(sender);
                }
                shape.message(1, &response, random)
            }
            2 => shape.message(2, rest, random),
            _ => continue,
        };
        socket.send_to(&message, from).await?;
    }
}

/// The near end: a handshake, then data that must come back.
pub(super) async fn visit(scene: &Scene, at: SocketAddr, shape: Shape) -> Outcome {
    match try_visit(scene, at, shape).await {
        Ok(outcome) | Err(outcome) => outcome,
    }
}

async fn try_visit(scene: &Scene, at: SocketAddr, shape: Shape) -> Result<Outcome, Outcome> {
    serve(scene, at, shape).await?;
    let socket = datagram::connect(scene, at).await?;
    let mut random = fastrand::Rng::with_seed(scene.seed());
    for _ in 0..shape.junk {
        let junk: Vec<u8> = (0..random.usize(40..=70)).map(|_| random.u8(..)).collect();
        scene.wait(0, socket.send(&junk)).await?;
    }
    let initiation: Vec<u8> = (0..INITIATION_BYTES - 4).map(|_| random.u8(..)).collect();
    scene.wait(0, socket.send(&shape.message(0, &initiation, &mut random))).await?;
    let response = datagram::receive(scene, &socket, 0).await?;
    let (_, response) =
        shape.read(&response).filter(|(kind, _)| *kind == 1).ok_or(Outcome::Altered { at: 0 })?;
    let receiver = response.get(..4).unwrap_or_default().to_vec();
    let mut bytes = u64::try_from(response.len()).unwrap_or_default();
    for counter in 0..DATA_MESSAGES {
        let mut data = receiver.clone();
        data.extend(u64::try_from(counter).unwrap_or_default().to_le_bytes());
        data.extend((0..DATA_BYTES).map(|_| random.u8(..)));
        debug_assert_eq!(data.len() + 4, DATA_HEADER_BYTES + DATA_BYTES);
        let message = shape.message(2, &data, &mut random);
        scene.wait(bytes, socket.send(&message)).await?;
        if datagram::receive(scene, &socket, bytes).await? != message {
            return Ok(Outcome::Altered { at: bytes });
        }
        bytes += u64::try_from(message.len()).unwrap_or_default();
    }
    Ok(Outcome::Intact { bytes })
}
