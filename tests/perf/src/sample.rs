//! What a run leaves behind: raw samples and the circumstances they were taken in. This is the JSON that is kept.

use serde::{Deserialize, Serialize};

use crate::cells::{Cell, Row};

/// The format of the file; raised when a field changes its meaning.
pub const FORMAT: u32 = 1;

/// The id of the pair of plain relays whose cost is the limit.
pub const LIMIT: &str = "limit";
/// Appended to the subject's id for its second instance, the A/A control.
pub const AGAIN: &str = "-again";

/// One run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Record {
    /// [`FORMAT`].
    pub format: u32,
    /// The circumstances.
    pub circumstances: Circumstances,
    /// Whom the ratios speak about; every other product but the limit is a peer.
    pub subject: String,
    /// Who took part, or why not.
    pub products: Vec<Participant>,
    /// What was measured.
    pub samples: Vec<Sample>,
    /// What a reader must know: things that were left out or went wrong.
    pub notes: Vec<String>,
}

/// Where and how.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Circumstances {
    /// UTC, RFC 3339.
    pub started: String,
    /// `/proc/sys/kernel/osrelease`.
    pub kernel: String,
    /// The processor's name.
    pub processor: String,
    /// Processors online.
    pub processors: usize,
    /// `net.ipv4.tcp_congestion_control`.
    pub congestion_control: String,
    /// Load average over a minute before the first sample.
    pub load_before: f64,
    /// Whether the run had a network namespace of its own.
    pub own_network: bool,
    /// Rounds asked for.
    pub rounds: u32,
    /// Length of a bulk window in seconds.
    pub window_s: f64,
    /// Warm-up before a window in seconds.
    pub warm_up_s: f64,
}

/// A product in the run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Participant {
    /// Its id.
    pub id: String,
    /// Its version, when it takes part.
    pub version: Option<String>,
    /// Why it does not take part.
    pub absent: Option<String>,
}

/// One visit of one product for one cell.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Sample {
    /// The row.
    pub row: Row,
    /// The round, from 0.
    pub round: u32,
    /// 0 on the way there, 1 on the way back.
    pub pass: u32,
    /// The product's id.
    pub product: String,
    /// The load.
    pub cell: Cell,
    /// Processor cores that others used meanwhile; `None` where that is not watched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub foreign_cores: Option<f64>,
    /// Others used so much that the figure is doubtful.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub disturbed: bool,
    /// The figure.
    pub reading: Reading,
}

/// The figures of a sample.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
#[non_exhaustive]
pub enum Reading {
    /// A window of bulk transfer.
    Bulk {
        /// Bytes that arrived inside the window.
        bytes: u64,
        /// Length of the window.
        seconds: f64,
        /// CPU seconds of the client process.
        client_cpu_s: f64,
        /// CPU seconds of the server process.
        server_cpu_s: f64,
        /// Streams that moved nothing inside the window.
        stalled_streams: usize,
    },
    /// Connect to first byte, one after the other.
    FirstByte {
        /// Microseconds of every connection, in order.
        micros: Vec<u32>,
    },
    /// A window of short connections.
    Connections {
        /// Connections that got their answer inside the window.
        completed: u64,
        /// Connections that failed.
        failed: u64,
        /// Length of the window.
        seconds: f64,
        /// CPU seconds of the client process.
        client_cpu_s: f64,
        /// CPU seconds of the server process.
        server_cpu_s: f64,
    },
    /// Handshakes, one after the other.
    Handshake {
        /// Connections opened, used for one byte each way, and closed.
        connections: usize,
        /// CPU seconds of the client process until all of them were gone.
        client_cpu_s: f64,
        /// CPU seconds of the server process until all of them were gone.
        server_cpu_s: f64,
    },
    /// Memory of idle connections, as the proportional set size.
    IdleMemory {
        /// Connections held.
        connections: usize,
        /// Client before, KiB.
        client_base_kib: u64,
        /// Server before, KiB.
        server_base_kib: u64,
        /// Client with the connections, KiB.
        client_kib: u64,
        /// Server with the connections, KiB.
        server_kib: u64,
    },
    /// Ends of streams.
    EndOfStream {
        /// From the target's close to the client's end of stream, milliseconds.
        down_ms: Vec<f64>,
        /// From the client's half-close to the target's end of stream, milliseconds; a lost one is absent.
        up_ms: Vec<f64>,
        /// Half-closed uploads that were tried.
        half_closes: usize,
        /// How many of these still got the target's answer.
        answered: usize,
    },
    /// AES-128-GCM alone, on one core.
    Cipher {
        /// Bytes of a record.
        record_bytes: usize,
        /// CPU seconds per gigabyte to seal.
        seal_s_per_gb: f64,
        /// CPU seconds per gigabyte to open.
        open_s_per_gb: f64,
    },
    /// It could not be measured.
    Failed {
        /// Why.
        reason: String,
    },
}

