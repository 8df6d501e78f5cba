//! Replays of a recorded first flight: as it was (R1), and with bytes changed where Shadowsocks has its salt, its
//! address type and its tag (R2 to R5).

use fastrand::Rng;

use crate::{Family, Probe};

/// Names and positions of the changes. R3 has two forms: the paper says offsets 62 and 63, its data say near 31.
/// R4 and R5 are known from the paper's table only.
const CHANGES: [(&str, &[usize]); 5] = [
    ("replay-byte-0", &[0]),
    ("replay-bytes-0-7-31", &[0, 1, 2, 3, 4, 5, 6, 7, 31]),
    ("replay-bytes-0-7-62", &[0, 1, 2, 3, 4, 5, 6, 7, 62, 63]),
    ("replay-byte-16", &[16]),
    ("replay-bytes-6-16", &[6, 16]),
];

/// The flight again, and its changed forms. A change beyond the end of a short flight is left out.
pub fn replays(flight: &[u8], rng: &mut Rng) -> Vec<Probe> {
    let mut probes = vec![Probe::send("replay", Family::Replay, flight)];
    for (name, positions) in CHANGES {
        let mut bytes = flight.to_vec();
        for &at in positions {
            // A difference of 1 to 255: the byte surely changes.
            let difference = rng.u8(1..);
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= difference;
            }
        }
        if bytes != flight {
            probes.push(Probe::send(name, Family::Replay, bytes));
        }
    }
    probes
}
