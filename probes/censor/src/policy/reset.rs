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
