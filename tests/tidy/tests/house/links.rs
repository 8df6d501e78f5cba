//! Every relative link in the documents leads to something, and so does every `{{#include}}` of the guide: mdBook
//! only warns where one is broken.

use std::path::{Path, PathBuf};

use commucat_tests_tidy::{File, expect_none, files, root};

/// What a document points at.
#[derive(Debug, PartialEq, Eq)]
enum Pointer<'a> {
    Link(&'a str),
    /// A file, and the anchor or range in it.
    Include(&'a str, Option<&'a str>),
}

fn violations(file: &File, root: &Path) -> Vec<String> {
    let folder = root.join(&file.path).parent().map(PathBuf::from).unwrap_or_default();
    let mut found = Vec::new();
    for (line, pointer) in pointers(&file.text) {
        let here = |what: String| format!("{}:{line}: {what}", file.path);
        match pointer {
            Pointer::Link(link) if leaves_the_guide(&file.path, link) => {
                found.push(here(format!("`{link}` leads out of the guide, and is dead in the book")));
            }
            Pointer::Link(link) if folder.join(link).exists() => {}
            Pointer::Link(link) => found.push(here(format!("nothing is at `{link}`"))),
            Pointer::Include(path, part) => match std::fs::read_to_string(folder.join(path)) {
                Err(_) => found.push(here(format!("nothing to include at `{path}`"))),
                Ok(text) => match part.filter(|part| part.starts_with(char::is_alphabetic)) {
                    Some(anchor) if !text.contains(&format!("ANCHOR: {anchor}")) => {
                        found.push(here(format!("`{path}` has no anchor `{anchor}`")));
                    }
                    _ => {}
                },
            },
        }
    }
    found
}

/// The book holds the files of `docs/src` and nothing else.
fn leaves_the_guide(page: &str, link: &str) -> bool {
    let Some(below) = page.strip_prefix("docs/src/") else { return false };
    link.matches("../").count() > below.matches('/').count()
}

/// The pointers of a document with their lines, without those to the web and those inside code blocks.
fn pointers(text: &str) -> Vec<(usize, Pointer<'_>)> {
    let mut found = Vec::new();
    let mut in_code = false;
    for (number, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        }
        for directive in ["{{#include ", "{{#rustdoc_include ", "{{#playground "] {
            for (_before, rest) in splits(line, directive) {
                let what = rest.split("}}").next().unwrap_or_default().trim();
                let (path, part) =
                    what.split_once(':').map_or((what, None), |(path, part)| (path, Some(part)));
                found.push((number + 1, Pointer::Include(path, part)));
            }
        }
        if in_code {
            continue;
        }
        for (before, rest) in splits(line, "](") {
            let link = rest.split([')', ' ']).next().unwrap_or_default();
            let link = link.split('#').next().unwrap_or_default();
            let in_code_span = before.matches('`').count() % 2 == 1;
            let elsewhere = link.contains(':') || link.is_empty();
            if !elsewhere && !in_code_span {
                found.push((number + 1, Pointer::Link(link)));
            }
        }
    }
    found
}

/// What stands before and after each place where `mark` is.
fn splits<'a>(line: &'a str, mark: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
    line.match_indices(mark).map(move |(at, _mark)| (line.split_at(at).0, line.split_at(at + mark.len()).1))
}

#[test]
fn every_link_leads_somewhere() {
    let documents: Vec<_> = files("").unwrap().into_iter().filter(|file| file.extension() == "md").collect();
    assert!(!documents.is_empty(), "no document was found");
    let found: Vec<_> = documents.iter().flat_map(|file| violations(file, &root())).collect();
    expect_none("links and includes", &found);
}

#[test]
fn a_dead_link_is_caught() {
    for text in [
        "see [this](no/such/file.md)",
        "see [this](no-such.md#part)",
        "{{#include ../no/such.rs}}",
        "```rust\n{{#include no-such.rs:part}}\n```",
        "{{#include tests/tidy/src/lib.rs:no_such_anchor}}",
    ] {
        assert_eq!(violations(&File::new("made.md", text), &root()).len(), 1, "not caught: {text}");
    }
}

#[test]
fn a_link_out_of_the_guide_is_caught() {
    let text = "[why](../../SECURITY.md)";
    assert_eq!(violations(&File::new("docs/src/made.md", text), &root()).len(), 1);
    assert!(violations(&File::new("tests/tidy/made.md", text), &root()).is_empty());
}

#[test]
fn good_links_pass() {
    for text in [
        "[manifest](Cargo.toml) and [web](https://example.org) and [here](#part) and [mail](mailto:a@example.org)",
        "```\nnot a [link](no/such)\n```",
        "`not a [link](no/such)`",
        "{{#include tests/tidy/src/lib.rs}}",
        "{{#include tests/tidy/src/lib.rs:1:3}}",
    ] {
        assert_eq!(violations(&File::new("made.md", text), &root()), [""; 0]);
    }
}
