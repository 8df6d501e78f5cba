//! Markdown, JUnit, Prometheus and JSON.

use commucat_measure::output::{Format, Look, render};
use quick_junit::Report;

use crate::sample::{clear, days, interfered, offline};

fn text(run: &commucat_measure::Run, format: Format) -> String {
    render(run, format, Look::default()).unwrap()
}

#[test]
fn every_form_is_written_for_every_run() {
    for run in [interfered(), clear(), offline()] {
        for format in Format::ALL {
            let text = text(&run, format);
            assert!(text.ends_with('\n'), "{format}");
            assert_eq!(format.as_str().parse(), Ok(format));
        }
    }
    assert!("pdf".parse::<Format>().unwrap_err().to_string().contains("junit"));
}

#[test]
fn junit_is_read_by_its_own_reader() {
    let xml = text(&interfered(), Format::Junit);
    let report = Report::deserialize_from_str(&xml).unwrap();
    let suite = &report.test_suites[0];
    assert_eq!((suite.tests, suite.failures, suite.errors), (11, 5, 0), "{xml}");
    assert!(xml.contains("flow.freeze_packets: Flows freeze after some packets"));
}

#[test]
fn prometheus_lines_are_well_formed_and_unique() {
    for run in [interfered(), clear(), offline()].iter().chain(&days(12)) {
        let page = text(run, Format::Prometheus);
        let mut seen = std::collections::BTreeSet::new();
        for line in page.lines() {
            if let Some(comment) = line.strip_prefix("# ") {
                assert!(
                    comment.starts_with("HELP commucat_probe_")
                        || comment.starts_with("TYPE commucat_probe_")
                );
                continue;
            }
            let (series, value) = line.rsplit_once(' ').unwrap();
            value.parse::<f64>().unwrap_or_else(|_| panic!("{line}"));
            let name = series.split('{').next().unwrap();
            assert!(name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{line}");
            assert!(seen.insert(series.to_owned()), "twice: {line}");
        }
    }
    let page = text(&interfered(), Format::Prometheus);
    for line in [
        "commucat_probe_verdict{subtest=\"freeze\",verdict=\"flow.freeze_packets\",confidence=\"certain\"} 1",
        "commucat_probe_threshold{verdict=\"flow.freeze_packets\",unit=\"packets\"} 25",
        "commucat_probe_overall{state=\"interference\"} 1",
        "commucat_probe_overall{state=\"clear\"} 0",
        "commucat_probe_trials{subtest=\"fet\",role=\"suspect\",outcome=\"failed\"} 1",
    ] {
        assert!(page.lines().any(|found| found == line), "{line} is not in\n{page}");
    }
    assert!(!page.contains("203.0.113"), "no address");
}

#[test]
fn hostile_words_stay_words() {
    let mut run = interfered();
    run.findings[0].evidence_line =
        "<img src=x onerror=alert(1)> | [a](b) \"q\" \u{1b}[31m\n# head".to_owned();
    run.vantage.network_type = "wifi\" onload=\"x\n".to_owned();
    run.command = "quick<script>".to_owned();
    let markdown = text(&run, Format::Markdown);
    assert!(markdown.contains("\\<img") && !markdown.replace("\\<", "").contains('<'));
    assert!(!markdown.contains('\u{1b}'));
    let html = text(&run, Format::Html);
    assert!(!html.contains("<img") && !html.contains("<script") && !html.contains('\u{1b}'));
    assert!(!html.contains("onload=\""));
    let table = text(&run, Format::Table);
    assert!(!table.contains('\u{1b}'));
    Report::deserialize_from_str(&text(&run, Format::Junit)).unwrap();
    let page = text(&run, Format::Prometheus);
    assert!(page.lines().all(|line| line.starts_with('#') || line.starts_with("commucat_probe_")));
}

#[test]
fn markdown_says_what_to_do() {
    let text = text(&interfered(), Format::Markdown);
    for part in [
        "# Something interferes",
        "2026-11-21 17:03:42 UTC",
        "25 packets (24–26)",
        "What works from here",
        "| dns | found | `dns.injected` |",
    ] {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
}
