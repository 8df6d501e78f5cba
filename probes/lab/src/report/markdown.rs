//! The matrix as Markdown, for the documentation.

use std::fmt::Write as _;

use super::{Cell, MatrixReport, rate, time};

pub(super) fn render(report: &MatrixReport) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    write(&mut out, report).ok();
    out
}

fn write(out: &mut String, report: &MatrixReport) -> std::fmt::Result {
    writeln!(out, "{}\n", report.pass)?;
    writeln!(out, "| profile | {} |", report.transports.join(" | "))?;
    writeln!(out, "|---|{}", "---|".repeat(report.transports.len()))?;
    for profile in &report.profiles {
        let cells: Vec<_> = report
            .transports
            .iter()
            .map(|transport| report.cell(&profile.name, transport).map_or_else(String::new, cell))
            .collect();
        writeln!(out, "| `{}` | {} |", profile.name, cells.join(" | "))?;
    }
    if report.failing().next().is_some() {
        writeln!(out, "\n### Why cells fail\n")?;
    }
    for failing in report.failing() {
        writeln!(out, "- **{} in `{}`**", failing.transport, failing.profile)?;
        for reason in &failing.reasons {
            writeln!(out, "  - {}×: {}", reason.runs, escape(&reason.text))?;
        }
    }
    writeln!(out, "\n### The profiles\n")?;
    for profile in &report.profiles {
        writeln!(out, "- `{}`: {} Chain: `{}`", profile.name, escape(&profile.about), profile.chain)?;
    }
    let made = if report.made.is_empty() { String::new() } else { format!(" on {} UTC", report.made) };
    writeln!(
        out,
        "\nMade by `{}`{made}, first seed {}, time of the policies × {}.",
        report.program, report.seed, report.time_scale
    )
}

fn cell(cell: &Cell) -> String {
    let sign = cell.standing().sign();
    let mut text = format!("{sign} {}/{}", cell.passed, cell.runs);
    if let (Some(bootstrap), Some(down)) = (cell.bootstrap_ms, cell.down_kbps) {
        text += &format!("<br>{}, {}", time(bootstrap), rate(down));
    }
    text
}

/// Reasons are our own sentences; names in them may still hold what a table or a list would read.
fn escape(text: &str) -> String {
    text.replace('|', "\\|").replace('<', "&lt;").replace('\n', " ")
}
