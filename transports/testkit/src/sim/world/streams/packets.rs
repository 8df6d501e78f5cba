//! What the packets of a stream do when they are sent and when they arrive.

use std::{io, time::Duration};

use super::{BACKLOG_MAX, EndState, Happening, Packet, Side, Stream, StreamId, Wait, World};
use crate::sim::{Fate, PacketKind, link::SimTime};

/// First pause before a SYN is sent again (RFC 6298 §2.1).
const SYN_RETRY: Duration = Duration::from_secs(1);
/// A SYN is sent this often in all; then the connect has timed out, after 127 seconds as on Linux.
const SYN_ATTEMPTS: u32 = 7;
/// Least pause before a segment is sent again, as on Linux.
const RETRY_MIN: Duration = Duration::from_millis(200);
/// Longest pause, as on Linux.
const RETRY_MAX: Duration = Duration::from_secs(120);
/// A segment is sent this often in all; then its stream has timed out, as on Linux (`tcp_retries2`).
const SEGMENT_ATTEMPTS: u32 = 16;

impl World {
    /// Sends a packet to a side, and again after a pause when it is lost. TCP does so for all but resets; here those
    /// are sent again too, because their loss would only show as a later one.
    pub(in crate::sim::world) fn send_packet(
        &mut self,
        now: SimTime,
        id: StreamId,
        to_side: Side,
        packet: Packet,
        attempt: u32,
    ) {
        let Ok((from, to)) = self.ends(id, to_side.other()) else { return };
        let Some((kind, length)) = self.describe(id, to_side, packet) else { return };
        let fate = self.link(from.ip(), to.ip()).send_segment(now, length);
        self.note(now, from, to, kind, length, fate);
        if let Fate::Arrives(at) = fate {
            return self.at(at, Happening::Arrive(id, to_side, packet));
        }
        let pause = self.retry_pause(id, packet, attempt);
        self.at(now + pause, Happening::Resend(id, to_side, packet, attempt + 1));
    }

    /// The pause after a loss is over.
    pub(in crate::sim::world) fn resend_packet(
        &mut self,
        now: SimTime,
        id: StreamId,
        to_side: Side,
        packet: Packet,
        attempt: u32,
    ) {
        let sender = to_side.other();
        let over =
            |stream: &Stream| stream.end(sender).failed.is_some() && !matches!(packet, Packet::Reset(_));
        if self.streams.get(&id).is_none_or(over) {
            return;
        }
        let attempts_max = if packet == Packet::Syn { SYN_ATTEMPTS } else { SEGMENT_ATTEMPTS };
        if attempt < attempts_max {
            return self.send_packet(now, id, to_side, packet, attempt);
        }
        self.fail(id, sender, io::ErrorKind::TimedOut);
        self.forget_if_dropped(id);
    }

    pub(in crate::sim::world) fn packet_arrives(
        &mut self,
        now: SimTime,
        id: StreamId,
        side: Side,
        packet: Packet,
    ) {
        match packet {
            Packet::Syn => self.syn_arrives(now, id),
            Packet::SynAck => self.syn_ack_arrives(now, id),
            Packet::Ack => self.establish(now, id),
            Packet::Reset(kind) => self.reset_arrives(id, side, kind),
            Packet::Segment(number) => self.segment_arrives(now, id, side, number),
        }
    }

    /// The writer towards `side` hears that the reader took bytes. While the way back is cut it does not.
    pub(in crate::sim::world) fn credit_arrives(
        &mut self,
        now: SimTime,
        id: StreamId,
        side: Side,
        bytes: usize,
    ) {
        let Ok((from, to)) = self.ends(id, side) else { return };
        if self.link(from.ip(), to.ip()).is_cut() {
            return self.at(now + RETRY_MIN, Happening::Credit(id, side, bytes));
        }
        let Some(stream) = self.streams.get_mut(&id) else { return };
        stream.end_mut(side).inbound.add_credit(bytes);
        self.ready.insert(Wait::Write(id, side.other()));
    }

