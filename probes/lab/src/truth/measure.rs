//! All figures of a link at once, and how far they are from what was asked.

use std::time::Duration;

use commucat_censor::{Direction, LinkSpec};
use serde::Serialize;

use super::{RoundTrip, Throughput, TruthError, loss, round_trip, throughput};
use crate::{Lab, LabError};

/// How far the rate may be off, as a share.
const RATE_TOLERANCE: f64 = 0.05;
/// How far a round trip may be off, in milliseconds.
const DELAY_TOLERANCE_MS: f64 = 1.0;
/// How far the share of lost packets may be off.
const LOSS_TOLERANCE: f64 = 0.005;

/// How much to measure.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Effort {
    /// How long TCP runs in each direction, beside two seconds of warming up.
    pub transfer: Duration,
    /// How many pings.
    pub pings: u32,
    /// How many datagrams in each direction.
    pub datagrams: u32,
}

impl Default for Effort {
    /// About twenty seconds, with the 10,000 datagrams by which a share of losses is known to half a percent.
    fn default() -> Self {
        Self { transfer: Duration::from_secs(5), pings: 100, datagrams: 10_000 }
    }
}

/// The figures of a link.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Truth {
    /// TCP from client to world.
    pub up: Option<Throughput>,
    /// TCP from world to client.
    pub down: Option<Throughput>,
    /// Round trips.
    pub round_trip: Option<RoundTrip>,
    /// Share of datagrams lost on the way up.
    pub loss_up: f64,
    /// Share of datagrams lost on the way down.
    pub loss_down: f64,
    /// Figures that could not be had, and what would help.
    pub missing: Vec<String>,
}

/// Measures all figures of a lab. A program that is not installed leaves its figures out and is named in
/// [`Truth::missing`].
///
/// # Errors
/// [`TruthError`] of a measurement that began and failed.
pub fn measure(lab: &Lab, effort: Effort) -> Result<Truth, TruthError> {
    let mut truth = Truth::default();
    truth.up = truth.keep(throughput(lab, Direction::Up, effort.transfer))?;
    truth.down = truth.keep(throughput(lab, Direction::Down, effort.transfer))?;
    truth.round_trip = truth.keep(round_trip(lab, effort.pings))?;
    truth.loss_up = loss(lab, Direction::Up, effort.datagrams)?;
    truth.loss_down = loss(lab, Direction::Down, effort.datagrams)?;
    Ok(truth)
}

impl Truth {
    /// What is off, a line each: rates by more than 5 %, round trips by more than 1 ms, losses by more than 0.5 %.
    ///
    /// The shortest round trip counts: a link never shortens, and how late a packet may be depends on who else uses the
    /// machine. A link without a rate, or with losses or jitter, has no rate or delay that TCP or ping could show.
    pub fn deviations(&self, link: &LinkSpec) -> Vec<String> {
        let mut off = Vec::new();
        for (way, asked, seen) in [("up", link.up, self.up), ("down", link.down, self.down)] {
            let (Some(asked), Some(seen)) = (asked.filter(|_rate| link.loss <= 0.0), seen) else { continue };
            #[allow(clippy::cast_precision_loss, reason = "rates are far below 2^52 bits a second")]
            let share = seen.link_bit_s / asked as f64;
            if (share - 1.0).abs() > RATE_TOLERANCE {
                off.push(format!("{way}: {asked} bit/s asked, {:.0} seen", seen.link_bit_s));
            }
        }
        if let Some(seen) = self.round_trip.filter(|_seen| link.jitter.is_zero()) {
            let asked = 2000.0 * link.delay.as_secs_f64();
            if (seen.min_ms - asked).abs() > DELAY_TOLERANCE_MS {
                off.push(format!("round trip: {asked} ms asked, {} seen", seen.min_ms));
            }
        }
        for (way, seen) in [("up", self.loss_up), ("down", self.loss_down)] {
            if (seen - link.loss).abs() > LOSS_TOLERANCE {
                off.push(format!("loss {way}: {} asked, {seen:.4} seen", link.loss));
            }
        }
        off
    }

    fn keep<T>(&mut self, figure: Result<T, TruthError>) -> Result<Option<T>, TruthError> {
        match figure {
            Ok(figure) => Ok(Some(figure)),
            Err(TruthError::Lab(error @ LabError::Spawn { .. })) => {
                self.missing.push(error.to_string());
                self.missing.dedup();
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(link_bit_s: f64, min_ms: f64, loss: f64) -> Truth {
        let throughput = Throughput { goodput_bit_s: 0.0, link_bit_s, retransmits: 0 };
        let round_trip = RoundTrip { min_ms, mean_ms: 0.0, max_ms: 0.0 };
        Truth {
            up: Some(throughput),
            down: Some(throughput),
            round_trip: Some(round_trip),
            loss_up: loss,
            loss_down: loss,
            missing: Vec::new(),
        }
    }

    #[test]
    fn what_is_off_is_said_and_what_is_within_is_not() {
        let link = LinkSpec::parse("link?rate=10mbit&delay=40ms").unwrap();
        assert!(figures(9.6e6, 80.9, 0.004).deviations(&link).is_empty());
        let off = figures(9.4e6, 81.1, 0.006).deviations(&link);
        assert_eq!(off.len(), 5, "{off:?}");
        let lossy = LinkSpec::parse("link?rate=10mbit&jitter=1ms&loss=1%").unwrap();
        assert!(figures(2e6, 9.0, 0.01).deviations(&lossy).is_empty());
    }
}
