//! What was sent in a simulation and what became of it, for comparing runs and for looking at failures.

use std::{fmt, net::SocketAddr, time::Duration};

use super::Fate;

/// Entries a trace keeps; later ones are only counted and hashed.
pub const TRACE_ENTRIES_MAX: usize = 65_536;

/// What kind of packet it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PacketKind {
    /// Opens a stream.
    Syn,
    /// Accepts a stream.
    SynAck,
    /// Completes the opening of a stream.
    Ack,
    /// Stream bytes.
    Segment,
    /// The end of one direction of a stream.
    Fin,
    /// Ends a stream at once, or refuses one.
    Reset,
    /// A datagram.
    Datagram,
}

/// One packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct TraceEntry {
    /// When it was sent, since the simulation began.
    pub at: Duration,
    /// Who sent it.
    pub from: SocketAddr,
    /// Whom it is for.
    pub to: SocketAddr,
    /// What it is.
    pub kind: PacketKind,
    /// Payload bytes.
    pub length: usize,
    /// What became of it.
    pub fate: Fate,
}

impl fmt::Display for TraceEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { at, from, to, kind, length, fate } = self;
        write!(f, "{at:?} {from} -> {to} {kind:?} {length} {fate:?}")
    }
}

/// The packets of a simulation. Two runs with one seed have equal traces.
#[derive(Clone, Debug, Default)]
pub struct Trace {
    entries: Vec<TraceEntry>,
    total: u64,
    hasher: blake3::Hasher,
}

impl Trace {
    /// The first [`TRACE_ENTRIES_MAX`] packets.
    pub fn entries(&self) -> &[TraceEntry] {
        &self.entries
    }

    /// How many packets there were.
    pub const fn total(&self) -> u64 {
        self.total
    }

    /// A digest over all packets, kept or not.
    pub fn digest(&self) -> [u8; 32] {
        *self.hasher.finalize().as_bytes()
    }

    pub(super) fn push(&mut self, entry: TraceEntry) {
        self.total += 1;
        self.hasher.update(entry.to_string().as_bytes());
        if self.entries.len() < TRACE_ENTRIES_MAX {
            self.entries.push(entry);
        }
    }
}

impl PartialEq for Trace {
    fn eq(&self, other: &Self) -> bool {
        self.digest() == other.digest()
    }
}

impl Eq for Trace {}
