//! The tables of `docs/src/performance.md`, between markers that only this file writes.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};

use super::{json, table};
use crate::{
    cells::Row,
    goals::{self, Verdict},
    sample::{Circumstances, Record},
    summary::RowSummary,
};

/// The page, below the checkout.
pub const PAGE: &str = "docs/src/performance.md";
/// The record behind a row's table, below the checkout.
#[must_use]
pub fn record_path(row: Row) -> PathBuf {
    Path::new("docs/src/performance").join(format!("{}.json", row.id()))
}

/// Rewrites the tables of the measured rows and the records behind them.
///
/// # Errors
/// When the page has no markers, or a file cannot be read or written.
pub fn update(record: &Record, checkout: &Path) -> anyhow::Result<()> {
    let page = checkout.join(PAGE);
    let mut text = fs::read_to_string(&page).with_context(|| format!("reading {}", page.display()))?;
    for row in Row::ALL {
        let Some(summary) = RowSummary::of(record, row) else { continue };
        text = between_markers(&text, row.id(), &section(record, &summary))?;
        let path = checkout.join(record_path(row));
        if let Some(dir) = path.parent() {
            fs::create_dir_all(dir).with_context(|| format!("creating {}", dir.display()))?;
        }
        let mut kept = record.condensed();
        kept.samples.retain(|sample| sample.row == row);
        fs::write(&path, json::one_sample_a_line(&kept)?)
            .with_context(|| format!("writing {}", path.display()))?;
    }
    fs::write(&page, text).with_context(|| format!("writing {}", page.display()))
}

/// Replaces what stands between `<!-- bench:ID:begin -->` and `<!-- bench:ID:end -->`.
///
/// # Errors
/// When a marker is missing.
pub fn between_markers(text: &str, id: &str, section: &str) -> anyhow::Result<String> {
    let (begin, end) = (format!("<!-- bench:{id}:begin -->"), format!("<!-- bench:{id}:end -->"));
    let Some((before, rest)) = text.split_once(&begin) else { bail!("no marker {begin}") };
    let Some((_, after)) = rest.split_once(&end) else { bail!("no marker {end}") };
    Ok(format!("{before}{begin}\n{section}{end}{after}"))
}

fn section(record: &Record, summary: &RowSummary) -> String {
    let rounds: BTreeSet<u32> = record.of_row(summary.row).map(|sample| sample.round).collect();
    let conditions = conditions(&record.circumstances, rounds.len());
    let mut text = format!("{conditions}\n\n{}\n", versions(record, summary));
    let table = table::of(summary);
    text += &line(&table.head);
    text += &line(
        &table.head.iter().enumerate().map(|(i, _)| if i == 0 { ":--" } else { "--:" }).collect::<Vec<_>>(),
    );
    for fields in &table.lines {
        text += &line(&fields.iter().map(|(text, _)| text).collect::<Vec<_>>());
    }
    text += "\n";
    for goal in goals::judge(summary) {
        let verdict = match goal.verdict {
            Verdict::Held => "held",
            Verdict::Missed => "**missed**",
            Verdict::NotMeasured => "not measured",
        };
        text += &format!("- {}: {verdict} ({})\n", goal.promise, goal.evidence);
    }
    let row = summary.row.id();
    for ((product, cell), (count, reason)) in &summary.failures {
        text += &format!("- failed: {product} {cell}, {count} visits: {reason}\n");
    }
    text += &gaps(&record.notes, row).map(|gap| format!("- {gap}\n")).collect::<String>();
    if summary.disturbed > 0 {
        text += &format!("- {} visits were disturbed by other programs on the machine\n", summary.disturbed);
    }
    text + &format!("\nSamples: [{row}.json](performance/{row}.json).\n")
}

/// Notes about a row as a whole (`ss: …`), and about products that did not start in one of its rounds (`ss 1: …`).
fn gaps<'a>(notes: &'a [String], row: &'a str) -> impl Iterator<Item = &'a str> {
    notes.iter().filter_map(move |note| {
        let rest = note.strip_prefix(row)?;
        rest.strip_prefix(": ").or_else(|| rest.strip_prefix(' ').filter(|_| note.contains("did not start")))
    })
}

