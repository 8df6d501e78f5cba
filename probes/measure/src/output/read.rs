//! Reads runs back from JSON Lines. Tolerant of what a later version adds, strict about size.

use std::{
    collections::HashMap,
    fs::File,
    io::{self, BufRead, BufReader, Read as _},
    path::{Path, PathBuf},
};

use commucat_verdict::observations::Observations;
use serde::Deserialize;

use super::ooni::{DATA_FORMAT_VERSION, Ours, TEST_NAME_PREFIX};
use crate::{RUN_FORMAT, Run, Vantage};

/// Longest line, in bytes. A quick run has under 1 MiB in its longest row.
pub const LINE_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Most lines of one file.
pub const LINES_MAX: usize = 1_000_000;
/// Most runs of one file.
pub const RUNS_MAX: usize = 20_000;
/// Most bytes of one file.
pub const FILE_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// Most skipped lines that are named.
const SKIPPED_NAMED_MAX: usize = 32;

/// What a file held.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Read {
    /// Runs, in the order of their first row.
    pub runs: Vec<Run>,
    /// Lines that were no row of ours; the first 32 by number and reason.
    pub skipped: Vec<Skipped>,
    /// How many lines were skipped.
    pub skipped_count: usize,
}

/// A line that was skipped.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Skipped {
    /// Its number, from 1.
    pub line: usize,
    /// Why.
    pub why: String,
}

/// Why a file cannot be read at all.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The system refused.
    #[error("cannot read {}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A line is longer than any row of ours.
    #[error("line {line} is longer than {LINE_BYTES_MAX} bytes: this is no file of the probe's")]
    LineTooLong {
        /// Its number, from 1.
        line: usize,
    },
    /// There is more than one report can show.
    #[error("more than {what}: split the file")]
    TooMuch {
        /// Of what.
        what: &'static str,
    },
    /// There are no runs in it.
    #[error("no run of the probe in {}: it is written by `commucat probe … --json`", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
}

/// Reads a file.
///
/// # Errors
/// It cannot be read, is too large, or holds no run.
pub fn read_file(path: &Path) -> Result<Read, ReadError> {
    let failed = |source| ReadError::Io { path: path.to_owned(), source };
    let file = File::open(path).map_err(failed)?;
    let mut reader = Reader::default();
    let read = reader.all(BufReader::new(file), path);
    let read = read.map(|()| reader.into_read())?;
    if read.runs.is_empty() { Err(ReadError::Empty { path: path.to_owned() }) } else { Ok(read) }
}

/// Reads text that is in memory.
///
/// # Errors
/// It is too large.
pub fn read_bytes(bytes: &[u8]) -> Result<Read, ReadError> {
    let mut reader = Reader::default();
    reader.all(bytes, Path::new("(memory)"))?;
    Ok(reader.into_read())
}

/// A row, as far as a reader needs it.
#[derive(Deserialize)]
struct Row {
    data_format_version: String,
    test_name: String,
    #[serde(default)]
    software_version: String,
    #[serde(default)]
    probe_asn: Option<String>,
    #[serde(default)]
    probe_cc: Option<String>,
    #[serde(default)]
    annotations: Annotations,
    test_keys: TestKeys,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Annotations {
    architecture: Option<String>,
    network_type: Option<String>,
    platform: Option<String>,
}

#[derive(Deserialize)]
struct TestKeys {
    x_commucat: Ours,
}

#[derive(Default)]
struct Reader {
    read: Read,
    by_id: HashMap<String, usize>,
    /// For each run the places of its findings, as far as its rows say them.
    places: Vec<Vec<usize>>,
}

impl Reader {
    fn all(&mut self, input: impl BufRead, path: &Path) -> Result<(), ReadError> {
        let failed = |source| ReadError::Io { path: path.to_owned(), source };
        let mut input = input.take(FILE_BYTES_MAX + 1);
        let mut line = Vec::new();
        for number in 1.. {
            line.clear();
            let longest = LINE_BYTES_MAX as u64 + 1;
            let length = input.by_ref().take(longest).read_until(b'\n', &mut line).map_err(failed)?;
            if length == 0 {
                break;
            }
            if length > LINE_BYTES_MAX {
                return Err(ReadError::LineTooLong { line: number });
            }
            if number > LINES_MAX {
                return Err(ReadError::TooMuch { what: "1,000,000 lines" });
            }
            if input.limit() == 0 {
                return Err(ReadError::TooMuch { what: "256 MiB" });
            }
            self.line(number, line.trim_ascii())?;
        }
        Ok(())
    }

