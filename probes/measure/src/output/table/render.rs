//! The table as text.

use std::fmt::Write as _;

use super::Table;
use crate::{
    explain::wrap,
    output::{
        legend,
        summary::{Line, Overall, Row, State},
        works::Works,
    },
};

/// Narrowest terminal the table is drawn for; a narrower one gets lines that it breaks itself.
pub const WIDTH_MIN: usize = 40;
/// Width of the column of subtests.
const NAME_WIDTH: usize = 10;
/// Width of the column of ids; longer ones push their text to the right.
const ID_WIDTH: usize = 22;
/// Below this width the text stands on a line of its own.
const WIDE: usize = 72;
/// What turns while a subtest runs.
const SPINNER: [&str; 10] = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"];

/// How the table is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// Columns of the terminal.
    pub width: usize,
    /// Whether colours may be used (ANSI SGR).
    pub colour: bool,
    /// Whether the terminal shows more than ASCII.
    pub unicode: bool,
    /// Frame of the spinner; any number.
    pub frame: usize,
}

impl Default for Look {
    fn default() -> Self {
        Self { width: 80, colour: false, unicode: true, frame: 0 }
    }
}

#[derive(Clone, Copy)]
enum Ink {
    Plain,
    Bold,
    Dim,
    Good,
    Bad,
    Warn,
}

impl Table {
    /// The table as lines, each ending in a line feed.
    pub fn to_text(&self, look: Look) -> String {
        let look = Look { width: look.width.max(WIDTH_MIN), ..look };
        let mut text = String::new();
        for row in &self.rows {
            draw_row(&mut text, row, look);
        }
        if let Some(overall) = self.overall {
            text.push('\n');
            line(&mut text, look, &[(ink_of(overall), overall.title().to_owned())]);
        }
        if !self.works.is_empty() {
            text.push('\n');
            line(&mut text, look, &[(Ink::Bold, "What works from here".to_owned())]);
            draw_ways(&mut text, &self.works, look);
        } else if self.overall.is_some() && self.rows.iter().any(|row| row.state == State::Found) {
            text.push('\n');
            line(&mut text, look, &[(Ink::Dim, "Nothing that was tried works from here.".to_owned())]);
        }
        text
    }
}

fn draw_row(text: &mut String, row: &Row, look: Look) {
    let (mark, ink) = mark(row.state, look);
    let name = format!("{:<NAME_WIDTH$}", row.subtest.as_str());
    let none = Line { verdict: None, confidence: None, text: row.state.word().to_owned() };
    let lines = if row.lines.is_empty() { std::slice::from_ref(&none) } else { row.lines.as_slice() };
    for (at, shown) in lines.iter().enumerate() {
        let head = if at == 0 {
            vec![(ink, format!("{mark} ")), (Ink::Plain, name.clone())]
        } else {
            vec![(Ink::Plain, " ".repeat(2 + NAME_WIDTH))]
        };
        draw_line(text, head, row.state, shown, look);
    }
}

/// One finding: its id, then its text, wrapped under itself.
fn draw_line(text: &mut String, mut head: Vec<(Ink, String)>, state: State, shown: &Line, look: Look) {
    let taken = 2 + NAME_WIDTH;
    let ink = match (state, &shown.verdict) {
        (State::Waiting | State::Skipped, _) | (State::Running, None) => Ink::Dim,
        _ => Ink::Plain,
    };
    let mut indent = taken;
    if let Some(verdict) = &shown.verdict {
        let id = if state == State::Found { Ink::Bad } else { ink_of_state(state) };
        head.push((id, format!("{verdict:<ID_WIDTH$}")));
        if look.width >= WIDE {
            indent = taken + ID_WIDTH.max(verdict.chars().count() + 1);
            if verdict.chars().count() >= ID_WIDTH {
                head.push((Ink::Plain, " ".to_owned()));
            }
        } else {
            line(text, look, &head);
            head = vec![(Ink::Plain, " ".repeat(taken))];
        }
    }
    for (at, part) in
        wrap(&clean(&shown.text, look), look.width.saturating_sub(indent).max(16)).into_iter().enumerate()
    {
        if at > 0 {
            head = vec![(Ink::Plain, " ".repeat(indent))];
        }
        head.push((ink, part));
        line(text, look, &head);
    }
}

