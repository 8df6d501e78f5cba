//! One page by itself: no script, no other file, no request. Light or dark as the reader prefers.

mod curve;
mod heat;
mod parts;
mod race;
mod svg;
mod timeline;

use self::svg::Text;
use super::{summary::Summary, works::Works};
use crate::Run;

const STYLE: &str = include_str!("html/style.css");
/// Nothing may be fetched or run, whatever stands in the page.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";

/// What a page is made of.
#[derive(Clone, Debug)]
pub struct Page<'a> {
    runs: &'a [Run],
    title: &'a str,
    redacted: bool,
}

impl<'a> Page<'a> {
    /// A page of these runs, in the order of time; the last one is shown in full.
    pub const fn of(runs: &'a [Run]) -> Self {
        Self { runs, title: "CommuCat probe report", redacted: false }
    }

    /// The same, which says that [`crate::redact::Redactor`] went over the runs.
    #[must_use]
    pub const fn redacted(mut self, redacted: bool) -> Self {
        self.redacted = redacted;
        self
    }

    /// The same with another title.
    #[must_use]
    pub const fn title(mut self, title: &'a str) -> Self {
        self.title = title;
        self
    }
}

/// Writes the page.
pub fn html(page: &Page<'_>) -> String {
    let body = page.runs.last().map_or_else(
        || "<header class=\"down\"><h1>There is no run in this report</h1></header>".to_owned(),
        |last| body(page, last),
    );
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\">\n\
         <meta name=\"referrer\" content=\"no-referrer\">\n<title>{}</title>\n<style>\n{STYLE}</style>\n</head>\n\
         <body>\n<main>\n{body}\n</main>\n</body>\n</html>\n",
        Text(page.title)
    )
}

fn body(page: &Page<'_>, last: &Run) -> String {
    let summary = Summary::of(last);
    let seen = &last.observations;
    let works: &[Works] = &summary.works;
    [
        parts::header(page.runs, last, &summary, page.redacted),
        parts::findings(last),
        parts::works(works),
        parts::figure(
            "What was found when",
            "One column a run, the newest at the right. A filled cell means that the run found it.",
            timeline::chart(page.runs),
        ),
        parts::figure(
            if seen.transfers.iter().any(|one| one.stalled) { "Where flows stand still" } else { "How transfers went" },
            "A flow that is let alone climbs to its end. One that is frozen climbs, then stays level until the probe gives up. The time axis gives its beginning more room.",
            curve::chart(&seen.transfers),
        ),
        parts::figure(
            "Which hello passes",
            "The look of a TLS hello against the name in it, to the same server. Each figure says how many attempts passed.",
            heat::hellos(seen),
        ),
        parts::figure(
            "How many connections at once",
            "The same hellos, opened one by one and several at a time.",
            heat::parallel(seen),
        ),
        parts::figure(
            "How fast",
            "What is under test and its control on the same server, measured in turns.",
            race::rates(&seen.rates),
        ),
        parts::figure(
            "Answers to questions",
            "When answers came after each question. Two answers to one question, or any answer from a host that runs no resolver, were made on the way.",
            race::answers(&seen.lookups),
        ),
        parts::subtests(&summary),
        parts::footer(last, page.redacted),
    ]
    .join("\n")
}
