//! The report: progress while it runs, tables at the end, the record as JSON, and the tables of the guide.

pub mod json;
pub mod markdown;
pub mod table;

use std::io::{self, IsTerminal, Write};

use crate::{
    cells::{Cell, Row},
    goals::{self, Verdict},
    sample::{Reading, Record, Sample},
    stats::Spread,
    summary::{Kind, RowSummary},
};

/// Writes a line for the person who waits.
pub fn say(line: &str) {
    // Nobody is there to be told that nobody is there.
    writeln!(io::stderr(), "bench: {line}").ok();
}

/// Says what the visits of a cell gave, one short figure for each product.
pub fn progress(cell: Cell, samples: &[Sample]) {
    let mut ids: Vec<&str> = Vec::new();
    for sample in samples {
        if !ids.contains(&sample.product.as_str()) {
            ids.push(&sample.product);
        }
    }
    ids.sort_unstable();
    let figures = ids.iter().map(|id| {
        let readings: Vec<_> = samples.iter().filter(|s| s.product == **id).map(|s| &s.reading).collect();
        format!("{id} {}", short(cell, &readings))
    });
    let figures = figures.collect::<Vec<_>>().join(", ");
    let foreign = Spread::of(samples.iter().filter_map(|sample| sample.foreign_cores));
    let foreign = foreign.map(|cores| format!("; others up to {:.1} cores", cores.max)).unwrap_or_default();
    say(&format!("  {cell}: {figures}{foreign}"));
}

/// Prints the tables and how the promises stand.
///
/// # Errors
/// When standard output is gone.
pub fn print(record: &Record) -> io::Result<()> {
    let mut out = io::stdout().lock();
    let colour = out.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    write!(out, "\n{}", render(record, colour))?;
    out.flush()
}

/// The whole report as text.
#[must_use]
pub fn render(record: &Record, colour: bool) -> String {
    let mut text = String::new();
    for summary in Row::ALL.into_iter().filter_map(|row| RowSummary::of(record, row)) {
        text += &format!("{}\n\n", summary.row.title());
        text += &table::of(&summary).to_terminal(colour);
        text += "\n";
        for ((product, cell), (count, reason)) in &summary.failures {
            text += &format!("failed: {product} {cell}, {count} visits: {reason}\n");
        }
        if summary.disturbed > 0 {
            text +=
                &format!("{} visits were disturbed by others: these figures are smoke\n", summary.disturbed);
        }
        for goal in goals::judge(&summary) {
            let (mark, tone) = match goal.verdict {
                Verdict::Held => ("held", table::Tone::Good),
                Verdict::Missed => ("MISSED", table::Tone::Bad),
                Verdict::NotMeasured => ("not measured", table::Tone::Plain),
            };
            text += &format!("{}: {} ({})\n", table::paint(mark, tone, colour), goal.promise, goal.evidence);
        }
        text += "\n";
    }
    for product in &record.products {
        text += &match (&product.version, &product.absent) {
            (Some(version), _) => format!("{}: {version}\n", product.id),
            (None, reason) => format!("{}: absent: {}\n", product.id, reason.as_deref().unwrap_or("unknown")),
        };
    }
    for note in &record.notes {
        text += &format!("note: {note}\n");
    }
    text + LEGEND
}

/// How the tables are read.
const LEGEND: &str = "\
ratio: to the best peer of the same run, median of the rounds [worst round]. eta: closeness to the limit, which is two plain relays under\n\
the same load plus sealing and opening once; 1 is the limit. noise: the largest distance from 1 that two runs of the same program showed;\n\
a ratio counts when it is further from 1 than twice that, others are marked with ~.\n";

fn short(cell: Cell, readings: &[&Reading]) -> String {
    if let Some(Reading::Failed { reason }) =
        readings.iter().find(|reading| matches!(reading, Reading::Failed { .. }))
    {
        return format!("failed ({reason})");
    }
    let figure =
        |kind: Kind| kind.value(readings).map(|value| format!("{} {}", table::number(value), kind.unit()));
    let kinds: &[Kind] = match cell {
        Cell::Bulk { .. } => &[Kind::Throughput, Kind::CpuPerGb],
        Cell::FirstByte { .. } => &[Kind::FirstByteMedian, Kind::FirstByteTail],
        Cell::Connections { .. } => &[Kind::ConnectionRate],
        Cell::Handshake { .. } => &[Kind::ServerCpuPerHandshake, Kind::CpuPerHandshake],
        Cell::IdleMemory { .. } => &[Kind::MemoryPerConnection, Kind::BaseMemory],
        Cell::EndOfStream => &[Kind::EndDown, Kind::EndUp, Kind::Answered],
        Cell::Cipher => &[],
    };
    kinds.iter().filter_map(|kind| figure(*kind)).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::summary::tests::{record, two_rounds};

    #[test]
    fn the_report_names_figures_goals_and_absences() {
        let mut record = record(two_rounds());
        record.products.push(crate::sample::Participant {
            id: "shadowsocks-rust".into(),
            version: None,
            absent: Some("not built".into()),
        });
        record.notes.push("a note".into());
        let text = render(&record, false);
        for wanted in [
            "Shadowsocks 2022",
            "up, 1 stream CPU",
            "0.55 [0.60]",
            "held: ss up/1: CPU ≤ 0.85× the best peer",
            "shadowsocks-rust: absent: not built",
            "note: a note",
        ] {
            assert!(text.contains(wanted), "{wanted:?} is missing in\n{text}");
        }
        assert!(!text.contains('\u{1b}'));
        assert!(render(&record, true).contains('\u{1b}'));
    }
}