fn draw_ways(text: &mut String, works: &[Works], look: Look) {
    let limits = legend(works);
    for way in works {
        let own =
            limits.iter().enumerate().filter(|(_, (_, limit))| way.limits.iter().any(|own| own == limit));
        let marks: String = own.map(|(at, (mark, _))| point(at, *mark, look)).collect();
        let tick = if look.unicode { "✓" } else { "+" };
        let (tick, ink) = if way.limits.is_empty() { (tick, Ink::Good) } else { ("~", Ink::Warn) };
        let words = format!("{} ({} of {}){marks}", way.what, way.passed, way.made);
        draw_item(text, (ink, format!("  {tick} ")), &words, look);
    }
    for (at, (mark, limit)) in limits.iter().enumerate() {
        let lead = format!("  {:>3} ", point(at, *mark, look).trim());
        draw_item(text, (Ink::Warn, lead), limit, look);
    }
}

/// What points at a limit: `¹`, or ` [1]` without Unicode.
fn point(at: usize, mark: char, look: Look) -> String {
    if look.unicode { mark.to_string() } else { format!(" [{}]", at + 1) }
}

fn draw_item(text: &mut String, lead: (Ink, String), words: &str, look: Look) {
    let indent = lead.1.chars().count();
    let mut lead = Some(lead);
    for part in wrap(&clean(words, look), look.width.saturating_sub(indent)) {
        let lead = lead.take().unwrap_or_else(|| (Ink::Plain, " ".repeat(indent)));
        line(text, look, &[lead, (Ink::Plain, part)]);
    }
}

fn mark(state: State, look: Look) -> (&'static str, Ink) {
    let ink = ink_of_state(state);
    let mark = match (state, look.unicode) {
        (State::Waiting, true) => "·",
        (State::Waiting, false) => ".",
        (State::Running, true) => SPINNER.get(look.frame % SPINNER.len()).copied().unwrap_or("⠿"),
        (State::Running, false) => ["|", "/", "-", "\\"].get(look.frame % 4).copied().unwrap_or("|"),
        (State::Ok, true) => "✓",
        (State::Ok, false) => "+",
        (State::Found, true) => "✗",
        (State::Found, false) => "x",
        (State::Unclear, _) => "~",
        (State::Skipped, true) => "–",
        (State::Skipped, false) => "-",
        (State::Failed, _) => "!",
    };
    (mark, ink)
}

const fn ink_of_state(state: State) -> Ink {
    match state {
        State::Waiting | State::Skipped => Ink::Dim,
        State::Running => Ink::Bold,
        State::Ok => Ink::Good,
        State::Found => Ink::Bad,
        State::Unclear | State::Failed => Ink::Warn,
    }
}

const fn ink_of(overall: Overall) -> Ink {
    match overall {
        Overall::Clear => Ink::Good,
        Overall::Interference | Overall::NoNetwork => Ink::Bad,
        Overall::Unclear => Ink::Warn,
    }
}

/// Text for a terminal: no control characters (a report may come from somebody else), ASCII where asked for.
fn clean(text: &str, look: Look) -> String {
    text.chars()
        .map(|c| match c {
            '\u{202f}' if !look.unicode => ' ',
            '–' if !look.unicode => '-',
            c if c.is_control() || is_hidden(c) => ' ',
            c if !look.unicode && !c.is_ascii() => '?',
            c => c,
        })
        .collect()
}

/// Characters that change how the rest of a line is shown.
const fn is_hidden(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

fn line(text: &mut String, look: Look, parts: &[(Ink, String)]) {
    let mut plain = String::new();
    for (ink, part) in parts {
        let code = match ink {
            Ink::Plain => None,
            Ink::Bold => Some("1"),
            Ink::Dim => Some("2"),
            Ink::Good => Some("32"),
            Ink::Bad => Some("31"),
            Ink::Warn => Some("33"),
        };
        match code.filter(|_| look.colour && !part.trim().is_empty()) {
            // Writing to a String does not fail.
            Some(code) => {
                let _infallible = write!(plain, "\u{1b}[{code}m{part}\u{1b}[0m");
            }
            None => plain.push_str(part),
        }
    }
    text.push_str(plain.trim_end());
    text.push('\n');
}