    fn describe(&self, id: StreamId, to_side: Side, packet: Packet) -> Option<(PacketKind, usize)> {
        Some(match packet {
            Packet::Syn => (PacketKind::Syn, 0),
            Packet::SynAck => (PacketKind::SynAck, 0),
            Packet::Ack => (PacketKind::Ack, 0),
            Packet::Reset(_) => (PacketKind::Reset, 0),
            Packet::Segment(number) => match self.streams.get(&id)?.end(to_side).inbound.payload(number)? {
                0 => (PacketKind::Fin, 0),
                length => (PacketKind::Segment, length),
            },
        })
    }

    fn retry_pause(&mut self, id: StreamId, packet: Packet, attempt: u32) -> Duration {
        let round_trip = self.delay_towards(id, Side::Near) + self.delay_towards(id, Side::Far);
        let first = match packet {
            Packet::Syn | Packet::SynAck => SYN_RETRY,
            Packet::Ack | Packet::Reset(_) | Packet::Segment(_) => (round_trip * 2).max(RETRY_MIN),
        };
        first.saturating_mul(1 << attempt.min(16)).min(RETRY_MAX)
    }

    fn syn_arrives(&mut self, now: SimTime, id: StreamId) {
        let Some(stream) = self.streams.get(&id) else { return };
        let to = stream.far.address;
        if stream.near.state == EndState::Dropped {
            self.streams.remove(&id);
            return;
        }
        match self.listening.get(&to).map(|listening| listening.backlog.len()) {
            Some(waiting) if waiting < BACKLOG_MAX => {
                self.send_packet(now, id, Side::Near, Packet::SynAck, 0)
            }
            Some(_full) => self.at(now + SYN_RETRY, Happening::Resend(id, Side::Far, Packet::Syn, 1)),
            None => {
                let known = self.hosts.contains_key(&to.ip());
                let reason =
                    if known { io::ErrorKind::ConnectionRefused } else { io::ErrorKind::HostUnreachable };
                self.abort(now, id, Side::Far, reason);
            }
        }
    }

    fn syn_ack_arrives(&mut self, now: SimTime, id: StreamId) {
        let Some(stream) = self.streams.get_mut(&id) else { return };
        if stream.near.state == EndState::Dropped {
            // The connect was given up: the server never sees it.
            self.streams.remove(&id);
            return;
        }
        stream.near.state = EndState::Open;
        self.ready.insert(Wait::Connect(id));
        self.send_packet(now, id, Side::Far, Packet::Ack, 0);
    }

    /// The server's side is open: by the ACK, or by the first segment when that overtook it.
    fn establish(&mut self, now: SimTime, id: StreamId) {
        let Some(stream) = self.streams.get_mut(&id) else { return };
        if stream.far.state != EndState::Opening {
            return;
        }
        let to = stream.far.address;
        let Some(listening) = self.listening.get_mut(&to) else {
            return self.abort(now, id, Side::Far, io::ErrorKind::ConnectionReset);
        };
        stream.far.state = EndState::Open;
        listening.backlog.push_back(id);
        self.ready.insert(Wait::Accept(to));
    }

    fn reset_arrives(&mut self, id: StreamId, side: Side, kind: io::ErrorKind) {
        self.fail(id, side, kind);
        self.forget_if_dropped(id);
    }

    fn segment_arrives(&mut self, now: SimTime, id: StreamId, side: Side, number: u64) {
        if side == Side::Far {
            self.establish(now, id);
        }
        let Some(stream) = self.streams.get_mut(&id) else { return };
        let end = stream.end_mut(side);
        let payload = end.inbound.payload(number).unwrap_or(0);
        if end.state == EndState::Dropped {
            if payload > 0 && end.failed.is_none() {
                end.failed = Some(io::ErrorKind::ConnectionReset);
                self.send_packet(now, id, side.other(), Packet::Reset(io::ErrorKind::ConnectionReset), 0);
            }
            return;
        }
        if end.inbound.arrive(number) {
            self.ready.insert(Wait::Read(id, side));
        }
    }
}
