//! A run as JUnit XML: a test case a subtest, so that a build server shows it.

use std::time::Duration;

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use super::summary::{Row, State, Summary};
use crate::{Run, explain};

/// Why a run cannot be written as JUnit XML.
#[derive(Debug, thiserror::Error)]
#[error("the run could not be written as JUnit XML")]
pub struct JunitError(#[source] quick_junit::SerializeError);

/// The run as JUnit XML. A subtest that found something is a failure, one that broke is an error.
///
/// # Errors
/// The XML writer refused; it does not with text of ours.
pub fn junit(run: &Run) -> Result<String, JunitError> {
    let summary = Summary::of(run);
    let mut suite = TestSuite::new(format!("commucat probe {}", run.command));
    suite.set_time(run.took());
    for row in &summary.rows {
        suite.add_test_case(case(row));
    }
    let mut report = Report::new("commucat probe");
    report.set_time(run.took());
    report.add_test_suite(suite);
    report.to_string().map_err(JunitError)
}

fn case(row: &Row) -> TestCase {
    let text = row.lines.iter().map(|line| match &line.verdict {
        Some(id) => format!("{id}: {}: {}", explain::title(id), line.text),
        None => line.text.clone(),
    });
    let text = text.collect::<Vec<_>>().join("\n");
    let kind = row.lines.iter().find_map(|line| line.verdict.clone()).unwrap_or_default();
    let mut status = match row.state {
        State::Ok => TestCaseStatus::success(),
        State::Found => TestCaseStatus::non_success(NonSuccessKind::Failure),
        State::Failed => TestCaseStatus::non_success(NonSuccessKind::Error),
        State::Unclear | State::Skipped | State::Waiting | State::Running => TestCaseStatus::skipped(),
    };
    if row.state != State::Ok {
        status.set_message(text.clone());
        status.set_type(if kind.is_empty() { row.state.word().to_owned() } else { kind });
    }
    let mut case = TestCase::new(row.subtest.as_str(), status);
    case.set_classname("commucat.probe").set_time(Duration::from_millis(row.took_ms));
    case.set_system_out(text);
    case
}
