//! What the runs of a matrix came to, as data, and the ways to read it: terminal, JSON, Markdown, one HTML page.

mod html;
mod markdown;
mod page;
mod terminal;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use self::terminal::TerminalStyle;

/// The version of this form; it changes when a field is taken away or means something else.
pub const REPORT_FORMAT: u32 = 1;

/// How one run ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "result")]
#[non_exhaustive]
pub enum RunResult {
    /// Everything arrived, and the censor did nothing that touches a packet.
    Passed,
    /// It did not pass.
    Failed {
        /// Why, in one sentence, with the policy and its numbers.
        reason: String,
        /// Equal for failures of one kind, whatever their numbers.
        kind: String,
    },
    /// The run could not be made: this says nothing about the transport.
    Broken {
        /// What went wrong.
        reason: String,
    },
}

/// One run: one transport in one profile, once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RunReport {
    /// The transport.
    pub transport: String,
    /// The profile.
    pub profile: String,
    /// The seed of everything random in the lab.
    pub seed: u64,
    /// How it ended.
    #[serde(flatten)]
    pub result: RunResult,
    /// From the start to the first byte through the bridge and back, in milliseconds.
    pub bootstrap_ms: Option<u64>,
    /// Rate from the bridge, in kbit/s.
    pub down_kbps: Option<u64>,
    /// Rate to the bridge, in kbit/s.
    pub up_kbps: Option<u64>,
    /// How often each policy did something, as `policy action`.
    pub events: BTreeMap<String, u64>,
    /// What the active prober found each time it was called.
    #[serde(default)]
    pub probed: Vec<String>,
    /// How long the run took, in milliseconds.
    pub took_ms: u64,
}

impl RunReport {
    /// Whether it passed.
    pub const fn passed(&self) -> bool {
        matches!(self.result, RunResult::Passed)
    }
}

/// A profile as the report names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProfileNote {
    /// Its name.
    pub name: String,
    /// What it stands for.
    pub about: String,
    /// Its chain of policies, as text.
    pub chain: String,
}

/// A reason, and how many runs it stands for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// The sentence of the first of these runs.
    pub text: String,
    /// How many runs failed so.
    pub runs: usize,
}

/// One cell of the matrix.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Cell {
    /// The transport.
    pub transport: String,
    /// The profile.
    pub profile: String,
    /// Runs that passed.
    pub passed: usize,
    /// Runs that were made; broken ones are not counted.
    pub runs: usize,
    /// Runs that could not be made.
    pub broken: usize,
    /// Why runs failed, the commonest first.
    pub reasons: Vec<Reason>,
    /// Median time to the first byte, over runs that came so far, in milliseconds.
    pub bootstrap_ms: Option<u64>,
    /// Median rate from the bridge, over runs that came so far, in kbit/s.
    pub down_kbps: Option<u64>,
    /// Median rate to the bridge, over runs that came so far, in kbit/s.
    pub up_kbps: Option<u64>,
}

/// How a cell stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Standing {
    /// Every run passed.
    Passes,
    /// Some did.
    Sometimes,
    /// None did.
    Fails,
    /// No run could be made.
    Unknown,
}

impl Cell {
    /// How it stands.
    pub const fn standing(&self) -> Standing {
        match (self.passed, self.runs) {
            (_, 0) => Standing::Unknown,
            (0, _) => Standing::Fails,
            (passed, runs) if passed == runs => Standing::Passes,
            _ => Standing::Sometimes,
        }
    }
}

impl Standing {
    /// A sign that does without colour.
    pub const fn sign(self) -> &'static str {
        match self {
            Self::Passes => "✓",
            Self::Sometimes => "~",
            Self::Fails => "✗",
            Self::Unknown => "?",
        }
    }
}

/// The whole matrix.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct MatrixReport {
    /// [`REPORT_FORMAT`].
    pub format: u32,
    /// The program that made it, with its version.
    pub program: String,
    /// When, as `YYYY-MM-DD hh:mm:ss` UTC; empty when nobody said.
    pub made: String,
    /// The first seed.
    pub seed: u64,
    /// How much faster time ran for the policies.
    pub time_scale: f64,
    /// What a run had to do to pass, in one sentence.
    pub pass: String,
    /// The profiles, in the order of the rows.
    pub profiles: Vec<ProfileNote>,
    /// The transports, in the order of the columns.
    pub transports: Vec<String>,
    /// The cells, row by row.
    pub cells: Vec<Cell>,
    /// Every run.
    pub runs: Vec<RunReport>,
}

