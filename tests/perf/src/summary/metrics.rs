//! The metrics: what is computed from the readings of a cell, in which unit, and which way is better.

use crate::{
    cells::{Cell, Direction},
    sample::Reading,
    stats::{Better, Spread, percentile},
};

/// A kind of figure in a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Metric {
    /// Where it was measured.
    pub cell: Cell,
    /// What it is.
    pub kind: Kind,
}

/// What is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// Gigabits a second that arrived.
    Throughput,
    /// CPU seconds of both ends for each gigabyte (10^9 bytes) that arrived.
    CpuPerGb,
    /// Median microseconds from connect to first byte.
    FirstByteMedian,
    /// 99th percentile of the same.
    FirstByteTail,
    /// New connections a second.
    ConnectionRate,
    /// CPU microseconds of both ends for each new connection.
    CpuPerConnection,
    /// CPU microseconds of the server alone for each new connection.
    ServerCpuPerHandshake,
    /// CPU microseconds of both ends for each new connection that comes alone.
    CpuPerHandshake,
    /// KiB of both ends for each idle connection.
    MemoryPerConnection,
    /// MiB of both ends before.
    BaseMemory,
    /// Milliseconds that the target's end of stream takes.
    EndDown,
    /// Milliseconds that the client's half-close takes.
    EndUp,
    /// Percent of half-closed uploads that got their answer.
    Answered,
}

/// The kinds of a cell.
pub(super) fn of_cell(cell: Cell) -> Vec<Metric> {
    let kinds: &[Kind] = match cell {
        Cell::Bulk { .. } => &[Kind::CpuPerGb, Kind::Throughput],
        Cell::FirstByte { .. } => &[Kind::FirstByteMedian, Kind::FirstByteTail],
        Cell::Connections { .. } => &[Kind::ConnectionRate, Kind::CpuPerConnection],
        Cell::Handshake { .. } => &[Kind::ServerCpuPerHandshake, Kind::CpuPerHandshake],
        Cell::IdleMemory { .. } => &[Kind::MemoryPerConnection, Kind::BaseMemory],
        Cell::EndOfStream => &[Kind::EndDown, Kind::EndUp, Kind::Answered],
        Cell::Cipher => &[],
    };
    kinds.iter().map(|&kind| Metric { cell, kind }).collect()
}

/// The order of the report, whatever the order of measuring was.
pub(super) const fn order(cell: Cell) -> (u8, usize, u8) {
    match cell {
        Cell::Bulk { direction, streams } => (0, streams, matches!(direction, Direction::Down) as u8),
        Cell::FirstByte { route } => (1, 0, route as u8),
        Cell::Connections { in_flight } => (2, in_flight, 0),
        Cell::Handshake { connections } => (3, connections, 0),
        Cell::IdleMemory { connections } => (4, connections, 0),
        Cell::EndOfStream => (5, 0, 0),
        Cell::Cipher => (6, 0, 0),
    }
}

impl Metric {
    /// Its heading in a table.
    #[must_use]
    pub fn title(&self) -> String {
        match self.kind {
            Kind::Throughput => format!("{} throughput", streams(self.cell)),
            Kind::CpuPerGb => format!("{} CPU", streams(self.cell)),
            Kind::FirstByteMedian => format!("{} p50", self.cell),
            Kind::FirstByteTail => format!("{} p99", self.cell),
            Kind::ConnectionRate => "new connections".to_owned(),
            Kind::CpuPerConnection => "CPU per connection".to_owned(),
            Kind::ServerCpuPerHandshake => "server CPU per handshake".to_owned(),
            Kind::CpuPerHandshake => "CPU per handshake, both ends".to_owned(),
            Kind::MemoryPerConnection => "memory per idle connection".to_owned(),
            Kind::BaseMemory => "memory before".to_owned(),
            Kind::EndDown => "end of stream, target closes".to_owned(),
            Kind::EndUp => "end of stream, client half-closes".to_owned(),
            Kind::Answered => "half-closed uploads answered".to_owned(),
        }
    }
}

fn streams(cell: Cell) -> String {
    match cell {
        Cell::Bulk { direction, streams } => {
            let way = if direction == Direction::Up { "up" } else { "down" };
            format!("{way}, {streams} {}", if streams == 1 { "stream" } else { "streams" })
        }
        other => other.to_string(),
    }
}

impl Kind {
    /// Which way is better.
    #[must_use]
    pub const fn better(self) -> Better {
        match self {
            Self::Throughput | Self::ConnectionRate | Self::Answered => Better::Higher,
            _ => Better::Lower,
        }
    }

