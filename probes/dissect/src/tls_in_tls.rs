//! Finds a TLS handshake by the sizes of its bursts although it runs inside another TLS connection (Xue et al., USENIX
//! Security 2024: "Fingerprinting Obfuscated Proxy Traffic with Encapsulated TLS Handshakes").
//!
//! Four bursts in a row, client, server, client, server, are compared with how browsers' handshakes are distributed: a
//! Mahalanobis distance below a limit is a match. Means, inverse covariances and limits are the published ones of
//! nDPI, rounded to four digits.

/// Bytes that the outer TLS adds to each packet.
pub const OVERHEAD_BYTES: u32 = 24;
/// Packets with payload that are looked at in one connection.
pub const MAX_PACKETS: u32 = 25;
/// Packets that the first burst, a ClientHello, may take.
pub const MAX_HELLO_PACKETS: u32 = 3;
/// Inner TLS 1.3 hellos are not shorter than this.
const MIN_TLS13_HELLO_BYTES: u32 = 517;

/// Whose handshakes a model describes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Model {
    /// Firefox, TLS 1.2.
    FirefoxTls12,
    /// Firefox, TLS 1.3 without post-quantum keys.
    FirefoxTls13,
    /// Chrome, with post-quantum keys.
    ChromePostQuantum,
}

impl Model {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::ChromePostQuantum, Self::FirefoxTls13, Self::FirefoxTls12];

    /// The distance below which four bursts are a match.
    pub const fn limit(self) -> f64 {
        match self {
            Self::FirefoxTls12 => 3.5,
            Self::FirefoxTls13 | Self::ChromePostQuantum => 3.0,
        }
    }

    /// Mean bytes of each burst.
    pub const fn means(self) -> [f64; 4] {
        match self {
            Self::FirefoxTls12 => [212.9, 4514.7, 107.8, 307.6],
            Self::FirefoxTls13 => [640.7, 4649.3, 448.4, 1094.2],
            Self::ChromePostQuantum => [1850.4, 4903.1, 785.3, 1051.2],
        }
    }

    /// The Mahalanobis distance of four bursts, in bytes.
    pub fn distance(self, bursts: [u32; 4]) -> f64 {
        let mut difference = [0.0; 4];
        for ((out, burst), mean) in difference.iter_mut().zip(bursts).zip(self.means()) {
            *out = f64::from(burst) - mean;
        }
        let rows = self.inverse_covariance();
        let row =
            |row: &[f64; 4]| row.iter().zip(difference).map(|(factor, part)| factor * part).sum::<f64>();
        rows.iter().zip(difference).map(|(line, part)| row(line) * part).sum::<f64>().max(0.0).sqrt()
    }

    /// In 1 by square byte.
    const fn inverse_covariance(self) -> [[f64; 4]; 4] {
        match self {
            Self::FirefoxTls12 => [
                [2.924e-4, 4.437e-7, -5.700e-5, -2.181e-6],
                [4.437e-7, 5.990e-7, -3.598e-7, 5.716e-7],
                [-5.700e-5, -3.598e-7, 7.689e-4, 2.223e-5],
                [-2.181e-6, 5.716e-7, 2.223e-5, 5.728e-5],
            ],
            Self::FirefoxTls13 => [
                [3.080e-5, 1.162e-7, 1.054e-7, 3.886e-8],
                [1.162e-7, 6.932e-7, 2.774e-8, -3.637e-9],
                [1.054e-7, 2.774e-8, 1.026e-6, -1.088e-8],
                [3.886e-8, -3.637e-9, -1.088e-8, 8.633e-8],
            ],
            Self::ChromePostQuantum => [
                [6.724e-6, -2.321e-8, 6.671e-8, 1.253e-8],
                [-2.321e-8, 5.647e-7, 4.590e-8, 6.413e-9],
                [6.671e-8, 4.590e-8, 6.041e-7, -9.151e-10],
                [1.253e-8, 6.413e-9, -9.151e-10, 1.012e-7],
            ],
        }
    }
}

/// Four bursts that look like a handshake.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Match {
    /// The nearest model among those whose limit holds.
    pub model: Model,
    /// The distance to it.
    pub distance: f64,
    /// The four bursts, overhead taken off, in bytes.
    pub bursts: [u32; 4],
}

