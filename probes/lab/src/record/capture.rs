//! Captures of both sides as pcap files: classic format, nanoseconds, raw IP.

use std::{
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde::Serialize;

use super::file::RecordFile;
use crate::{LabError, wire::Port};

/// Marks classic pcap with nanoseconds, in the byte order of the writer (draft-ietf-opsawg-pcap §4).
const MAGIC_NANOSECONDS: u32 = 0xa1b2_3c4d;
const VERSION: (u16, u16) = (2, 4);
/// Longest packet kept, in bytes. The lab's are never longer than its MTU.
const SNAP_BYTES: u32 = 65_535;
/// Packets begin with their IP header (LINKTYPE_RAW).
const LINK_TYPE_RAW: u32 = 101;

/// What became of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct CaptureSummary {
    /// The file.
    pub path: PathBuf,
    /// Its size in bytes.
    pub bytes: u64,
    /// Records that are not in it, because it ended before the lab did.
    pub missed: u64,
    /// Why it ended before the lab did.
    pub ended: Option<String>,
}

impl CaptureSummary {
    pub(super) fn of(file: &RecordFile) -> Self {
        Self {
            path: file.path().to_owned(),
            bytes: file.written(),
            missed: file.missed(),
            ended: file.ended().map(ToString::to_string),
        }
    }
}

/// The captures of both sides.
#[derive(Debug)]
pub(crate) struct Capture {
    client: RecordFile,
    world: RecordFile,
    /// The time of the day at which the packet loop's time began.
    began: Duration,
}

impl Capture {
    pub(crate) fn create(folder: &Path, limit: u64) -> Result<Self, LabError> {
        let began = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let mut capture = Self {
            client: RecordFile::create(folder, "client.pcap", limit)?,
            world: RecordFile::create(folder, "world.pcap", limit)?,
            began,
        };
        for file in [&mut capture.client, &mut capture.world] {
            file.append(&file_header(), &[]);
            file.flush();
        }
        Ok(capture)
    }

    /// Keeps a packet that passed a device. The prober's are seen on the world's side, where they arrive.
    pub(crate) fn packet(&mut self, now: Duration, port: Port, packet: &[u8]) {
        let file = match port {
            Port::Client => &mut self.client,
            Port::World => &mut self.world,
            Port::Prober => return,
        };
        file.append(&record_header(self.began + now, packet.len()), packet);
    }

    pub(crate) fn flush(&mut self) {
        self.client.flush();
        self.world.flush();
    }

    pub(crate) fn summaries(&self) -> [CaptureSummary; 2] {
        [CaptureSummary::of(&self.client), CaptureSummary::of(&self.world)]
    }
}

fn file_header() -> [u8; 24] {
    let mut header = [0; 24];
    let parts: [&[u8]; 6] = [
        &MAGIC_NANOSECONDS.to_ne_bytes(),
        &VERSION.0.to_ne_bytes(),
        &VERSION.1.to_ne_bytes(),
        // Time zone and accuracy: always zero.
        &[0; 8],
        &SNAP_BYTES.to_ne_bytes(),
        &LINK_TYPE_RAW.to_ne_bytes(),
    ];
    fill(&mut header, &parts);
    header
}

fn record_header(at: Duration, length: usize) -> [u8; 16] {
    let mut header = [0; 16];
    // Classic pcap counts seconds in 32 bits without sign, which lasts until 2106.
    let seconds = u32::try_from(at.as_secs()).unwrap_or(u32::MAX);
    let length = u32::try_from(length).unwrap_or(u32::MAX);
    let parts: [&[u8]; 4] = [
        &seconds.to_ne_bytes(),
        &at.subsec_nanos().to_ne_bytes(),
        &length.to_ne_bytes(),
        &length.to_ne_bytes(),
    ];
    fill(&mut header, &parts);
    header
}

fn fill(into: &mut [u8], parts: &[&[u8]]) {
    let bytes = parts.iter().flat_map(|part| part.iter());
    for (place, byte) in into.iter_mut().zip(bytes) {
        *place = *byte;
    }
}
