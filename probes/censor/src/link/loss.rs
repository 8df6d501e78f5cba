//! Loss by chance: each packet for itself, or in bursts by the model of Gilbert and Elliott.
//!
//! Bursts: the link is good or bad. In the good state nothing is lost, in the bad state everything. It turns good after
//! a packet with probability 1/burst, so bad runs are `burst` packets long on average, and it turns bad with the
//! probability that makes the share of bad packets `loss` in the long run: loss / (burst · (1 − loss)).

use crate::random::Random;

/// Who is lost.
#[derive(Debug)]
pub(super) enum Loss {
    /// Nobody.
    Never,
    /// Each packet with this probability.
    Independent(f64),
    /// Runs of packets.
    Bursts {
        /// From good to bad, a packet.
        begin: f64,
        /// From bad to good, a packet.
        end: f64,
        is_bad: bool,
    },
}

impl Loss {
    /// Loss of this share of packets; `burst` of zero is independent loss.
    pub(super) fn new(share: f64, burst: u32) -> Self {
        if share <= 0.0 {
            return Self::Never;
        }
        if burst == 0 || share >= 1.0 {
            return Self::Independent(share);
        }
        let burst = f64::from(burst);
        Self::Bursts { begin: share / (burst * (1.0 - share)), end: 1.0 / burst, is_bad: false }
    }

    /// The largest share that runs of this mean length allow: with more, good runs would be shorter than one packet.
    pub(super) fn share_max(burst: u32) -> f64 {
        if burst == 0 { 1.0 } else { f64::from(burst) / (f64::from(burst) + 1.0) }
    }

    pub(super) const fn is_never(&self) -> bool {
        matches!(self, Self::Never)
    }

    /// Whether the next packet is lost.
    pub(super) fn takes(&mut self, random: &mut Random) -> bool {
        match self {
            Self::Never => false,
            Self::Independent(share) => random.chance(*share),
            Self::Bursts { begin, end, is_bad } => {
                let turn = if *is_bad { *end } else { *begin };
                *is_bad ^= random.chance(turn);
                *is_bad
            }
        }
    }
}