/// The nearest model whose limit holds for four finished bursts; `hello_packets` is how many packets the first one took.
pub fn judge(bursts: [u32; 4], hello_packets: u32) -> Option<Match> {
    if hello_packets > MAX_HELLO_PACKETS {
        return None;
    }
    let matches = Model::ALL.into_iter().filter_map(|model| {
        let [hello, ..] = bursts;
        let distance = model.distance(bursts);
        let possible = model != Model::FirefoxTls13 || hello >= MIN_TLS13_HELLO_BYTES;
        (possible && distance < model.limit()).then_some(Match { model, distance, bursts })
    });
    matches.min_by(|one, other| one.distance.total_cmp(&other.distance))
}

/// Collects the bursts of one connection. Feed it each packet with payload after the outer handshake.
#[derive(Clone, Debug, Default)]
pub struct Bursts {
    packets: u32,
    /// The last four bursts that ended, the oldest first.
    last: [Burst; 4],
    running: Option<(bool, Burst)>,
    finished: u32,
}

#[derive(Clone, Copy, Debug, Default)]
struct Burst {
    bytes: u32,
    packets: u32,
}

impl Bursts {
    /// Counts a packet. A match is found when the client speaks again after four bursts.
    pub fn packet(&mut self, from_client: bool, payload_bytes: u32) -> Option<Match> {
        if self.is_over() || payload_bytes == 0 {
            return None;
        }
        if self.running.is_none() && !from_client {
            return None;
        }
        self.packets += 1;
        let bytes = payload_bytes.saturating_sub(OVERHEAD_BYTES);
        match &mut self.running {
            Some((direction, burst)) if *direction == from_client => {
                burst.bytes = burst.bytes.saturating_add(bytes);
                burst.packets += 1;
                None
            }
            running => {
                let ended = running.replace((from_client, Burst { bytes, packets: 1 }));
                let (_direction, burst) = ended?;
                self.last.rotate_left(1);
                if let Some(last) = self.last.last_mut() {
                    *last = burst;
                }
                self.finished += 1;
                let whole = from_client && self.finished >= 4;
                let [hello, ..] = self.last;
                if whole { judge(self.last.map(|burst| burst.bytes), hello.packets) } else { None }
            }
        }
    }

    /// Whether no packet that comes can make a difference.
    pub const fn is_over(&self) -> bool {
        self.packets > MAX_PACKETS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rounded(model: Model) -> [u32; 4] {
        model.means().map(|mean| format!("{mean:.0}").parse().unwrap())
    }

    #[test]
    fn the_means_are_near_themselves_and_far_from_others() {
        for model in Model::ALL {
            assert!(model.distance(rounded(model)) < 0.1);
            assert_eq!(judge(rounded(model), 1).unwrap().model, model);
        }
        assert!(Model::FirefoxTls12.distance(rounded(Model::ChromePostQuantum)) > 3.5);
        assert!(Model::ChromePostQuantum.distance(rounded(Model::FirefoxTls12)) > 3.0);
        assert_eq!(judge(rounded(Model::ChromePostQuantum), 4), None);
        assert_eq!(judge([516, 4649, 448, 1094], 1).map(|found| found.model), None);
    }

    /// One deviation along one burst is its distance: sqrt(0.0003) a byte for the first of TLS 1.2.
    #[test]
    fn a_distance_worked_out_by_hand() {
        let mut bursts = rounded(Model::FirefoxTls12);
        bursts[0] += 100;
        let expected = (100.1_f64.powi(2) * 2.924e-4).sqrt();
        assert!((Model::FirefoxTls12.distance(bursts) - expected).abs() < 0.05);
    }

    #[test]
    fn a_handshake_inside_a_connection_is_found() {
        let mut bursts = Bursts::default();
        let packets = [
            // Server speaks first: its session tickets do not count.
            (false, 500),
            // A request of the proxy protocol, its answer.
            (true, 90),
            (false, 60),
            // The hello in two packets, the server's flight, Finished with a request, the answer.
            (true, 1400),
            (true, 498),
            (false, 1448),
            (false, 1448),
            (false, 1448),
            (false, 655),
            (true, 809),
            (false, 1075),
        ];
        for (from_client, bytes) in packets {
            assert_eq!(bursts.packet(from_client, bytes), None);
        }
        let found = bursts.packet(true, 100).unwrap();
        assert_eq!((found.model, found.bursts), (Model::ChromePostQuantum, [1850, 4903, 785, 1051]));
    }

    #[test]
    fn a_download_is_none_and_ends_the_search() {
        let mut bursts = Bursts::default();
        for _round in 0..4 {
            assert_eq!(bursts.packet(true, 200), None);
            for _packet in 0..20 {
                assert_eq!(bursts.packet(false, 1448), None);
            }
        }
        assert!(bursts.is_over());
    }
}
