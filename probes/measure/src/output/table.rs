//! The table at the terminal: a row a subtest that fills while the run goes on, then what works from here.
//!
//! This is the model and its text; who owns the terminal draws it again at each [`Table::apply`].

mod render;

use commucat_verdict::observations::Subtest;

pub use self::render::{Look, WIDTH_MIN};
use super::{
    summary::{Line, Overall, Row, State, Summary, row},
    works::Works,
};
use crate::{Event, Run};

/// The table.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Table {
    rows: Vec<Row>,
    works: Vec<Works>,
    overall: Option<Overall>,
    trials: usize,
    failed: usize,
}

impl Table {
    /// The table of a run that ended.
    pub fn of(run: &Run) -> Self {
        let summary = Summary::of(run);
        Self { rows: summary.rows, works: summary.works, overall: Some(summary.overall), ..Self::default() }
    }

    /// Takes up what happened.
    pub fn apply(&mut self, event: &Event<'_>) {
        match event {
            Event::Planned(subtests) => {
                self.rows = subtests.iter().map(|subtest| waiting(*subtest)).collect();
            }
            Event::Started(subtest) => {
                (self.trials, self.failed) = (0, 0);
                self.set(Row {
                    state: State::Running,
                    lines: vec![activity(String::new())],
                    ..waiting(*subtest)
                });
            }
            Event::Trial { condition, trial } => {
                self.trials += 1;
                self.failed += usize::from(trial.failure.is_some());
                let text =
                    format!("{} of {} trials passed; {condition}", self.trials - self.failed, self.trials);
                self.doing(condition.subtest, text);
            }
            Event::Lookup(lookup) => {
                self.doing(
                    Subtest::Dns,
                    format!("{} answers to a question of a name {}", lookup.answers.len(), lookup.class),
                );
            }
            Event::Transfer(transfer) => {
                let stalled = if transfer.stalled { ", then stood still" } else { "" };
                self.doing(transfer.condition.subtest, format!("{} bytes moved{stalled}", transfer.moved));
            }
            Event::Ended { report, findings } => self.set(row(report, findings)),
        }
    }

    /// Takes the final word of a run, whose findings may differ from those at the end of each subtest.
    pub fn finish(&mut self, run: &Run) {
        *self = Self::of(run);
    }

    /// The rows as they are now.
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    fn doing(&mut self, subtest: Subtest, text: String) {
        if let Some(row) =
            self.rows.iter_mut().find(|row| row.subtest == subtest && row.state == State::Running)
        {
            row.lines = vec![activity(text)];
        }
    }

    fn set(&mut self, new: Row) {
        match self.rows.iter_mut().find(|row| row.subtest == new.subtest) {
            Some(row) => *row = new,
            None => self.rows.push(new),
        }
    }
}

const fn activity(text: String) -> Line {
    Line { verdict: None, confidence: None, text }
}

fn waiting(subtest: Subtest) -> Row {
    Row { subtest, state: State::Waiting, lines: Vec::new(), took_ms: 0 }
}
