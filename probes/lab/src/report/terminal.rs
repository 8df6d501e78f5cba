//! The matrix on a terminal: profiles down, transports across, reasons below.

use std::fmt::Write as _;

use super::{Cell, MatrixReport, Standing, rate, time};

/// Narrowest terminal that is written for; a narrower one breaks the lines itself.
const WIDTH_MIN: usize = 40;
const GAP: usize = 2;

/// How to write for this terminal.
#[derive(Clone, Copy, Debug)]
pub struct TerminalStyle {
    /// Columns.
    pub width: usize,
    /// Whether colours may be used.
    pub colour: bool,
}

impl Default for TerminalStyle {
    fn default() -> Self {
        Self { width: 80, colour: false }
    }
}

pub(super) fn render(report: &MatrixReport, style: TerminalStyle) -> String {
    let width = style.width.max(WIDTH_MIN);
    let mut out = String::new();
    let head = report.profiles.iter().map(|profile| columns(&profile.name)).max().unwrap_or(0);
    for block in blocks(report, width.saturating_sub(head)) {
        table(&mut out, report, block, head, style.colour);
        out.push('\n');
    }
    for cell in report.failing() {
        let sign = paint(cell.standing(), cell.standing().sign(), style.colour);
        line(&mut out, &format!("{sign} {} in {} ({})", cell.transport, cell.profile, count(cell)));
        for reason in &cell.reasons {
            for text in wrap(&format!("{}× {}", reason.runs, reason.text), width.saturating_sub(4)) {
                line(&mut out, &format!("    {text}"));
            }
        }
    }
    out
}

/// Transports, in blocks that fit beside the names of the profiles.
fn blocks(report: &MatrixReport, room: usize) -> Vec<&[String]> {
    let mut blocks = Vec::new();
    let mut rest = report.transports.as_slice();
    while !rest.is_empty() {
        let mut used = 0;
        let fitting = rest
            .iter()
            .take_while(|name| {
                used += GAP + column_width(report, name);
                used <= room
            })
            .count();
        let (block, after) = rest.split_at(fitting.clamp(1, rest.len()));
        blocks.push(block);
        rest = after;
    }
    blocks
}

fn column_width(report: &MatrixReport, transport: &str) -> usize {
    let cells = report.cells.iter().filter(|cell| cell.transport == transport);
    cells.map(|cell| columns(&text(cell))).max().unwrap_or(0).max(columns(transport))
}

fn table(out: &mut String, report: &MatrixReport, transports: &[String], head: usize, colour: bool) {
    let mut row = pad("", head);
    for name in transports {
        row += &" ".repeat(GAP);
        row += &pad(name, column_width(report, name));
    }
    line(out, row.trim_end());
    for profile in &report.profiles {
        let mut row = pad(&profile.name, head);
        for name in transports {
            let Some(cell) = report.cell(&profile.name, name) else { continue };
            row += &" ".repeat(GAP);
            let padded = pad(&text(cell), column_width(report, name));
            row += &paint(cell.standing(), &padded, colour);
        }
        line(out, row.trim_end());
    }
}

fn text(cell: &Cell) -> String {
    let figures = match (cell.bootstrap_ms, cell.down_kbps) {
        (Some(bootstrap), Some(down)) => format!("  {}, {}", time(bootstrap), rate(down)),
        _ => String::new(),
    };
    format!("{} {}{figures}", cell.standing().sign(), count(cell))
}

fn count(cell: &Cell) -> String {
    if cell.runs == 0 { "no run".to_owned() } else { format!("{}/{}", cell.passed, cell.runs) }
}

fn paint(standing: Standing, text: &str, colour: bool) -> String {
    if !colour {
        return text.to_owned();
    }
    let code = match standing {
        Standing::Passes => "32",
        Standing::Sometimes => "33",
        Standing::Fails => "31",
        Standing::Unknown => "2",
    };
    format!("\u{1b}[{code}m{text}\u{1b}[0m")
}

/// Columns that a text takes: all our signs take one.
fn columns(text: &str) -> usize {
    text.chars().count()
}

fn pad(text: &str, width: usize) -> String {
    format!("{text}{}", " ".repeat(width.saturating_sub(columns(text))))
}

fn line(out: &mut String, text: &str) {
    // Writing to a string cannot fail.
    writeln!(out, "{text}").ok();
}

fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(last) if columns(last) + 1 + columns(word) <= width => {
                last.push(' ');
                last.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}
