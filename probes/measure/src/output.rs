//! Runs in every form: for the terminal, for programs, for a person who helps, for the record.
//!
//! All of it is text made from a [`Run`]; nothing is ever sent anywhere.

mod calendar;
mod html;
mod junit;
mod markdown;
mod ooni;
mod place;
mod prometheus;
mod read;
mod summary;
mod table;
mod works;

use std::{fmt, str::FromStr};

pub(crate) use self::{
    calendar::Utc,
    summary::{amounts, number},
    works::legend,
};
pub use self::{
    html::{Page, html},
    junit::{JunitError, junit},
    markdown::markdown,
    ooni::{
        DATA_FORMAT_VERSION, Row as OoniRow, SOFTWARE_NAME, TEST_NAME_PREFIX, TEST_VERSION, rows, write_jsonl,
    },
    place::{Place, PlaceError, Places},
    prometheus::prometheus,
    read::{
        FILE_BYTES_MAX, LINE_BYTES_MAX, LINES_MAX, RUNS_MAX, Read, ReadError, Skipped, read_bytes, read_file,
    },
    summary::{Line, Overall, Row, State, Summary},
    table::{Look, Table, WIDTH_MIN},
    works::Works,
};
use crate::Run;

/// The forms a run can be written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Format {
    /// The table of the terminal.
    Table,
    /// One JSON document.
    Json,
    /// Rows of the OONI data format, one a line.
    Jsonl,
    /// Markdown.
    Markdown,
    /// A page by itself.
    Html,
    /// JUnit XML.
    Junit,
    /// Prometheus text.
    Prometheus,
}

/// A name that is no form.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown format {given:?}: choose table, json, jsonl, md, html, junit or prom")]
pub struct UnknownFormat {
    given: String,
}

/// Why a run cannot be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RenderError {
    /// JSON.
    #[error("the run could not be written as JSON")]
    Json(#[from] serde_json::Error),
    /// Rows.
    #[error("the run could not be written as rows")]
    Rows(#[from] std::io::Error),
    /// JUnit.
    #[error(transparent)]
    Junit(#[from] JunitError),
}

impl Format {
    /// Every form.
    pub const ALL: [Self; 7] =
        [Self::Table, Self::Json, Self::Jsonl, Self::Markdown, Self::Html, Self::Junit, Self::Prometheus];

    /// Its name at the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Table => "table",
            Self::Json => "json",
            Self::Jsonl => "jsonl",
            Self::Markdown => "md",
            Self::Html => "html",
            Self::Junit => "junit",
            Self::Prometheus => "prom",
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Format {
    type Err = UnknownFormat;

    fn from_str(name: &str) -> Result<Self, UnknownFormat> {
        let known = Self::ALL.into_iter().find(|format| format.as_str() == name);
        known.ok_or_else(|| UnknownFormat { given: name.chars().take(32).collect() })
    }
}

/// Writes one run in one form. The table takes `look`, the others do not.
///
/// # Errors
/// A writer refused; it does not with runs of ours.
pub fn render(run: &Run, format: Format, look: Look) -> Result<String, RenderError> {
    Ok(match format {
        Format::Table => Table::of(run).to_text(look),
        Format::Json => json(run)?,
        Format::Jsonl => {
            let mut bytes = Vec::new();
            write_jsonl(run, &mut bytes)?;
            String::from_utf8_lossy(&bytes).into_owned()
        }
        Format::Markdown => markdown(run),
        Format::Html => html(&Page::of(std::slice::from_ref(run))),
        Format::Junit => junit(run)?,
        Format::Prometheus => prometheus(run),
    })
}

/// The whole run and its summary as one document.
fn json(run: &Run) -> Result<String, serde_json::Error> {
    #[derive(serde::Serialize)]
    struct Document<'a> {
        summary: Summary,
        run: &'a Run,
    }
    let mut text = serde_json::to_string_pretty(&Document { summary: Summary::of(run), run })?;
    text.push('\n');
    Ok(text)
}
