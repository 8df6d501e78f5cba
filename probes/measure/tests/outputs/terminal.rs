//! The table at the terminal.

use commucat_measure::{
    Event,
    output::{Look, State, Table, WIDTH_MIN},
};
use commucat_verdict::observations::Subtest;

use crate::sample::{clear, days, interfered, offline};

const PLAIN: Look = Look { width: 80, colour: false, unicode: true, frame: 0 };

#[test]
fn no_line_is_wider_than_the_terminal() {
    for run in [interfered(), clear(), offline()].iter().chain(&days(2)) {
        for width in WIDTH_MIN..140 {
            let text = Table::of(run).to_text(Look { width, ..PLAIN });
            for line in text.lines() {
                assert!(line.chars().count() <= width, "{width}: {line:?}");
                assert!(!line.ends_with(' '));
            }
        }
    }
}

#[test]
fn every_word_is_there_at_every_width() {
    let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>().join(" ");
    let evidence = "froze at packet 25 (17.4 KB) 3 of 3; the domestic control moved 64 KB 3 of 3";
    for width in [40, 71, 72, 80, 200] {
        let text = words(&Table::of(&interfered()).to_text(Look { width, ..PLAIN }));
        assert!(text.contains(evidence), "{width}: {text}");
        assert!(text.contains("flow.freeze_packets"));
    }
}

#[test]
fn colour_adds_nothing_but_colour() {
    let table = Table::of(&interfered());
    let coloured = table.to_text(Look { colour: true, ..PLAIN });
    let mut stripped = String::new();
    let mut rest = coloured.as_str();
    while let Some((before, after)) = rest.split_once('\u{1b}') {
        stripped.push_str(before);
        rest = after.split_once('m').unwrap().1;
    }
    stripped.push_str(rest);
    let trimmed: Vec<_> = stripped.lines().map(str::trim_end).collect();
    assert!(coloured.contains("\u{1b}[31m"));
    assert_eq!(trimmed, table.to_text(PLAIN).lines().collect::<Vec<_>>());
}

#[test]
fn without_unicode_it_is_ascii() {
    let text = Table::of(&interfered()).to_text(Look { unicode: false, ..PLAIN });
    assert!(text.is_ascii(), "{text}");
    assert!(text.contains("x dns"));
}

#[test]
fn it_fills_while_the_run_goes_on() {
    let run = interfered();
    let mut table = Table::default();
    table.apply(&Event::Planned(&[Subtest::Env, Subtest::Tls]));
    assert_eq!(table.rows()[1].state, State::Waiting);
    table.apply(&Event::Started(Subtest::Tls));
    let series = run.observations.series.iter().filter(|series| series.condition.subtest == Subtest::Tls);
    for series in series.take(2) {
        for trial in &series.trials {
            table.apply(&Event::Trial { condition: &series.condition, trial });
        }
    }
    assert_eq!(table.rows()[1].state, State::Running);
    let text = table.to_text(PLAIN);
    assert!(text.contains("2 of 4 trials passed"), "{text}");
    let turned = table.to_text(Look { frame: 3, ..PLAIN });
    assert_ne!(text, turned, "the spinner turns");
    let report = run.subtests.iter().find(|report| report.subtest == Subtest::Tls).unwrap();
    table.apply(&Event::Ended { report, findings: &run.findings });
    assert_eq!(table.rows()[1].state, State::Found);
    table.finish(&run);
    assert_eq!(table, Table::of(&run));
}

/// Shows the table: `cargo test -p commucat-measure --test outputs shown -- --nocapture --ignored`.
#[test]
#[ignore = "for a person to look at"]
fn shown() {
    for look in
        [Look { width: 96, colour: true, ..PLAIN }, PLAIN, Look { width: 50, unicode: false, ..PLAIN }]
    {
        println!("{}\n", Table::of(&interfered()).to_text(look));
    }
}

#[test]
fn what_works_is_listed_best_first() {
    let text = Table::of(&interfered()).to_text(PLAIN);
    let works = text.split("What works from here").nth(1).unwrap();
    let first = works.lines().find(|line| !line.trim().is_empty()).unwrap();
    assert!(first.contains("SSH (17 of 17)"), "{works}");
    assert!(works.contains("your bridge, by shadowsocks, 5\u{202f}242 kbit/s down (9 of 10)"), "{works}");
    assert_eq!(works.matches("each flow freezes after 25 packets").count(), 1, "said once, pointed at often");
    assert!(!works.contains("blocked"), "what failed does not work");
    assert!(
        works.contains("like an old Chrome, without a name")
            && !works.contains("like Firefox, without a name")
    );
    assert!(Table::of(&clear()).to_text(PLAIN).contains("Nothing was found"));
}
