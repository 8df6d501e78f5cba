//! Every chapter of the guide is in `docs/src/SUMMARY.md`, and every line of the summary has its chapter.

use std::collections::BTreeSet;

use commucat_tests_tidy::{expect_none, files};

const FOLDER: &str = "docs/src/";
const SUMMARY: &str = "SUMMARY.md";

fn violations(summary: &str, chapters: &[&str]) -> Vec<String> {
    let listed: BTreeSet<&str> = summary
        .split("](")
        .skip(1)
        .filter_map(|rest| rest.split(')').next())
        .map(|path| path.trim_start_matches("./"))
        .collect();
    let written: BTreeSet<&str> = chapters.iter().copied().filter(|name| *name != SUMMARY).collect();
    let unlisted = written.difference(&listed).map(|path| format!("{FOLDER}{path} is not in the summary"));
    let unwritten =
        listed.difference(&written).map(|path| format!("the summary lists {path}, which is not there"));
    unlisted.chain(unwritten).collect()
}

#[test]
fn the_summary_lists_every_chapter() {
    let files = files("docs/src").unwrap();
    let chapters: Vec<&str> = files
        .iter()
        .filter(|file| file.extension() == "md")
        .filter_map(|f| f.path.strip_prefix(FOLDER))
        .collect();
    let summary = files.iter().find(|file| file.path == format!("{FOLDER}{SUMMARY}")).unwrap();
    expect_none("the guide's summary", &violations(&summary.text, &chapters));
}

#[test]
fn a_chapter_out_of_the_summary_is_caught() {
    let summary = "# Summary\n\n- [One](one.md)\n- [Two](part/two.md)\n";
    assert!(violations(summary, &["SUMMARY.md", "one.md", "part/two.md"]).is_empty());
    assert_eq!(
        violations(summary, &["one.md", "part/two.md", "three.md"]),
        ["docs/src/three.md is not in the summary"]
    );
    assert_eq!(violations(summary, &["one.md"]), ["the summary lists part/two.md, which is not there"]);
}