impl Record {
    /// The record in short, for a file that is kept in the repository: of every list of connection times only 100 evenly spaced
    /// quantiles remain, from which the median and the 99th percentile still come out the same, and digits that mean nothing go.
    #[must_use]
    pub fn condensed(&self) -> Self {
        let mut record = self.clone();
        for sample in &mut record.samples {
            sample.foreign_cores = sample.foreign_cores.map(|cores| rounded(cores, 100.0));
            sample.reading.condense();
        }
        record
    }

    /// The samples of one row.
    pub fn of_row(&self, row: Row) -> impl Iterator<Item = &Sample> {
        self.samples.iter().filter(move |sample| sample.row == row)
    }
}

impl Reading {
    fn condense(&mut self) {
        match self {
            Self::Bulk { seconds, client_cpu_s, server_cpu_s, .. }
            | Self::Connections { seconds, client_cpu_s, server_cpu_s, .. } => {
                for value in [seconds, client_cpu_s, server_cpu_s] {
                    *value = rounded(*value, 1e6);
                }
            }
            Self::Handshake { client_cpu_s, server_cpu_s, .. } => {
                for value in [client_cpu_s, server_cpu_s] {
                    *value = rounded(*value, 1e6);
                }
            }
            Self::FirstByte { micros } => *micros = quantiles(micros),
            Self::EndOfStream { down_ms, up_ms, .. } => {
                for value in down_ms.iter_mut().chain(up_ms) {
                    *value = rounded(*value, 1e3);
                }
            }
            Self::Cipher { seal_s_per_gb, open_s_per_gb, .. } => {
                for value in [seal_s_per_gb, open_s_per_gb] {
                    *value = rounded(*value, 1e6);
                }
            }
            Self::IdleMemory { .. } | Self::Failed { .. } => {}
        }
    }
}

fn rounded(value: f64, parts: f64) -> f64 {
    (value * parts).round() / parts
}

/// 100 quantiles, so that percentiles by nearest rank stay what they were.
fn quantiles(micros: &[u32]) -> Vec<u32> {
    if micros.len() <= 100 {
        return micros.to_vec();
    }
    (1..=100).filter_map(|percent| crate::stats::percentile(micros, f64::from(percent) / 100.0)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::percentile;

    #[test]
    fn condensed_lists_keep_their_percentiles() {
        let micros: Vec<u32> = (0..777_u32).map(|i| (i * 7919) % 1000).collect();
        let short = quantiles(&micros);
        assert_eq!(short.len(), 100);
        for q in [0.5, 0.99, 1.0] {
            assert_eq!(percentile(&short, q), percentile(&micros, q));
        }
        assert_eq!(quantiles(&[3, 1]), [3, 1]);
    }

    #[test]
    fn condensed_figures_keep_what_means_something() {
        let mut bulk = Reading::Bulk {
            bytes: 5,
            seconds: 3.000_000_4,
            client_cpu_s: 0.123_456_789,
            server_cpu_s: 0.5,
            stalled_streams: 1,
        };
        bulk.condense();
        let short = Reading::Bulk {
            bytes: 5,
            seconds: 3.0,
            client_cpu_s: 0.123_457,
            server_cpu_s: 0.5,
            stalled_streams: 1,
        };
        assert_eq!(bulk, short);
    }

    #[test]
    fn samples_survive_json() {
        let sample = Sample {
            row: Row::Shadowsocks,
            round: 2,
            pass: 1,
            product: "xray".into(),
            cell: "up/16".parse().unwrap(),
            foreign_cores: Some(0.5),
            disturbed: true,
            reading: Reading::Bulk {
                bytes: 1,
                seconds: 3.0,
                client_cpu_s: 0.5,
                server_cpu_s: 0.25,
                stalled_streams: 0,
            },
        };
        let json = serde_json::to_string(&sample).unwrap();
        assert!(json.contains(r#""kind":"bulk""#) && json.contains(r#""cell":"up/16""#), "{json}");
        assert_eq!(serde_json::from_str::<Sample>(&json).unwrap(), sample);
    }
}
