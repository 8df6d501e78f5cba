//! What a person may say on the command line.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use anyhow::ensure;

use crate::{
    cells::{Cell, Direction, Route, Row},
    load::meter::STREAMS_MAX,
    measure::Effort,
    peers::{IDS, ours},
};

/// Measures CommuCat beside other products on this machine, in pairs, and prints ratios
#[derive(Clone, Debug, clap::Parser)]
#[command(name = "bench", version, args_conflicts_with_subcommands = true)]
#[non_exhaustive]
pub struct Options {
    /// Hidden programs of the harness itself.
    #[command(subcommand)]
    pub part: Option<Part>,
    /// Rows: ss (Shadowsocks 2022), ws (WebSocket + TLS), reality (framed), vision (direct, with TLS inside)
    #[arg(long, value_delimiter = ',', default_value = "ss,ws,reality,vision")]
    pub rows: Vec<Row>,
    /// Groups of cells: bulk, first-byte, connections, handshake, idle, end (default: those that the row has promises for)
    #[arg(long, value_delimiter = ',')]
    pub cells: Vec<Group>,
    /// Parallel streams of the bulk cells (default: 1,16,128; in reality and vision 1,16)
    #[arg(long, value_delimiter = ',')]
    pub streams: Vec<usize>,
    /// Rounds; each visits every product twice, in mirrored order
    #[arg(long, default_value_t = 6)]
    pub rounds: u32,
    /// Two rounds, windows of one second, less of everything: shows that it works, proves little
    #[arg(long)]
    pub quick: bool,
    /// Peers to compare with
    #[arg(long, value_delimiter = ',', default_values_t = IDS.map(str::to_owned))]
    pub peers: Vec<String>,
    /// Whom the ratios speak about
    #[arg(long, default_value = ours::ID)]
    pub subject: String,
    /// The commucat program to measure, when it is not the one built beside this
    #[arg(long, value_name = "PATH")]
    pub commucat: Option<PathBuf>,
    /// Let our client carry all streams of the row reality over so many connections; with 0 each stream has its own, as in the peers
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u8).range(0..=3))]
    pub carriers: u8,
    /// Build peers that come as source (shadowsocks-rust); takes minutes, once
    #[arg(long)]
    pub install_peers: bool,
    /// Seconds of a bulk or connection window
    #[arg(long, default_value_t = 1.5)]
    pub window: f64,
    /// Minutes for each row, after which no further round begins (default: 25; 12 for reality and vision)
    #[arg(long)]
    pub minutes: Option<u32>,
    /// Measure although others use the processor; every figure is then marked as disturbed
    #[arg(long)]
    pub allow_busy: bool,
    /// Stay in this network namespace
    #[arg(long)]
    pub shared_network: bool,
    /// Where the record goes (default: bench/ in the cache)
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Report a record instead of measuring
    #[arg(long, value_name = "FILE")]
    pub from: Option<PathBuf>,
    /// Rewrite the tables and the record in docs/src/performance.md
    #[arg(long)]
    pub markdown: bool,
    /// Only list rows, cells and products
    #[arg(long)]
    pub list: bool,
}

/// Programs inside the harness.
#[derive(Clone, Debug, clap::Subcommand)]
#[non_exhaustive]
pub enum Part {
    /// One plain relay: half of the limit
    #[command(hide = true)]
    Relay {
        /// Where it listens.
        listen: SocketAddr,
        /// Where it connects to.
        target: SocketAddr,
    },
}

/// Cells that belong together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
#[non_exhaustive]
pub enum Group {
    /// Bulk transfer, both directions.
    Bulk,
    /// Connect to first byte.
    FirstByte,
    /// New connections a second.
    Connections,
    /// CPU of handshakes, the server's apart.
    Handshake,
    /// Memory of idle connections.
    Idle,
    /// Ends of streams.
    End,
}

impl Options {
    /// Checks what clap cannot, and applies `--quick`.
    ///
    /// # Errors
    /// When something is out of range.
    pub fn settled(mut self) -> anyhow::Result<Self> {
        if self.quick {
            self.rounds = self.rounds.min(2);
            self.window = self.window.min(1.0);
        }
        ensure!(self.rounds > 0, "--rounds must be at least 1");
        ensure!((0.1..=60.0).contains(&self.window), "--window must be from 0.1 to 60 seconds");
        ensure!(!self.rows.is_empty(), "nothing to measure");
        for streams in &self.streams {
            ensure!((1..=STREAMS_MAX).contains(streams), "--streams must be from 1 to {STREAMS_MAX}");
        }
        for id in self.peers.iter().chain([&self.subject]) {
            ensure!(IDS.contains(&id.as_str()), "no such product: {id} ({})", IDS.join(", "));
        }
        Ok(self)
    }

