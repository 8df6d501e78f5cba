//! The matrix as one HTML page: a table to look at, the reasons below, and what the profiles are.

use super::{
    Cell, MatrixReport, Standing,
    page::{escape, page},
    rate, time,
};

const TITLE: &str = "Which transport survives which censor";

pub(super) fn render(report: &MatrixReport) -> String {
    let mut body = format!("<h1>{TITLE}</h1>\n<p class=\"quiet\">{}</p>\n", escape(&report.pass));
    body += &tally(report);
    body += &table(report);
    body += &reasons(report);
    body += &profiles(report);
    body += &footer(report);
    page(TITLE, &body)
}

const fn class(standing: Standing) -> &'static str {
    match standing {
        Standing::Passes => "passes",
        Standing::Sometimes => "sometimes",
        Standing::Fails => "fails",
        Standing::Unknown => "unknown",
    }
}

fn tally(report: &MatrixReport) -> String {
    let mut out = String::from("<ul class=\"tally\">\n");
    let kinds = [
        (Standing::Passes, "always pass"),
        (Standing::Sometimes, "pass sometimes"),
        (Standing::Fails, "never pass"),
        (Standing::Unknown, "not known"),
    ];
    for (standing, said) in kinds {
        let count = report.cells.iter().filter(|cell| cell.standing() == standing).count();
        if count > 0 {
            out += &format!("<li class=\"{}\">{} {count} {said}</li>\n", class(standing), standing.sign());
        }
    }
    out + "</ul>\n"
}

fn table(report: &MatrixReport) -> String {
    let heads: String =
        report.transports.iter().map(|name| format!("<th scope=\"col\">{}</th>", escape(name))).collect();
    let mut out = format!(
        "<div class=\"frame\"><table>\n<thead><tr><th scope=\"col\">profile</th>{heads}</tr></thead>\n<tbody>\n"
    );
    for profile in &report.profiles {
        let cells: String = report
            .transports
            .iter()
            .filter_map(|transport| report.cell(&profile.name, transport))
            .map(|cell| format!("<td>{}</td>", shown(cell)))
            .collect();
        let (name, about) = (escape(&profile.name), escape(&profile.about));
        out += &format!("<tr><th scope=\"row\" title=\"{about}\">{name}</th>{cells}</tr>\n");
    }
    out + "</tbody>\n</table></div>\n"
}

fn shown(cell: &Cell) -> String {
    let standing = cell.standing();
    let count = if cell.runs == 0 { "no run".to_owned() } else { format!("{}/{}", cell.passed, cell.runs) };
    let mut inner = format!("<b>{} {count}</b>", standing.sign());
    match (cell.bootstrap_ms, cell.down_kbps) {
        (Some(bootstrap), Some(down)) => {
            inner += &format!("<span>{} to start</span><span>{} down</span>", time(bootstrap), rate(down));
        }
        (Some(bootstrap), None) => inner += &format!("<span>{} to start</span>", time(bootstrap)),
        _ => {}
    }
    let class = class(standing);
    if cell.reasons.is_empty() {
        return format!("<div class=\"cell {class}\">{inner}</div>");
    }
    let title: Vec<_> =
        cell.reasons.iter().map(|reason| format!("{}× {}", reason.runs, reason.text)).collect();
    format!(
        "<a class=\"cell {class}\" href=\"#{}\" title=\"{}\">{inner}</a>",
        anchor(cell),
        escape(&title.join("\n"))
    )
}

/// A name for the place on the page where a cell's reasons stand.
fn anchor(cell: &Cell) -> String {
    let plain = |text: &str| -> String {
        text.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect()
    };
    format!("{}--{}", plain(&cell.profile), plain(&cell.transport))
}

fn reasons(report: &MatrixReport) -> String {
    let failing: Vec<_> = report.failing().collect();
    if failing.is_empty() {
        return String::new();
    }
    let mut out = String::from("<h2>Why cells fail</h2>\n");
    for cell in failing {
        let (transport, profile) = (escape(&cell.transport), escape(&cell.profile));
        let (class, count) = (class(cell.standing()), format!("{}/{}", cell.passed, cell.runs));
        out += &format!(
            "<article id=\"{}\"><h3>{transport} in {profile}<span class=\"chip {class}\">{count}</span></h3>\n<ul>\n",
            anchor(cell)
        );
        for reason in &cell.reasons {
            out += &format!("<li>{}× {}</li>\n", reason.runs, escape(&reason.text));
        }
        if cell.reasons.is_empty() {
            out += "<li>No run was made.</li>\n";
        }
        out += "</ul></article>\n";
    }
    out
}

fn profiles(report: &MatrixReport) -> String {
    let mut out = String::from("<h2>The profiles</h2>\n<dl>\n");
    for profile in &report.profiles {
        let (name, about, chain) = (escape(&profile.name), escape(&profile.about), escape(&profile.chain));
        out += &format!("<dt>{name}</dt>\n<dd>{about}<br><code>{chain}</code></dd>\n");
    }
    out + "</dl>\n"
}

fn footer(report: &MatrixReport) -> String {
    let made =
        if report.made.is_empty() { String::new() } else { format!(" on {} UTC", escape(&report.made)) };
    format!(
        "<footer>Made by {}{made}. {} runs, first seed {}, time of the policies × {}. Times and rates are medians over \
         the runs that came so far. A lab is a model: it shows what the published rules of censors do, not what a \
         network does today.</footer>\n",
        escape(&report.program),
        report.runs.len(),
        report.seed,
        report.time_scale
    )
}
