//! The parts of the page that are words and tables.

use std::fmt::Write as _;

use commucat_verdict::{Confidence, Finding, ids, observations::Series};

use super::svg::{Prose, Text};
use crate::{
    Run, explain,
    output::{Overall, State, Summary, Utc, Works, amounts, legend},
};

/// The head of the page: the whole in one line, and where and when.
pub(super) fn header(runs: &[Run], last: &Run, summary: &Summary, redacted: bool) -> String {
    let vantage = &last.vantage;
    let trials: usize = last.observations.series.iter().map(Series::made).sum();
    let mut chips = vec![
        format!("{} UTC", Utc::from_unix_ms(last.started_unix_ms)),
        format!("{} · {}", vantage.asn, vantage.country),
        format!("{} network", vantage.network_type),
        plural(trials, "trial"),
    ];
    if runs.len() > 1 {
        chips.push(plural(runs.len(), "run"));
    }
    if vantage.lab {
        chips.push("made in the lab".to_owned());
    }
    if redacted {
        chips.push("addresses hidden".to_owned());
    }
    let chips: String = chips.iter().map(|chip| format!("<li>{}</li>", Text(chip))).collect();
    format!(
        "<header class=\"{}\"><p class=\"kind\">What this network does</p><h1>{}</h1><p class=\"lead\">{}</p>\
         <ul class=\"chips\">{chips}</ul></header>",
        class(summary.overall),
        summary.overall.title(),
        Text(&lead(summary)),
    )
}

/// A card for each thing found in the last run.
pub(super) fn findings(run: &Run) -> String {
    let mut cards = String::new();
    let mut shown: Vec<_> = run.findings.iter().filter(|finding| finding.verdict_id != ids::OK).collect();
    shown.sort_by_key(|finding| {
        (finding.verdict_id == ids::INCONCLUSIVE, std::cmp::Reverse(finding.confidence))
    });
    for finding in shown {
        cards.push_str(&card(finding));
    }
    if cards.is_empty() {
        return String::new();
    }
    format!("<section><h2>What was found</h2><div class=\"cards\">{cards}</div></section>")
}

/// What works from here, as bars. What limits several ways is said once and pointed at.
pub(super) fn works(works: &[Works]) -> String {
    if works.is_empty() {
        return String::new();
    }
    let limits = legend(works);
    let mut rows = String::new();
    for way in works {
        let marks: String = limits
            .iter()
            .filter(|(_, limit)| way.limits.iter().any(|own| own == limit))
            .map(|(mark, limit)| format!("<abbr class=\"but\" title=\"{}\">{mark}</abbr>", Text(limit)))
            .collect();
        let _infallible = write!(
            rows,
            "<tr><th scope=\"row\">{}{marks}</th><td>{} of {}</td><td class=\"bar\"><svg viewBox=\"0 0 100 8\" \
             preserveAspectRatio=\"none\" aria-hidden=\"true\"><rect class=\"rail\" width=\"100\" height=\"8\"/>\
             <rect class=\"{}\" width=\"{:.0}\" height=\"8\"/></svg></td></tr>",
            Text(&way.what),
            way.passed,
            way.made,
            if way.limits.is_empty() { "fill good" } else { "fill unclear" },
            way.score * 100.0,
        );
    }
    let notes: String = limits
        .iter()
        .map(|(mark, limit)| format!("<li><span class=\"but\">{mark}</span> {}</li>", Text(limit)))
        .collect();
    format!(
        "<section><h2>What works from here</h2><p class=\"note\">The bar is what can be counted on after so few \
         trials: the lower end of the 95&nbsp;% interval.</p><table class=\"works\"><tbody>{rows}</tbody></table>\
         <ul class=\"limits\">{notes}</ul></section>"
    )
}

/// Every subtest with what it saw.
pub(super) fn subtests(summary: &Summary) -> String {
    let mut rows = String::new();
    for row in &summary.rows {
        for (at, line) in row.lines.iter().enumerate() {
            let head = if at == 0 {
                format!(
                    "<th scope=\"row\" rowspan=\"{}\">{}</th><td rowspan=\"{}\"><span class=\"state {}\">{}</span></td>",
                    row.lines.len(),
                    row.subtest,
                    row.lines.len(),
                    state_class(row.state),
                    row.state.word(),
                )
            } else {
                String::new()
            };
            let id =
                line.verdict.as_deref().map(|id| format!("<code>{}</code> ", Text(id))).unwrap_or_default();
            let _infallible = write!(rows, "<tr>{head}<td>{id}{}</td></tr>", Text(&line.text));
        }
    }
    format!(
        "<section><h2>Every test</h2><div class=\"scroll\" tabindex=\"0\"><table class=\"tests\"><thead><tr><th>test</th>\
         <th>state</th><th>what was seen</th></tr></thead><tbody>{rows}</tbody></table></div></section>"
    )
}

