//! Random bytes of the lengths that tell Shadowsocks servers apart: around each sum of salt, header and tag (NR1), and
//! one of 221 bytes (NR2).

use fastrand::Rng;

use super::bytes;
use crate::{Family, Probe};

/// First and last length of each group of NR1, in bytes.
const GROUPS: [(usize, usize); 7] = [(7, 9), (11, 13), (15, 17), (21, 23), (32, 34), (40, 42), (48, 50)];
/// Length of NR2, in bytes.
const LONG: usize = 221;

/// Random bytes of every length that was seen.
pub fn random(rng: &mut Rng) -> Vec<Probe> {
    let short = GROUPS.into_iter().flat_map(|(first, last)| first..=last);
    short.chain([LONG]).map(|length| noise(length, rng)).collect()
}

/// Random bytes of one length: the control beside a replay.
pub fn noise(length: usize, rng: &mut Rng) -> Probe {
    Probe::send(format!("random-{length}"), Family::Random, bytes(rng, length))
}
