//! Forged TCP resets: the numbers that make both ends believe them.

use std::{net::SocketAddr, time::Duration};

use commucat_dissect::{
    craft::{self, TcpSpec},
    ip::{TcpFlags, TcpSegment},
};

use super::{Injection, Seen};
use crate::event::Side;

/// How a censor's resets look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reset {
    /// Resets to the client.
    pub to_client: u8,
    /// Resets to the world.
    pub to_world: u8,
    /// Time to live.
    pub ttl: u8,
    /// Added to the time to live for each further reset.
    pub ttl_step: u8,
    /// IP identification.
    pub identification: u16,
    /// Window of the first reset.
    pub window: u16,
    /// Added to the window for each further reset.
    pub window_step: u16,
    /// What the resets carry; ordinary ones carry nothing.
    pub payload: &'static [u8],
}

impl Reset {
    /// That many RST+ACK to each end, without marks.
    pub const fn both(count: u8) -> Self {
        Self {
            to_client: count,
            to_world: count,
            ttl: 64,
            ttl_step: 0,
            identification: 0,
            window: 0,
            window_step: 0,
            payload: &[],
        }
    }

    /// That many RST+ACK to the client alone.
    pub const fn client(count: u8) -> Self {
        Self { to_world: 0, ..Self::both(count) }
    }

    /// The forged packets for what was just seen; none when it is no TCP segment, or a reset itself.
    ///
    /// The sender is told what its peer would say next: sequence = the sender's acknowledgment, so that stacks which
    /// follow RFC 5961 take it at once. The receiver is told what the sender would say next, after this very segment,
    /// since the segment arrives first; when the box drops it (`passes` is false), as if it had not been sent.
    pub fn packets(&self, seen: &Seen<'_>, passes: bool) -> Vec<Injection> {
        let Some(segment) = seen.tcp().filter(|segment| !segment.flags.rst) else { return Vec::new() };
        let (toward_sender, toward_receiver) = match seen.from {
            Side::Client => (self.to_client, self.to_world),
            Side::World => (self.to_world, self.to_client),
        };
        let (source, destination) = (seen.source(), seen.destination());
        let back = self.series(toward_sender, seen.from, (destination, source), answering(segment));
        let on = self.series(
            toward_receiver,
            seen.from.other(),
            (source, destination),
            following(segment, passes),
        );
        back.chain(on).collect()
    }

    fn series(
        &self,
        count: u8,
        to: Side,
        (source, destination): (SocketAddr, SocketAddr),
        (sequence, acknowledgment): (u32, u32),
    ) -> impl Iterator<Item = Injection> {
        let style = *self;
        (0..count).map(move |index| {
            let packet = craft::tcp(&TcpSpec {
                sequence,
                acknowledgment,
                window: style.window.saturating_add(style.window_step.saturating_mul(u16::from(index))),
                ttl: style.ttl.saturating_add(style.ttl_step.saturating_mul(index)),
                identification: style.identification,
                payload: style.payload,
                ..TcpSpec::new(source, destination, TcpFlags::RST_ACK)
            });
            Injection { to, packet, after: Duration::ZERO }
        })
    }
}

/// Sequence and acknowledgment of what the peer would answer.
fn answering(segment: &TcpSegment<'_>) -> (u32, u32) {
    let sequence = if segment.flags.ack { segment.acknowledgment } else { 0 };
    (sequence, segment.sequence.wrapping_add(segment.sequence_len()))
}

/// Sequence and acknowledgment of what the sender would send next.
fn following(segment: &TcpSegment<'_>, passes: bool) -> (u32, u32) {
    let step = if passes { segment.sequence_len() } else { 0 };
    (segment.sequence.wrapping_add(step), segment.acknowledgment)
}

#[cfg(test)]
mod tests {
    use commucat_dissect::ip::{self, Transport};

    use super::*;

    const CLIENT: ([u8; 4], u16) = ([10, 73, 0, 2], 5000);
    const WORLD: ([u8; 4], u16) = ([203, 0, 113, 10], 443);

    /// To whom, from which port, with which numbers: the resets for a segment of four bytes.
    fn resets(from: Side, flags: TcpFlags, passes: bool, style: Reset) -> Vec<(Side, u16, u32, u32)> {
        let (source, destination) = if from == Side::Client { (CLIENT, WORLD) } else { (WORLD, CLIENT) };
        let payload: &[u8] = if flags.syn { &[] } else { b"four" };
        let packet = craft::tcp(&TcpSpec {
            sequence: 100,
            acknowledgment: if flags.ack { 900 } else { 0 },
            payload,
            ..TcpSpec::new(source.into(), destination.into(), flags)
        });
        let seen = Seen::stray(from, ip::parse(&packet).unwrap());
        let numbers = |injection: Injection| {
            let forged = ip::parse(&injection.packet).unwrap();
            let Transport::Tcp(segment) = forged.transport else { panic!() };
            assert!(segment.flags == TcpFlags::RST_ACK && forged.checksum_ok());
            (injection.to, segment.source_port, segment.sequence, segment.acknowledgment)
        };
        style.packets(&seen, passes).into_iter().map(numbers).collect()
    }

    #[test]
    fn both_ends_hear_what_the_other_would_say_next() {
        let style = Reset::both(1);
        assert_eq!(
            resets(Side::Client, TcpFlags::PSH_ACK, true, style),
            [(Side::Client, 443, 900, 104), (Side::World, 5000, 104, 900)]
        );
        assert_eq!(
            resets(Side::World, TcpFlags::PSH_ACK, true, style),
            [(Side::World, 5000, 900, 104), (Side::Client, 443, 104, 900)]
        );
    }

    #[test]
    fn a_segment_that_vanished_is_not_counted() {
        let style = Reset::both(1);
        assert_eq!(
            resets(Side::Client, TcpFlags::PSH_ACK, false, style),
            [(Side::Client, 443, 900, 104), (Side::World, 5000, 100, 900)]
        );
    }

    #[test]
    fn a_syn_is_refused_and_a_reset_is_not_answered() {
        assert_eq!(
            resets(Side::Client, TcpFlags::SYN, true, Reset::client(2)),
            [(Side::Client, 443, 0, 101), (Side::Client, 443, 0, 101)]
        );
        assert_eq!(resets(Side::Client, TcpFlags::RST, true, Reset::both(1)), []);
    }
}