impl MatrixReport {
    /// A matrix of these runs. A cell without a run is there too, as unknown.
    pub fn new(profiles: Vec<ProfileNote>, transports: Vec<String>, runs: Vec<RunReport>) -> Self {
        let cell = |profile: &ProfileNote, transport: &String| {
            let of_cell = |run: &&RunReport| run.profile == profile.name && run.transport == *transport;
            make_cell(transport, &profile.name, &runs.iter().filter(of_cell).collect::<Vec<_>>())
        };
        let cells = profiles
            .iter()
            .flat_map(|profile| transports.iter().map(move |name| cell(profile, name)))
            .collect();
        Self {
            format: REPORT_FORMAT,
            program: concat!("commucat ", env!("CARGO_PKG_VERSION")).to_owned(),
            made: String::new(),
            seed: 0,
            time_scale: 1.0,
            pass: String::new(),
            profiles,
            transports,
            cells,
            runs,
        }
    }

    /// One cell.
    pub fn cell(&self, profile: &str, transport: &str) -> Option<&Cell> {
        self.cells.iter().find(|cell| cell.profile == profile && cell.transport == transport)
    }

    /// As a table for a terminal.
    pub fn to_terminal(&self, style: TerminalStyle) -> String {
        terminal::render(self, style)
    }

    /// As JSON, with every run.
    ///
    /// # Errors
    /// Never with what this crate makes; a number that JSON cannot say.
    pub fn to_json(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string_pretty(self)
    }

    /// As Markdown, for the documentation.
    pub fn to_markdown(&self) -> String {
        markdown::render(self)
    }

    /// As one HTML page that needs nothing else.
    pub fn to_html(&self) -> String {
        html::render(self)
    }

    /// Cells that do not pass, in order.
    fn failing(&self) -> impl Iterator<Item = &Cell> {
        self.cells.iter().filter(|cell| cell.standing() != Standing::Passes)
    }
}

fn make_cell(transport: &str, profile: &str, runs: &[&RunReport]) -> Cell {
    let made: Vec<_> =
        runs.iter().copied().filter(|run| !matches!(run.result, RunResult::Broken { .. })).collect();
    let middle =
        |value: fn(&RunReport) -> Option<u64>| median(made.iter().filter_map(|run| value(run)).collect());
    Cell {
        transport: transport.to_owned(),
        profile: profile.to_owned(),
        passed: made.iter().filter(|run| run.passed()).count(),
        runs: made.len(),
        broken: runs.len() - made.len(),
        reasons: reasons(runs),
        bootstrap_ms: middle(|run| run.bootstrap_ms),
        down_kbps: middle(|run| run.down_kbps),
        up_kbps: middle(|run| run.up_kbps),
    }
}

/// The reasons, those of one kind together, the commonest first.
fn reasons(runs: &[&RunReport]) -> Vec<Reason> {
    let mut kinds: Vec<(&str, Reason)> = Vec::new();
    for run in runs {
        let (text, kind) = match &run.result {
            RunResult::Passed => continue,
            RunResult::Failed { reason, kind } => (reason.clone(), kind.as_str()),
            RunResult::Broken { reason } => (format!("The run could not be made: {reason}"), reason.as_str()),
        };
        match kinds.iter_mut().find(|(known, _)| *known == kind) {
            Some((_, reason)) => reason.runs += 1,
            None => kinds.push((kind, Reason { text, runs: 1 })),
        }
    }
    kinds.sort_by_key(|(_, reason)| std::cmp::Reverse(reason.runs));
    kinds.into_iter().map(|(_, reason)| reason).collect()
}

/// The middle value; of two middle ones, the lower.
pub(crate) fn median(mut values: Vec<u64>) -> Option<u64> {
    values.sort_unstable();
    values.get(values.len().checked_sub(1)? / 2).copied()
}

/// A rate as people say it: `820 kbit/s`, `14.2 Mbit/s`.
fn rate(kbps: u64) -> String {
    match kbps {
        0..1_000 => format!("{kbps} kbit/s"),
        1_000..100_000 => format!("{}.{} Mbit/s", kbps / 1_000, kbps % 1_000 / 100),
        _ => format!("{} Mbit/s", kbps / 1_000),
    }
}

/// A time as people say it: `85 ms`, `1.3 s`.
pub(crate) fn time(ms: u64) -> String {
    match ms {
        0..1_000 => format!("{ms} ms"),
        _ => format!("{}.{} s", ms / 1_000, ms % 1_000 / 100),
    }
}
