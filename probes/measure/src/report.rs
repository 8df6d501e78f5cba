//! A report out of files: `commucat probe report *.jsonl -o out.html`. Private by default.

use std::{collections::BTreeSet, path::PathBuf};

use commucat_verdict::observations::Observations;

use crate::{
    Run,
    output::{Page, RUNS_MAX, ReadError, Skipped, html, read_file},
    redact::Redactor,
};

/// Most files of one report.
pub const FILES_MAX: usize = 1_000;

/// Runs of one or more files, in the order of time.
#[derive(Debug)]
pub struct Report {
    runs: Vec<Run>,
    skipped: Vec<(PathBuf, Skipped)>,
    redacted: bool,
}

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReportError {
    /// A file cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// There are too many files.
    #[error("at most {FILES_MAX} files in one report")]
    TooManyFiles,
    /// There are too many runs.
    #[error("more than {RUNS_MAX} runs: make a report of fewer files")]
    TooManyRuns,
}

impl Report {
    /// Reads files. With a redactor, everything private is replaced before anything else sees it; without one the
    /// report is for its owner only. Of runs that stand in several files one is kept.
    ///
    /// # Errors
    /// A file cannot be read or holds no run, or there is too much.
    pub fn read(files: &[PathBuf], redactor: Option<&Redactor>) -> Result<Self, ReportError> {
        if files.len() > FILES_MAX {
            return Err(ReportError::TooManyFiles);
        }
        let mut report = Self { runs: Vec::new(), skipped: Vec::new(), redacted: redactor.is_some() };
        let mut known = BTreeSet::new();
        for file in files {
            let read = read_file(file)?;
            report.skipped.extend(read.skipped.into_iter().map(|skipped| (file.clone(), skipped)));
            for run in read.runs {
                if !known.insert((run.started_unix_ms, run.seed)) {
                    continue;
                }
                if report.runs.len() >= RUNS_MAX {
                    return Err(ReportError::TooManyRuns);
                }
                report.runs.push(redactor.map_or_else(|| run.clone(), |redactor| redactor.run(&run)));
            }
            report.forget_details();
        }
        report.runs.sort_by_key(|run| run.started_unix_ms);
        Ok(report)
    }

    /// Only the newest run is shown in full. Of the others the findings are enough, and a month of runs fits in memory.
    fn forget_details(&mut self) {
        let newest = self.runs.iter().map(|run| run.started_unix_ms).max();
        for run in self.runs.iter_mut().filter(|run| Some(run.started_unix_ms) != newest) {
            run.observations = Observations::default();
        }
    }

    /// The runs, in the order of time. Of all but the newest only the findings were kept.
    pub fn runs(&self) -> &[Run] {
        &self.runs
    }

    /// Lines that were no runs, with their files.
    pub fn skipped(&self) -> &[(PathBuf, Skipped)] {
        &self.skipped
    }

    /// The page.
    pub fn html(&self) -> String {
        html(&Page::of(&self.runs).redacted(self.redacted))
    }
}
