//! Frames on their way out: header and payload in one buffer, sized so that a full frame is four full TLS records.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use commucat_transport_api::Net;
use tokio::io::AsyncWrite as _;

use crate::{
    carrier::Carrier,
    wire::frame::{self, MAX_CONTROL_BYTES, Opcode, Role},
};

/// Size of the buffer, and so of our largest frame with its header: four TLS records of 16 KiB.
const BUFFER_BYTES: usize = 64 * 1024;
/// A stream frame is not begun with less room than this.
const ROOM_MIN_BYTES: usize = 1024;
/// Waiting bytes at which nothing more is read, so that a flood of pings cannot grow the buffer.
const OVERFULL_BYTES: usize = BUFFER_BYTES + 16 * 1024;
/// Longest random padding of a ping, in bytes.
const PING_PAD_MAX_BYTES: u8 = 64;
/// Shortest body of a ping, in bytes.
const PING_MIN_BYTES: usize = 8;

/// The outgoing half.
#[derive(Debug)]
pub(super) struct Outbound {
    us: Role,
    masks: Masks,
    /// Not yet written: `buffer[at..]`.
    buffer: Vec<u8>,
    at: usize,
}

impl Outbound {
    pub(super) fn new(us: Role, net: &dyn Net) -> io::Result<Self> {
        Ok(Self { us, masks: Masks::new(net)?, buffer: Vec::new(), at: 0 })
    }

    /// Whether answers to control frames pile up.
    pub(super) fn is_overfull(&self) -> bool {
        self.buffer.len() >= OVERFULL_BYTES
    }

    pub(super) fn holds_buffer(&self) -> bool {
        self.buffer.capacity() != 0
    }

    /// Gives the buffer back when it is empty.
    pub(super) fn release(&mut self) {
        if self.buffer.is_empty() {
            self.buffer = Vec::new();
        }
    }

    pub(super) fn push_control(&mut self, opcode: Opcode, body: &[u8]) {
        let body = body.get(..MAX_CONTROL_BYTES).unwrap_or(body);
        self.push(opcode, &[body]);
    }

    pub(super) fn push_empty(&mut self) {
        self.push(Opcode::Binary, &[]);
    }

    /// A ping of random length and content.
    pub(super) fn push_ping(&mut self) {
        let [length, ..] = self.masks.draw();
        let mut body = [0; PING_MIN_BYTES + PING_PAD_MAX_BYTES as usize];
        for four in body.chunks_mut(4) {
            for (byte, random) in four.iter_mut().zip(self.masks.draw()) {
                *byte = random;
            }
        }
        let length = PING_MIN_BYTES + usize::from(length % (PING_PAD_MAX_BYTES + 1));
        self.push(Opcode::Ping, &[body.get(..length).unwrap_or_default()]);
    }

    fn push(&mut self, opcode: Opcode, parts: &[&[u8]]) {
        let mask = (self.us == Role::Client).then(|| self.masks.draw());
        frame::push(&mut self.buffer, opcode, mask, parts);
    }

    /// Frames bytes of a stream. Full buffers leave; the rest waits for [`Self::poll_drain`].
    pub(super) fn poll_stream(
        &mut self,
        cx: &mut Context<'_>,
        carrier: &mut Carrier,
        mut bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let mut taken = 0;
        while !bytes.is_empty() {
            let room = BUFFER_BYTES.saturating_sub(self.buffer.len());
            if room < ROOM_MIN_BYTES {
                match self.poll_drain(cx, carrier) {
                    Poll::Ready(Ok(())) => continue,
                    Poll::Pending if taken > 0 => break,
                    other => return other.map_ok(|()| 0),
                }
            }
            let payload = room - frame::header_bytes(room.min(usize::from(u16::MAX)), self.us);
            let (now, later) = bytes.split_at_checked(payload).unwrap_or((bytes, &[]));
            self.push(Opcode::Binary, &[now]);
            taken += now.len();
            bytes = later;
        }
        if self.buffer.len() >= BUFFER_BYTES - ROOM_MIN_BYTES
            && let Poll::Ready(Err(error)) = self.poll_drain(cx, carrier)
        {
            return Poll::Ready(Err(error));
        }
        Poll::Ready(Ok(taken))
    }

    /// Queues one whole message.
    pub(super) fn poll_message(
        &mut self,
        cx: &mut Context<'_>,
        carrier: &mut Carrier,
        parts: &[&[u8]],
    ) -> Poll<io::Result<()>> {
        let length: usize = parts.iter().map(|part| part.len()).sum();
        if !self.buffer.is_empty() && self.buffer.len() + length > BUFFER_BYTES {
            ready!(self.poll_drain(cx, carrier))?;
        }
        self.push(Opcode::Binary, parts);
        Poll::Ready(Ok(()))
    }

    /// Hands all that waits to the carrier.
    pub(super) fn poll_drain(&mut self, cx: &mut Context<'_>, carrier: &mut Carrier) -> Poll<io::Result<()>> {
        while let Some(waiting) = self.buffer.get(self.at..).filter(|waiting| !waiting.is_empty()) {
            let sent = ready!(Pin::new(&mut *carrier).poll_write(cx, waiting))?;
            if sent == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.at += sent;
        }
        self.buffer.clear();
        self.at = 0;
        Poll::Ready(Ok(()))
    }
}

/// Masking keys that nobody can guess (RFC 6455 §10.3): a hash stream with a random seed.
struct Masks {
    stream: blake3::OutputReader,
    block: [u8; 64],
    used: usize,
}

impl Masks {
    fn new(net: &dyn Net) -> io::Result<Self> {
        let mut seed = [0; 32];
        net.fill_random(&mut seed)?;
        let stream = blake3::Hasher::new_keyed(&seed).finalize_xof();
        Ok(Self { stream, block: [0; 64], used: 64 })
    }

    fn draw(&mut self) -> [u8; 4] {
        if self.used >= self.block.len() {
            self.stream.fill(&mut self.block);
            self.used = 0;
        }
        let key = self.block.get(self.used..).and_then(|rest| rest.first_chunk()).copied();
        self.used += 4;
        key.unwrap_or_default()
    }
}

impl std::fmt::Debug for Masks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Masks")
    }
}