    /// The cells in the order in which a round measures them: those that want a fresh process come first.
    #[must_use]
    pub fn planned_cells(&self, row: Row) -> Vec<Cell> {
        let groups = if self.cells.is_empty() { default_groups(row) } else { &self.cells };
        let streams = if self.streams.is_empty() { default_streams(row) } else { &self.streams };
        let mut cells = Vec::new();
        if groups.contains(&Group::Idle) {
            cells.push(Cell::IdleMemory { connections: if self.quick { 200 } else { 1000 } });
        }
        if groups.contains(&Group::End) {
            cells.push(Cell::EndOfStream);
        }
        if groups.contains(&Group::Handshake) {
            cells.push(Cell::Handshake { connections: if self.quick { 100 } else { 300 } });
        }
        if groups.contains(&Group::FirstByte) {
            cells.push(Cell::FirstByte { route: Route::Forward });
            // What an inbound costs has nothing to do with the transport behind it; two rows show it.
            if !row.imitates() {
                cells.push(Cell::FirstByte { route: Route::Socks });
            }
        }
        if groups.contains(&Group::Connections) {
            cells.push(Cell::Connections { in_flight: 32 });
        }
        if groups.contains(&Group::Bulk) {
            for &streams in streams {
                cells.extend(
                    [Direction::Up, Direction::Down].map(|direction| Cell::Bulk { direction, streams }),
                );
            }
            cells.push(Cell::Cipher);
        }
        cells
    }

    /// How long the rounds of a row may take together.
    #[must_use]
    pub fn budget(&self, row: Row) -> Duration {
        let usual = if row.imitates() { 12 } else { 25 };
        Duration::from_secs(u64::from(self.minutes.unwrap_or(usual)) * 60)
    }

    /// How long and how often.
    #[must_use]
    pub fn effort(&self) -> Effort {
        let (warm_up_share, first_bytes, ends) = if self.quick { (0.5, 100, 3) } else { (1.0 / 3.0, 300, 5) };
        Effort {
            warm_up: Duration::from_secs_f64(self.window * warm_up_share),
            window: Duration::from_secs_f64(self.window),
            first_bytes,
            ends,
        }
    }
}

const fn default_groups(row: Row) -> &'static [Group] {
    match row {
        Row::Shadowsocks | Row::WebSocket => {
            &[Group::Bulk, Group::FirstByte, Group::Connections, Group::Idle, Group::End]
        }
        Row::Reality | Row::Vision => &[Group::Bulk, Group::FirstByte, Group::Handshake, Group::Idle],
    }
}

const fn default_streams(row: Row) -> &'static [usize] {
    match row {
        Row::Shadowsocks | Row::WebSocket => &[1, 16, 128],
        Row::Reality | Row::Vision => &[1, 16],
    }
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use super::*;

    fn parse(args: &[&str]) -> anyhow::Result<Options> {
        Options::try_parse_from(std::iter::once(&"bench").chain(args))?.settled()
    }

    #[test]
    fn the_command_line_holds_together() {
        Options::command().debug_assert();
        let options = parse(&[]).unwrap();
        assert_eq!((options.rounds, options.rows.len(), options.subject.as_str()), (6, 4, "commucat"));
        assert_eq!(options.planned_cells(Row::Shadowsocks).len(), 1 + 1 + 2 + 1 + 6 + 1);
        let reality: Vec<_> = options.planned_cells(Row::Reality).iter().map(ToString::to_string).collect();
        let wanted = [
            "idle/1000",
            "handshake/300",
            "first-byte/forward",
            "up/1",
            "down/1",
            "up/16",
            "down/16",
            "cipher",
        ];
        assert_eq!(reality, wanted);
        let minutes = |args: &[&str], row| parse(args).unwrap().budget(row).as_secs() / 60;
        assert_eq!([minutes(&[], Row::WebSocket), minutes(&[], Row::Vision)], [25, 12]);
        assert_eq!(minutes(&["--minutes", "3"], Row::Vision), 3);
    }

    #[test]
    fn quick_is_short_but_whole() {
        let options = parse(&["--quick", "--rows", "ws", "--streams", "1"]).unwrap();
        assert_eq!(options.rounds, 2);
        assert_eq!(options.effort().window, Duration::from_secs(1));
        assert_eq!(options.planned_cells(Row::WebSocket).len(), 1 + 1 + 2 + 1 + 2 + 1);
    }

    #[test]
    fn nonsense_is_refused() {
        for args in [
            ["--rounds", "0"],
            ["--streams", "0"],
            ["--streams", "1000"],
            ["--rows", "quic"],
            ["--peers", "nobody"],
            ["--window", "0"],
        ] {
            assert!(parse(&args).is_err(), "{args:?}");
        }
    }

    #[test]
    fn the_relay_is_a_part() {
        let options = parse(&["relay", "127.0.0.1:1", "127.0.0.1:2"]).unwrap();
        assert!(matches!(options.part, Some(Part::Relay { .. })));
    }
}
