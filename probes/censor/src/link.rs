//! The link in front of the censor and behind it, emulated: delay, jitter, loss alone and in bursts, rate, queue.
//!
//! A packet is offered at a time and answered with the time at which it comes out, or with why it never does. The link
//! holds no packet; who drives it keeps them until their time. What happens to a packet, in this order:
//! 1. It waits until the packets before it are sent, and is dropped when the queue is full (drop-tail).
//! 2. It is sent at the rate; each packet takes exactly its bits.
//! 3. It is lost by chance, so a lost packet used the link like any other.
//! 4. It travels: delay and jitter. Order is kept unless `reorder` is asked for.

mod loss;
mod spec;

use std::{cmp::Reverse, collections::BinaryHeap, time::Duration};

use loss::Loss;

pub use self::spec::{LINK, LINK_PARAMETERS, LinkSpec};
use crate::{random::Random, spec::Queue};

/// The most packets that may be under way in one direction: 100 ms of 4 Gbit/s in full packets. Bounds what the driver
/// must hold; only a link that is asked for more than that loses packets by it.
pub const IN_FLIGHT_PACKETS_MAX: usize = 32 * 1024;
/// Jitter keeps its value at least this long.
const JITTER_STEP_MIN: Duration = Duration::from_millis(10);
/// How many times its own size jitter keeps its value. Shorter steps would let the keeping of order push most packets
/// to the longest delay, so that no jitter were left to see.
const JITTER_STEPS: u32 = 4;
const NANOS_A_SECOND: u128 = 1_000_000_000;
const BITS_A_BYTE: u128 = 8;

/// Which way packets go through a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Direction {
    /// From the client to the world.
    Up,
    /// From the world to the client.
    Down,
}

/// What becomes of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It comes out at this time; now, when the link does nothing.
    At(Duration),
    /// It never comes out.
    Lost(Reason),
}

/// Why a packet is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// By chance.
    Chance,
    /// The queue is full.
    QueueFull,
    /// More than [`IN_FLIGHT_PACKETS_MAX`] packets are under way.
    TooManyInFlight,
}

impl Reason {
    /// As a word for counters.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Chance => "chance",
            Self::QueueFull => "queue-full",
            Self::TooManyInFlight => "too-many-in-flight",
        }
    }
}

/// One direction of a link.
#[derive(Debug)]
pub struct Link {
    delay: Duration,
    jitter: Duration,
    reorder: bool,
    rate: Option<u64>,
    queue: Queue,
    loss: Loss,
    /// Draws of packets one by one.
    random: Random,
    /// Draws of jitter by time: the same step gives the same value however many packets it sees.
    jitter_seed: u64,
    /// When the last accepted packet will have been sent.
    busy_until: Duration,
    /// What is left of dividing bits by the rate, in 1/rate nanoseconds, so that no rounding adds up.
    remainder: u128,
    last_arrival: Duration,
    in_flight: BinaryHeap<Reverse<Duration>>,
}

impl Link {
    /// One direction of the link that is described. Each direction draws its own numbers from the seed.
    pub fn new(spec: &LinkSpec, direction: Direction, seed: u64) -> Self {
        let (rate, stream) = match direction {
            Direction::Up => (spec.up, 0x6c69_6e6b_7570),
            Direction::Down => (spec.down, 0x6c69_6e6b_646e),
        };
        let mut random = Random::new(seed, stream);
        Self {
            delay: spec.delay,
            jitter: spec.jitter,
            reorder: spec.reorder,
            rate,
            queue: spec.queue,
            loss: Loss::new(spec.loss, spec.burst),
            jitter_seed: random.next_u64(),
            random,
            busy_until: Duration::ZERO,
            remainder: 0,
            last_arrival: Duration::ZERO,
            in_flight: BinaryHeap::new(),
        }
    }

    /// Whether every packet passes at once.
    pub fn is_clear(&self) -> bool {
        self.delay.is_zero() && self.jitter.is_zero() && self.rate.is_none() && self.loss.is_never()
    }

    /// What becomes of a packet of `packet_len` bytes (from the IP header on) that is sent `now`. `now` must not go back.
    pub fn offer(&mut self, now: Duration, packet_len: usize) -> Fate {
        if self.is_clear() {
            return Fate::At(now);
        }
        while self.in_flight.peek().is_some_and(|Reverse(arrival)| *arrival <= now) {
            self.in_flight.pop();
        }
        if self.in_flight.len() >= IN_FLIGHT_PACKETS_MAX {
            return Fate::Lost(Reason::TooManyInFlight);
        }
        let Some(sent) = self.send(now, packet_len) else { return Fate::Lost(Reason::QueueFull) };
        if self.loss.takes(&mut self.random) {
            return Fate::Lost(Reason::Chance);
        }
        let arrival = self.travel(now, sent);
        if arrival > now {
            self.in_flight.push(Reverse(arrival));
        }
        Fate::At(arrival)
    }

    /// When the packet will have been sent; `None` when the queue has no room for it.
    fn send(&mut self, now: Duration, packet_len: usize) -> Option<Duration> {
        let Some(rate) = self.rate.map(|rate| u128::from(rate.max(1))) else { return Some(now) };
        let wait = self.busy_until.saturating_sub(now);
        let bytes = packet_len as u128;
        if !wait.is_zero() {
            let fits = match self.queue {
                Queue::Time(longest) => wait <= longest,
                Queue::Bytes(most) => {
                    let waiting = wait.as_nanos() * rate / (NANOS_A_SECOND * BITS_A_BYTE);
                    waiting + bytes <= u128::from(most)
                }
            };
            if !fits {
                return None;
            }
        } else {
            self.remainder = 0;
        }
        let work = bytes * BITS_A_BYTE * NANOS_A_SECOND + self.remainder;
        self.remainder = work % rate;
        let nanos = u64::try_from(work / rate).unwrap_or(u64::MAX);
        self.busy_until = now.max(self.busy_until).saturating_add(Duration::from_nanos(nanos));
        Some(self.busy_until)
    }

    fn travel(&mut self, now: Duration, sent: Duration) -> Duration {
        let arrival = sent.saturating_add(self.delay_at(sent)).max(now);
        if self.reorder {
            return arrival;
        }
        self.last_arrival = self.last_arrival.max(arrival);
        self.last_arrival
    }

    /// The delay of a packet that is sent at this time: evenly within `jitter` of `delay`, never below zero.
    fn delay_at(&mut self, sent: Duration) -> Duration {
        if self.jitter.is_zero() {
            return self.delay;
        }
        let span = u64::try_from(self.jitter.as_nanos()).unwrap_or(u64::MAX / 4).saturating_mul(2);
        let drawn = if self.reorder {
            self.random.below(span.saturating_add(1))
        } else {
            let step = (self.jitter * JITTER_STEPS).max(JITTER_STEP_MIN);
            let index = u64::try_from(sent.as_nanos() / step.as_nanos().max(1)).unwrap_or(u64::MAX);
            Random::new(self.jitter_seed, index).below(span.saturating_add(1))
        };
        self.delay.saturating_add(Duration::from_nanos(drawn)).saturating_sub(self.jitter)
    }
}

#[cfg(test)]
mod tests;
