//! What a running client shows: a live status line on a terminal, JSON lines for programs, a line a change otherwise.

use std::io::Write as _;

use commucat_client::{CauseLine, Status};
use tokio::sync::watch;

use crate::terminal::{self, Bytes, Style, Styled, note, say_json};

/// Clears the line the cursor is on.
const CLEAR_LINE: &str = "\r\u{1b}[2K";

/// How a client reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Report {
    /// JSON lines on standard output.
    Json,
    /// One line that is drawn again and again.
    Line,
    /// A line when something changes.
    Changes,
}

impl Report {
    pub(crate) fn choose(json: bool) -> Self {
        match json {
            true => Self::Json,
            false if terminal::live() => Self::Line,
            false => Self::Changes,
        }
    }
}

/// Reports until the client is gone.
pub(crate) async fn watch(mut status: watch::Receiver<Status>, report: Report) -> anyhow::Result<()> {
    let mut shown = Shown::default();
    while status.changed().await.is_ok() {
        let now = status.borrow_and_update().clone();
        show(&now, &mut shown, report)?;
    }
    Ok(())
}

/// What was reported last, so that each thing is said once.
#[derive(Default)]
struct Shown {
    active: Option<String>,
    cause: u64,
    line: String,
}

fn show(now: &Status, shown: &mut Shown, report: Report) -> anyhow::Result<()> {
    if let Some(cause) = now.last_cause.as_ref().filter(|cause| cause.number > shown.cause) {
        shown.cause = cause.number;
        show_cause(cause, report)?;
    }
    let active = now.active.as_ref().map(|active| format!("{} ({})", active.name, active.why));
    let changed = active.is_some() && active != shown.active;
    match report {
        Report::Json => {
            let line = serde_json::to_string(now)?;
            if line != shown.line {
                shown.line = line;
                say_json(&Event { event: "status", status: now })?;
            }
        }
        Report::Line => {
            let line = status_line(now);
            write!(std::io::stderr().lock(), "{CLEAR_LINE}{line}").ok();
        }
        Report::Changes if changed => note(format_args!("using {}", active.as_deref().unwrap_or_default())),
        Report::Changes => {}
    }
    shown.active = active;
    Ok(())
}

#[derive(serde::Serialize)]
struct Event<'a> {
    event: &'static str,
    #[serde(flatten)]
    status: &'a Status,
}

fn show_cause(cause: &CauseLine, report: Report) -> anyhow::Result<()> {
    if report == Report::Json {
        return say_json(
            &serde_json::json!({ "event": "failed", "endpoint": cause.endpoint, "cause": cause.diagnosis }),
        );
    }
    let clear = if report == Report::Line { CLEAR_LINE } else { "" };
    note(format_args!(
        "{clear}{} {}: {}",
        Styled(Style::Bad, "failed:"),
        cause.endpoint,
        cause.diagnosis.sentence
    ));
    if !cause.diagnosis.what_to_do.is_empty() {
        note(format_args!("        {}", cause.diagnosis.what_to_do));
    }
    Ok(())
}

fn status_line(now: &Status) -> String {
    let rates = format!("↑ {}/s  ↓ {}/s", Bytes(now.up_rate), Bytes(now.down_rate));
    let Some(active) = &now.active else {
        let tried = now.endpoints.len();
        return format!("{}  no connection yet, {tried} endpoints known", Styled(Style::Dim, "·"));
    };
    let open = match now.connections {
        1 => "1 connection".to_owned(),
        many => format!("{many} connections"),
    };
    format!(
        "{} {} ({})  {open}  {rates}  total ↑ {} ↓ {}",
        Styled(Style::Good, "●"),
        Styled(Style::Bold, &active.name),
        active.why,
        Bytes(now.up_bytes),
        Bytes(now.down_bytes),
    )
}