fn conditions(at: &Circumstances, rounds: usize) -> String {
    format!(
        "Measured {} on {} processors ({}), Linux {}, congestion control {}, {rounds} {}, windows of {:.1} s after {:.1} s, {}.",
        at.started.get(..10).unwrap_or("at an unknown time"),
        at.processors,
        at.processor,
        at.kernel,
        at.congestion_control,
        if rounds == 1 { "round" } else { "rounds" },
        at.window_s,
        at.warm_up_s,
        if at.own_network { "in a network namespace of its own" } else { "in the machine's network" },
    )
}

fn versions(record: &Record, summary: &RowSummary) -> String {
    let of = |id: &String| {
        let participant = record.products.iter().find(|product| product.id == *id)?;
        Some(format!("{id} {}", participant.version.as_deref()?))
    };
    let present: Vec<_> = summary.products.iter().filter_map(of).collect();
    let absent = record.products.iter().filter_map(|product| {
        Some(format!("; {} is absent ({})", product.id, product.absent.as_deref()?.trim_end_matches('.')))
    });
    format!("{}{}.\n", present.join(", "), absent.collect::<String>())
}

fn line<T: AsRef<str>>(fields: &[T]) -> String {
    let fields: Vec<_> = fields.iter().map(|field| field.as_ref().replace('|', "\\|")).collect();
    format!("| {} |\n", fields.join(" | "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::summary::tests::{record, two_rounds};

    #[test]
    fn only_the_marked_part_changes() {
        let page = "a\n<!-- bench:ss:begin -->\nold\n<!-- bench:ss:end -->\nb\n";
        let new = between_markers(page, "ss", "new\n").unwrap();
        assert_eq!(new, "a\n<!-- bench:ss:begin -->\nnew\n<!-- bench:ss:end -->\nb\n");
        assert_eq!(between_markers(&new, "ss", "new\n").unwrap(), new);
        assert!(between_markers(page, "ws", "").is_err());
    }

    #[test]
    fn the_page_gets_its_table_and_its_record() {
        let checkout = tempfile::tempdir().unwrap();
        let page = checkout.path().join(PAGE);
        fs::create_dir_all(page.parent().unwrap()).unwrap();
        fs::write(&page, "# P\n<!-- bench:ss:begin -->\n<!-- bench:ss:end -->\n").unwrap();
        let record = record(two_rounds());
        update(&record, checkout.path()).unwrap();
        let text = fs::read_to_string(&page).unwrap();
        assert!(text.contains("| up, 1 stream CPU | CPU-s/GB | 0.550 |"), "{text}");
        assert!(text.contains(", 2 rounds, windows"), "{text}");
        assert!(text.contains("- ss up/1: CPU ≤ 0.85× the best peer: held"), "{text}");
        let kept = json::read(&checkout.path().join(record_path(Row::Shadowsocks))).unwrap();
        assert_eq!(kept.samples.len(), record.samples.len());
        assert!(!checkout.path().join(record_path(Row::WebSocket)).exists());
    }

    #[test]
    fn a_product_that_is_absent_from_one_row_is_named_there() {
        let mut record = record(two_rounds());
        record.notes =
            ["ss: xray is absent: no wheel", "ss 1: a note", "ss 2: xray did not start: why", "ws: other"]
                .map(str::to_owned)
                .to_vec();
        let text = section(&record, &RowSummary::of(&record, Row::Shadowsocks).unwrap());
        assert!(text.contains("- xray is absent: no wheel\n"), "{text}");
        assert!(text.contains("- 2: xray did not start: why\n"), "{text}");
        assert!(!text.contains("a note") && !text.contains("other"), "{text}");
    }

    #[test]
    fn the_real_page_has_a_place_for_every_row() {
        let page = Path::new(&std::env::var_os("CARGO_MANIFEST_DIR").unwrap()).join("../..").join(PAGE);
        let text = fs::read_to_string(page).unwrap();
        for row in Row::ALL {
            between_markers(&text, row.id(), "").unwrap();
        }
    }
}
