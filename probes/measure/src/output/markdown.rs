//! A run as Markdown: for a message to somebody who helps.

use std::fmt::Write as _;

use super::{
    calendar::Utc,
    summary::{Summary, amounts},
};
use crate::{Run, explain};

/// The run as Markdown (CommonMark with tables).
pub fn markdown(run: &Run) -> String {
    let summary = Summary::of(run);
    let vantage = &run.vantage;
    let mut text = String::new();
    let mut add = |line: std::fmt::Arguments<'_>| {
        // Writing to a String does not fail.
        let _infallible = writeln!(text, "{line}");
    };
    add(format_args!("# {}\n", summary.overall.title()));
    add(format_args!(
        "Measured {} UTC · {} · {} · {} network · commucat {}{}\n",
        Utc::from_unix_ms(run.started_unix_ms),
        vantage.asn,
        vantage.country,
        vantage.network_type,
        run.software_version,
        if vantage.lab { " · in the lab" } else { "" },
    ));
    add(format_args!("| test | state | verdict | evidence |\n|---|---|---|---|"));
    for row in &summary.rows {
        for (at, line) in row.lines.iter().enumerate() {
            let name = if at == 0 { row.subtest.as_str() } else { "" };
            let state = if at == 0 { row.state.word() } else { "" };
            let verdict = line.verdict.as_deref().map(|id| format!("`{id}`")).unwrap_or_default();
            add(format_args!("| {name} | {state} | {verdict} | {} |", cell(&line.text)));
        }
    }
    for finding in run.findings.iter().filter(|finding| finding.verdict_id != commucat_verdict::ids::OK) {
        let Some(explanation) = explain::explain(&finding.verdict_id) else { continue };
        add(format_args!("\n## {} (`{}`)\n", explanation.title, explanation.id));
        add(format_args!("{}\n", explanation.means));
        add(format_args!("- Seen: {}", cell(&finding.evidence_line)));
        let amounts = amounts(&finding.thresholds);
        if !amounts.is_empty() {
            add(format_args!("- Limit: {}", amounts.join(", ")));
        }
        add(format_args!("- What to do: {}", explanation.to_do));
    }
    if !summary.works.is_empty() {
        add(format_args!("\n## What works from here\n"));
        for way in &summary.works {
            let limits =
                if way.limits.is_empty() { String::new() } else { format!("; {}", way.limits.join(", ")) };
            add(format_args!("- {} ({} of {}){limits}", way.what, way.passed, way.made));
        }
    }
    text
}

/// Text that stays in its cell and is no markup: a report may hold what somebody else wrote.
fn cell(text: &str) -> String {
    let mut cell = String::new();
    for c in text.chars() {
        match c {
            '|' | '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '#' => {
                cell.push('\\');
                cell.push(c);
            }
            c if c.is_control() => cell.push(' '),
            c => cell.push(c),
        }
    }
    cell
}
