//! The arithmetic of cells, and each rendering of one small matrix.

use super::*;

fn run(transport: &str, profile: &str, result: RunResult, figures: Option<(u64, u64)>) -> RunReport {
    RunReport {
        transport: transport.to_owned(),
        profile: profile.to_owned(),
        seed: 1,
        result,
        bootstrap_ms: figures.map(|(bootstrap, _)| bootstrap),
        down_kbps: figures.map(|(_, down)| down),
        up_kbps: None,
        events: BTreeMap::new(),
        probed: Vec::new(),
        took_ms: 10,
    }
}

fn failed(reason: &str, kind: &str) -> RunResult {
    RunResult::Failed { reason: reason.to_owned(), kind: kind.to_owned() }
}

fn note(name: &str) -> ProfileNote {
    ProfileNote { name: name.to_owned(), about: format!("About <{name}>."), chain: format!("{name}?x=1") }
}

fn matrix() -> MatrixReport {
    let runs = vec![
        run("alpha", "clean", RunResult::Passed, Some((80, 9_000))),
        run("alpha", "clean", RunResult::Passed, Some((1_340, 120_000))),
        run("alpha", "fet", failed("gfw-fet killed it after 160 bytes", "fet"), None),
        run("alpha", "fet", failed("gfw-fet killed it after 170 bytes", "fet"), None),
        run("alpha", "fet", failed("too <slow> & \"late\"", "slow"), Some((20_000, 10))),
        run("beta", "clean", RunResult::Passed, Some((50, 900))),
        run("beta", "clean", failed("froze | at 25", "l4"), None),
        run("beta", "clean", RunResult::Broken { reason: "no port".to_owned() }, None),
    ];
    let mut report = MatrixReport::new(
        vec![note("clean"), note("fet")],
        vec!["alpha".to_owned(), "beta".to_owned()],
        runs,
    );
    report.pass = "A run passes when it passes.".to_owned();
    report
}

#[test]
fn cells_count_and_take_medians() {
    let report = matrix();
    let cell = |profile: &str, transport: &str| report.cell(profile, transport).unwrap().clone();
    assert_eq!(cell("clean", "alpha").standing(), Standing::Passes);
    assert_eq!(cell("clean", "alpha").bootstrap_ms, Some(80));
    assert_eq!(cell("fet", "alpha").standing(), Standing::Fails);
    let reasons = cell("fet", "alpha").reasons;
    assert_eq!((reasons[0].runs, &*reasons[0].text), (2, "gfw-fet killed it after 160 bytes"));
    let beta = cell("clean", "beta");
    assert_eq!((beta.passed, beta.runs, beta.broken), (1, 2, 1));
    assert_eq!(beta.standing(), Standing::Sometimes);
    assert_eq!(cell("fet", "beta").standing(), Standing::Unknown);
    assert_eq!(median(vec![]), None);
    assert_eq!(median(vec![9, 1, 5]), Some(5));
}

#[test]
fn a_report_survives_json() {
    let report = matrix();
    let again: MatrixReport = serde_json::from_str(&report.to_json().unwrap()).unwrap();
    assert_eq!(again, report);
}

#[test]
fn a_terminal_of_any_width_shows_every_cell() {
    let report = matrix();
    let wide = report.to_terminal(TerminalStyle { width: 100, colour: false });
    let table = concat!(
        "       alpha                     beta\n",
        "clean  ✓ 2/2  80 ms, 9.0 Mbit/s  ~ 1/2  50 ms, 900 kbit/s\n",
        "fet    ✗ 0/3  20.0 s, 10 kbit/s  ? no run\n",
    );
    assert!(wide.starts_with(table), "{wide}");
    assert!(wide.contains("✗ alpha in fet (0/3)\n    2× gfw-fet killed it after 160 bytes\n"), "{wide}");
    let narrow = report.to_terminal(TerminalStyle { width: 40, colour: true });
    assert_eq!(narrow.matches("clean").count(), 2 + 1, "two blocks and a reason: {narrow}");
    let plain: String = narrow.replace("\u{1b}[0m", "");
    let longest = plain.lines().map(|line| line.chars().filter(|c| !c.is_control()).count()).max();
    assert!(longest.unwrap() <= 40 + 4, "{longest:?}: {narrow}");
}

#[test]
fn markdown_and_html_hold_what_they_are_given_as_text() {
    let report = matrix();
    let markdown = report.to_markdown();
    assert!(
        markdown.contains("| `clean` | ✓ 2/2<br>80 ms, 9.0 Mbit/s | ~ 1/2<br>50 ms, 900 kbit/s |"),
        "{markdown}"
    );
    assert!(markdown.contains("froze \\| at 25"));
    let html = report.to_html();
    assert!(html.contains("too &lt;slow&gt; &amp; &quot;late&quot;"));
    assert!(html.contains("About &lt;fet&gt;."));
    assert!(!html.contains("<slow>") && !html.contains("<script"));
    for opened in ["table", "tr", "td", "th", "article", "ul", "li", "dl", "a", "div", "span", "b"] {
        let open =
            html.matches(&format!("<{opened} ")).count() + html.matches(&format!("<{opened}>")).count();
        assert_eq!(open, html.matches(&format!("</{opened}>")).count(), "{opened}");
    }
    for cell in report.failing() {
        let place = format!("{}--{}", cell.profile, cell.transport);
        assert!(html.contains(&format!("id=\"{place}\"")), "{place}");
    }
}