    fn line(&mut self, number: usize, line: &[u8]) -> Result<(), ReadError> {
        if line.is_empty() {
            return Ok(());
        }
        match parse(line) {
            Ok(row) => self.row(row),
            Err(why) => {
                self.read.skipped_count += 1;
                if self.read.skipped.len() < SKIPPED_NAMED_MAX {
                    self.read.skipped.push(Skipped { line: number, why });
                }
                Ok(())
            }
        }
    }

    fn row(&mut self, row: Row) -> Result<(), ReadError> {
        let ours = row.test_keys.x_commucat;
        let at = match self.by_id.get(&ours.run.id) {
            Some(at) => *at,
            None => {
                if self.read.runs.len() >= RUNS_MAX {
                    return Err(ReadError::TooMuch { what: "20,000 runs" });
                }
                let at = self.read.runs.len();
                self.by_id.insert(ours.run.id.clone(), at);
                self.places.push(Vec::new());
                self.read.runs.push(Run {
                    format: ours.run.format,
                    software_version: row.software_version,
                    command: ours.run.command,
                    started_unix_ms: ours.run.started_unix_ms,
                    took_ms: ours.run.took_ms,
                    seed: ours.run.seed,
                    vantage: vantage(row.probe_asn, row.probe_cc, row.annotations, ours.run.lab),
                    subtests: Vec::new(),
                    observations: Observations::default(),
                    findings: Vec::new(),
                });
                at
            }
        };
        let (Some(run), Some(places)) = (self.read.runs.get_mut(at), self.places.get_mut(at)) else {
            return Ok(());
        };
        places.extend(ours.finding_places);
        run.subtests.extend(ours.report);
        run.findings.extend(ours.findings);
        run.observations.absorb(ours.observations);
        Ok(())
    }

    /// Findings go back to their places: rows stand in the order of subtests.
    fn into_read(mut self) -> Read {
        for (run, places) in self.read.runs.iter_mut().zip(self.places) {
            if places.len() == run.findings.len() {
                let mut placed: Vec<_> = places.into_iter().zip(std::mem::take(&mut run.findings)).collect();
                placed.sort_by_key(|(place, _)| *place);
                run.findings = placed.into_iter().map(|(_, finding)| finding).collect();
            }
        }
        self.read
    }
}

/// A row of ours, or why it is none.
fn parse(line: &[u8]) -> Result<Row, String> {
    let row: Row = serde_json::from_slice(line).map_err(|error| format!("no row of the probe: {error}"))?;
    if row.data_format_version != DATA_FORMAT_VERSION {
        return Err(format!("data format {:.32}, not {DATA_FORMAT_VERSION}", row.data_format_version));
    }
    if !row.test_name.starts_with(TEST_NAME_PREFIX) {
        return Err("a row of another program".to_owned());
    }
    let format = row.test_keys.x_commucat.run.format;
    if format > RUN_FORMAT {
        return Err(format!("written by a newer version (format {format}): update this program"));
    }
    Ok(row)
}

fn vantage(asn: Option<String>, country: Option<String>, annotations: Annotations, lab: bool) -> Vantage {
    let default = Vantage::default();
    let architecture = annotations.architecture.map(|name| match name.as_str() {
        "amd64" => "x86_64".to_owned(),
        "386" => "x86".to_owned(),
        "arm64" => "aarch64".to_owned(),
        _ => name,
    });
    Vantage {
        asn: asn.unwrap_or(default.asn),
        country: country.unwrap_or(default.country),
        network_type: annotations.network_type.unwrap_or(default.network_type),
        platform: annotations.platform.unwrap_or(default.platform),
        architecture: architecture.unwrap_or(default.architecture),
        lab,
    }
}