/// A figure with a heading and a caption; nothing when there is no drawing.
pub(super) fn figure(heading: &str, caption: &str, drawing: Option<String>) -> String {
    drawing.map_or_else(String::new, |drawing| {
        format!(
            "<section><h2>{}</h2><figure><div class=\"scroll\" tabindex=\"0\">{drawing}</div><figcaption>{}</figcaption></figure></section>",
            Text(heading),
            Text(caption)
        )
    })
}

/// What stands at the end: how this was made, and what it does not hold.
pub(super) fn footer(last: &Run, redacted: bool) -> String {
    let privacy = if redacted {
        "Addresses and private names were replaced by keyed hashes before this page was made: equal ones stay equal, and none can be turned back."
    } else {
        "This page holds the addresses of the servers that were measured. Make one to pass on with <code>commucat probe report --redact</code>."
    };
    format!(
        "<footer><p>{privacy} Your own address is not in it. Nothing was uploaded: this file exists where you put it.</p>\
         <p>commucat {} · <code>probe {}</code> · seed {} · took {:.0} s</p></footer>",
        Text(&last.software_version),
        Text(&last.command),
        last.seed,
        last.took().as_secs_f64(),
    )
}

fn card(finding: &Finding) -> String {
    let known = explain::explain(&finding.verdict_id);
    let amounts = amounts(&finding.thresholds);
    let mut card = format!(
        "<article class=\"card {}\"><p class=\"id\"><code>{}</code>{}</p><h3>{}</h3>",
        if finding.verdict_id == ids::INCONCLUSIVE { "unclear" } else { "bad" },
        Text(&finding.verdict_id),
        certainty(finding.confidence),
        Text(explain::title(&finding.verdict_id)),
    );
    for amount in amounts {
        let (figure, unit) = amount.split_once(' ').unwrap_or((&amount, ""));
        let _infallible =
            write!(card, "<p class=\"amount\"><strong>{}</strong> {}</p>", Text(figure), Text(unit));
    }
    if let Some(known) = known {
        let _infallible = write!(card, "<p>{}</p>", Prose(known.means));
    }
    let _infallible = write!(card, "<p class=\"seen\">{}</p>", Text(&finding.evidence_line));
    if let Some(seconds) = finding.residual_s {
        let _infallible = write!(card, "<p>It goes on for {seconds} s after its cause.</p>");
    }
    if let Some(known) = known {
        let _infallible = write!(
            card,
            "<p class=\"todo\">{}</p><details><summary>How it was measured, and what else it could be</summary>\
             <p>{}</p><p>{}</p></details>",
            Prose(known.to_do),
            Prose(known.measured),
            Prose(known.otherwise),
        );
    }
    card.push_str("</article>");
    card
}

fn certainty(confidence: Confidence) -> String {
    let (filled, word) = match confidence {
        Confidence::Open => (1, "open"),
        Confidence::Likely => (2, "likely"),
        Confidence::Certain => (3, "certain"),
    };
    let dots: String = (0..3).map(|at| if at < filled { "●" } else { "○" }).collect();
    format!("<span class=\"sure\"><span aria-hidden=\"true\">{dots}</span> {word}</span>")
}

/// One sentence below the heading.
fn lead(summary: &Summary) -> String {
    let found = summary.rows.iter().flat_map(|row| &row.lines).filter_map(|line| line.verdict.as_deref());
    let mut found: Vec<_> =
        found.filter(|id| *id != ids::OK && *id != ids::INCONCLUSIVE).map(explain::title).collect();
    found.dedup();
    match (summary.overall, found.as_slice()) {
        (_, [one]) => format!("{one}."),
        (_, [first, rest @ ..]) => {
            let rest = rest.iter().map(|title| lower(title)).collect::<Vec<_>>();
            format!("{first}; {}.", rest.join("; "))
        }
        (Overall::Clear, []) => {
            "Everything that was tried works as on a network that nobody interferes with.".to_owned()
        }
        (Overall::NoNetwork, []) => "Nothing beyond this machine answered.".to_owned(),
        (Overall::Unclear | Overall::Interference, []) => {
            "Some measurements failed, and their controls do not say why.".to_owned()
        }
    }
}

/// A heading inside a sentence: its first letter small, unless it is an abbreviation.
fn lower(title: &str) -> String {
    let mut chars = title.chars();
    match (chars.next(), chars.clone().next()) {
        (Some(first), Some(second)) if !second.is_uppercase() => first.to_lowercase().chain(chars).collect(),
        _ => title.to_owned(),
    }
}

fn plural(count: usize, word: &str) -> String {
    if count == 1 { format!("1 {word}") } else { format!("{count} {word}s") }
}

const fn class(overall: Overall) -> &'static str {
    match overall {
        Overall::Clear => "good",
        Overall::Interference => "bad",
        Overall::Unclear => "unclear",
        Overall::NoNetwork => "down",
    }
}

const fn state_class(state: State) -> &'static str {
    match state {
        State::Ok => "good",
        State::Found => "bad",
        State::Unclear | State::Failed => "unclear",
        State::Waiting | State::Running | State::Skipped => "down",
    }
}
