//! What was found when: one column a run, one row a verdict.

use std::collections::BTreeMap;

use commucat_verdict::ids;

use super::svg::Drawing;
use crate::{
    Run, explain,
    output::{Overall, Summary, Utc},
};

const WIDTH: f64 = 920.0;
const LEFT: f64 = 250.0;
const TOP: f64 = 8.0;
const ROW: f64 = 26.0;
const BAR: f64 = 18.0;
/// Most columns; with more runs, neighbours share one.
const COLUMNS_MAX: usize = 96;
/// Most rows: the verdicts seen most often.
const ROWS_MAX: usize = 24;
/// Least distance between two times below the picture.
const TICK_APART: f64 = 76.0;

/// Runs that share a column.
struct Column<'a> {
    runs: Vec<&'a Run>,
}

/// The chart, when there are two runs or more. `runs` are in the order of time.
pub(super) fn chart(runs: &[Run]) -> Option<String> {
    if runs.len() < 2 {
        return None;
    }
    let share = runs.len().div_ceil(COLUMNS_MAX);
    let columns: Vec<_> = runs.chunks(share).map(|runs| Column { runs: runs.iter().collect() }).collect();
    let rows = verdicts(runs);
    let step = (WIDTH - LEFT) / real(columns.len());
    let height = ROW.mul_add(real(rows.len() + 1), TOP + 34.0);
    let mut drawing = Drawing::new("timeline", WIDTH, height);
    drawing.text("tick end strong", (LEFT - 12.0, TOP + 14.0), "as a whole");
    for (at, id) in rows.iter().enumerate() {
        let y = ROW.mul_add(real(at + 1), TOP);
        drawing.text("tick end", (LEFT - 12.0, y + 14.0), explain::title(id));
        drawing.line("grid", (LEFT, y + BAR / 2.0), (WIDTH, y + BAR / 2.0));
    }
    for (at, column) in columns.iter().enumerate() {
        let x = step.mul_add(real(at), LEFT);
        draw_column(&mut drawing, column, &rows, x, step);
    }
    times(&mut drawing, &columns, step, height);
    let words = format!("{} runs; {} different findings over time.", runs.len(), rows.len());
    Some(drawing.finish("What was found when", &words))
}

fn draw_column(drawing: &mut Drawing, column: &Column<'_>, rows: &[String], x: f64, step: f64) {
    let size = ((step - 2.0).clamp(2.0, 34.0), BAR);
    let when = column.runs.first().map(|run| Utc::from_unix_ms(run.started_unix_ms).to_string());
    let when = when.unwrap_or_default();
    let overall = column.worst();
    drawing.cell(
        &format!("cell {}", class(overall)),
        (x, TOP),
        size,
        &format!("{when}: {}", overall.title()),
    );
    for (at, id) in rows.iter().enumerate() {
        let found = column.count(id);
        if found > 0 {
            let y = ROW.mul_add(real(at + 1), TOP);
            let hint = format!("{when}: {id} in {found} of {} runs", column.runs.len());
            let class = if id == ids::INCONCLUSIVE { "cell unclear" } else { "cell bad" };
            drawing.cell(class, (x, y), size, &hint);
        }
    }
}

fn times(drawing: &mut Drawing, columns: &[Column<'_>], step: f64, height: f64) {
    let mut free = LEFT;
    let mut day = String::new();
    for (at, column) in columns.iter().enumerate() {
        let x = step.mul_add(real(at), LEFT);
        let Some(run) = column.runs.first().filter(|_| x >= free) else { continue };
        let utc = Utc::from_unix_ms(run.started_unix_ms);
        drawing.text("tick", (x, height - 18.0), &utc.clock());
        if utc.date() != day {
            day = utc.date();
            drawing.text("tick", (x, height - 4.0), &day);
        }
        free = x + TICK_APART;
    }
}

/// The verdicts that were found, those seen most often first.
fn verdicts(runs: &[Run]) -> Vec<String> {
    let mut counts = BTreeMap::<&str, usize>::new();
    for run in runs {
        let mut own: Vec<&str> = run.findings.iter().map(|finding| &*finding.verdict_id).collect();
        own.sort_unstable();
        own.dedup();
        for id in own.into_iter().filter(|id| *id != ids::OK) {
            *counts.entry(id).or_default() += 1;
        }
    }
    let mut rows: Vec<_> = counts.into_iter().collect();
    rows.sort_by_key(|(id, count)| (*id == ids::INCONCLUSIVE, std::cmp::Reverse(*count), *id));
    rows.into_iter().take(ROWS_MAX).map(|(id, _)| id.to_owned()).collect()
}

impl Column<'_> {
    fn count(&self, id: &str) -> usize {
        self.runs.iter().filter(|run| run.findings.iter().any(|finding| finding.verdict_id == id)).count()
    }

    fn worst(&self) -> Overall {
        let all: Vec<_> = self.runs.iter().map(|run| Summary::of(run).overall).collect();
        [Overall::NoNetwork, Overall::Interference, Overall::Unclear]
            .into_iter()
            .find(|overall| all.contains(overall))
            .unwrap_or(Overall::Clear)
    }
}

const fn class(overall: Overall) -> &'static str {
    match overall {
        Overall::Clear => "good",
        Overall::Interference => "bad",
        Overall::Unclear => "unclear",
        Overall::NoNetwork => "down",
    }
}

#[allow(clippy::cast_precision_loss, reason = "at most some thousand columns")]
const fn real(value: usize) -> f64 {
    value as f64
}