    /// The unit.
    #[must_use]
    pub const fn unit(self) -> &'static str {
        match self {
            Self::Throughput => "Gbit/s",
            Self::CpuPerGb => "CPU-s/GB",
            Self::FirstByteMedian
            | Self::FirstByteTail
            | Self::CpuPerConnection
            | Self::ServerCpuPerHandshake
            | Self::CpuPerHandshake => "µs",
            Self::ConnectionRate => "1/s",
            Self::MemoryPerConnection => "KiB",
            Self::BaseMemory => "MiB",
            Self::EndDown | Self::EndUp => "ms",
            Self::Answered => "%",
        }
    }

    /// Whether a ratio says anything: ends of streams that take no time have none.
    #[must_use]
    pub const fn comparable(self) -> bool {
        !matches!(self, Self::EndDown | Self::EndUp | Self::Answered)
    }

    /// The figure of one round from its readings; `None` when none of them fits.
    #[must_use]
    pub fn value(self, readings: &[&Reading]) -> Option<f64> {
        match self {
            Self::Throughput => rate(readings, |bulk| Some((bulk.bytes? * 8.0 / 1e9, bulk.seconds))),
            Self::CpuPerGb => rate(readings, |bulk| Some((bulk.cpu_s, bulk.bytes? / 1e9))),
            Self::ConnectionRate => rate(readings, |load| Some((load.completed?, load.seconds))),
            Self::CpuPerConnection => rate(readings, |load| Some((load.cpu_s * 1e6, load.completed?))),
            Self::ServerCpuPerHandshake => handshake(readings, false),
            Self::CpuPerHandshake => handshake(readings, true),
            Self::FirstByteMedian => first_byte(readings, 0.50),
            Self::FirstByteTail => first_byte(readings, 0.99),
            Self::MemoryPerConnection | Self::BaseMemory => {
                readings.iter().find_map(|reading| memory(reading, self == Self::BaseMemory))
            }
            Self::EndDown | Self::EndUp | Self::Answered => {
                readings.iter().find_map(|reading| end(reading, self))
            }
        }
    }
}

/// A bulk or connection window, with what it counted.
struct Window {
    bytes: Option<f64>,
    completed: Option<f64>,
    seconds: f64,
    cpu_s: f64,
}

#[allow(clippy::cast_precision_loss, reason = "counts of a window stay far below 2^52")]
fn window(reading: &Reading) -> Option<Window> {
    match *reading {
        Reading::Bulk { bytes, seconds, client_cpu_s, server_cpu_s, .. } => {
            let cpu_s = client_cpu_s + server_cpu_s;
            Some(Window { bytes: Some(bytes as f64), completed: None, seconds, cpu_s })
        }
        Reading::Connections { completed, seconds, client_cpu_s, server_cpu_s, .. } => {
            let cpu_s = client_cpu_s + server_cpu_s;
            Some(Window { bytes: None, completed: Some(completed as f64), seconds, cpu_s })
        }
        _ => None,
    }
}

/// A sum divided by a sum over the windows.
fn rate(readings: &[&Reading], parts: impl Fn(&Window) -> Option<(f64, f64)>) -> Option<f64> {
    let windows = readings.iter().filter_map(|reading| parts(&window(reading)?));
    let (above, below) = windows.fold((0.0, 0.0), |sum, part| (sum.0 + part.0, sum.1 + part.1));
    (below > 0.0).then_some(above / below)
}

fn first_byte(readings: &[&Reading], q: f64) -> Option<f64> {
    let visits = readings.iter().filter_map(|reading| match reading {
        Reading::FirstByte { micros } => percentile(micros, q).map(f64::from),
        _ => None,
    });
    Spread::of(visits).map(|spread| spread.median)
}

/// Microseconds of the server, or of both ends, a connection.
#[allow(clippy::cast_precision_loss, reason = "connections of a visit are few")]
fn handshake(readings: &[&Reading], both: bool) -> Option<f64> {
    let visits = readings.iter().filter_map(|reading| match **reading {
        Reading::Handshake { connections, client_cpu_s, server_cpu_s } => {
            Some((server_cpu_s + if both { client_cpu_s } else { 0.0 }, connections as f64))
        }
        _ => None,
    });
    let (cpu_s, connections) = visits.fold((0.0, 0.0), |sum, visit| (sum.0 + visit.0, sum.1 + visit.1));
    (connections > 0.0).then_some(cpu_s * 1e6 / connections)
}

#[allow(clippy::cast_precision_loss, reason = "memory in KiB stays far below 2^52")]
fn memory(reading: &Reading, base: bool) -> Option<f64> {
    let Reading::IdleMemory { connections, client_base_kib, server_base_kib, client_kib, server_kib } =
        *reading
    else {
        return None;
    };
    let before = (client_base_kib + server_base_kib) as f64;
    let grown = (client_kib + server_kib) as f64 - before;
    Some(if base { before / 1024.0 } else { grown / connections.max(1) as f64 })
}

#[allow(clippy::cast_precision_loss, reason = "tries are few")]
fn end(reading: &Reading, kind: Kind) -> Option<f64> {
    let Reading::EndOfStream { down_ms, up_ms, half_closes, answered } = reading else { return None };
    match kind {
        Kind::EndDown => Spread::of(down_ms.iter().copied()).map(|spread| spread.median),
        Kind::EndUp => Spread::of(up_ms.iter().copied()).map(|spread| spread.median),
        _ => (*half_closes > 0).then_some(*answered as f64 / *half_closes as f64 * 100.0),
    }
}
