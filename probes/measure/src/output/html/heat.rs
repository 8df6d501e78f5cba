//! Which hello passes: fingerprints against names, and numbers of connections at once.

use std::collections::{BTreeMap, BTreeSet};

use commucat_verdict::observations::{Fingerprint, NameClass, Observations, Series, ServerKind};

use super::svg::Drawing;

const CELL: (f64, f64) = (112.0, 46.0);
const GAP: f64 = 6.0;
const LEFT: f64 = 150.0;
const TOP: f64 = 34.0;

/// Passed and made.
type Counts = (usize, usize);

/// The order of reading: what should pass first, what may be blocked last.
const LOOKS: [Fingerprint; 4] =
    [Fingerprint::ChromeCurrent, Fingerprint::Firefox, Fingerprint::CurlLike, Fingerprint::ChromeStale];
const NAMES: [NameClass; 5] =
    [NameClass::Innocent, NameClass::Random, NameClass::Empty, NameClass::EchOuter, NameClass::Blocked];

/// Fingerprint against name, one connection at a time.
pub(super) fn hellos(observations: &Observations) -> Option<String> {
    let mut cells = BTreeMap::<(usize, usize), (Counts, String, String)>::new();
    for series in hello_series(observations).filter(|series| series.condition.parallel == 1) {
        let condition = &series.condition;
        let (Some(fingerprint), Some(class)) = (condition.fingerprint, condition.name) else { continue };
        let key = (place(&LOOKS, &fingerprint), place(&NAMES, &class));
        let cell = cells.entry(key).or_insert_with(|| ((0, 0), look(fingerprint), name(class)));
        count(&mut cell.0, series);
    }
    draw("hellos", "Which hello passes", &cells)
}

/// Fingerprint and name against the number of connections at once.
pub(super) fn parallel(observations: &Observations) -> Option<String> {
    let mut cells = BTreeMap::<(usize, usize), (Counts, String, String)>::new();
    for series in hello_series(observations) {
        let condition = &series.condition;
        let (Some(fingerprint), Some(class)) = (condition.fingerprint, condition.name) else { continue };
        let row = place(&LOOKS, &fingerprint) * (NAMES.len() + 1) + place(&NAMES, &class);
        let words = format!("{}, {}", look(fingerprint), name(class));
        let cell = cells
            .entry((row, usize::from(condition.parallel)))
            .or_insert_with(|| ((0, 0), words, format!("{} at once", condition.parallel)));
        count(&mut cell.0, series);
    }
    // Only rows that were tried with several at once say something here.
    let many: BTreeSet<_> = cells.keys().filter(|(_, n)| *n > 1).map(|(row, _)| *row).collect();
    cells.retain(|(row, _), _| many.contains(row));
    draw("parallel", "How many connections at once pass", &cells)
}

/// Where something stands in the order of reading; what is not listed stands last.
fn place<T: PartialEq>(order: &[T], one: &T) -> usize {
    order.iter().position(|other| other == one).unwrap_or(order.len())
}

fn hello_series(observations: &Observations) -> impl Iterator<Item = &Series> {
    observations.series.iter().filter(|series| {
        series.condition.fingerprint.is_some()
            && matches!(series.condition.server, ServerKind::Foreign | ServerKind::ForeignOther)
    })
}

fn count((passed, made): &mut Counts, series: &Series) {
    *made += series.made();
    *passed += series.made().saturating_sub(series.failed());
}

fn draw(
    id: &'static str,
    title: &str,
    cells: &BTreeMap<(usize, usize), (Counts, String, String)>,
) -> Option<String> {
    if cells.len() < 2 {
        return None;
    }
    let rows: BTreeMap<_, _> = cells.iter().map(|((row, _), (_, words, _))| (row, words)).collect();
    let columns: BTreeMap<_, _> = cells.iter().map(|((_, column), (.., words))| (column, words)).collect();
    let left = LEFT.max(rows.values().map(|row| real(row.chars().count()) * 8.2).fold(0.0, f64::max));
    let x = |at: usize| (CELL.0 + GAP).mul_add(real(at), left + 12.0);
    let y = |at: usize| (CELL.1 + GAP).mul_add(real(at), TOP);
    let mut drawing = Drawing::new(id, x(columns.len()), y(rows.len()) + 4.0);
    for (at, column) in columns.values().enumerate() {
        drawing.text("tick mid", (x(at) + CELL.0 / 2.0, TOP - 12.0), column);
    }
    let mut failing = 0;
    for (row_at, (row, row_words)) in rows.iter().enumerate() {
        drawing.text("tick end", (left, y(row_at) + CELL.1 / 2.0 + 5.0), row_words);
        for (column_at, (column, column_words)) in columns.iter().enumerate() {
            let corner = (x(column_at), y(row_at));
            let counts = cells.get(&(**row, **column)).map(|(counts, ..)| *counts);
            let Some((passed, made)) = counts.filter(|(_, made)| *made > 0) else {
                drawing.cell("cell none", corner, CELL, "not tried");
                drawing.text("tick mid", (corner.0 + CELL.0 / 2.0, corner.1 + CELL.1 / 2.0 + 5.0), "–");
                continue;
            };
            failing += usize::from(passed * 2 < made);
            let hint = format!("{row_words}, {column_words}: {passed} of {made} passed");
            drawing.cell(shade(passed, made), corner, CELL, &hint);
            let middle = (corner.0 + CELL.0 / 2.0, corner.1 + CELL.1 / 2.0 + 5.0);
            drawing.text(&format!("{} mid", ink(passed, made)), middle, &format!("{passed} of {made}"));
        }
    }
    let words = format!(
        "{} kinds of hello were tried; {failing} of them fail more often than they pass.",
        cells.len()
    );
    Some(drawing.finish(title, &words))
}

/// Five steps from failing to passing; the figure stands in the cell, so colour is never alone.
const fn shade(passed: usize, made: usize) -> &'static str {
    match passed * 4 / if made == 0 { 1 } else { made } {
        0 if passed == 0 => "cell h0",
        0 | 1 => "cell h1",
        2 => "cell h2",
        3 => "cell h3",
        _ => "cell h4",
    }
}

const fn ink(passed: usize, made: usize) -> &'static str {
    if passed == 0 || passed == made { "figure strong" } else { "figure" }
}

fn look(fingerprint: Fingerprint) -> String {
    match fingerprint {
        Fingerprint::ChromeCurrent => "current Chrome".to_owned(),
        Fingerprint::ChromeStale => "old Chrome".to_owned(),
        Fingerprint::Firefox => "Firefox".to_owned(),
        Fingerprint::CurlLike => "a program".to_owned(),
        other => other.to_string(),
    }
}

fn name(class: NameClass) -> String {
    match class {
        NameClass::Innocent => "innocent name".to_owned(),
        NameClass::Blocked => "blocked name".to_owned(),
        NameClass::Empty => "no name".to_owned(),
        NameClass::Random => "random name".to_owned(),
        NameClass::EchOuter => "ECH name".to_owned(),
        other => other.to_string(),
    }
}

#[allow(clippy::cast_precision_loss, reason = "a handful of rows")]
const fn real(value: usize) -> f64 {
    value as f64
}
