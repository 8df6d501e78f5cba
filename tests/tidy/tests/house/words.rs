//! Words that no file may hold: marks of work left over, and traces of a broken merge.

use commucat_tests_tidy::{File, expect_none, files};

use crate::{made_up, sources};

/// Words and why not. May be empty. They are put together here so that this file does not hold them.
const FORBIDDEN: &[(&str, &str)] = &[
    (concat!("FIX", "ME"), "do it now, or open an issue"),
    (concat!("XX", "X"), "do it now, or open an issue"),
    (concat!("HA", "CK"), "say what it does and why"),
    (concat!("TO", "DO"), "do it now, or open an issue"),
    (concat!("<<<<", "<<<"), "a merge that was not finished"),
    (concat!(">>>>", ">>>"), "a merge that was not finished"),
];

/// Files in which other people's text stands, word for word.
const QUOTED: [&str; 2] = ["Cargo.lock", "tests/fuzz/corpus/"];

fn violations(file: &File) -> Vec<String> {
    let mut found = Vec::new();
    for (number, line) in file.text.lines().enumerate() {
        for (word, why) in FORBIDDEN {
            if line.match_indices(word).any(|(at, _word)| stands_alone(line, at, word.len())) {
                found.push(format!("{}:{}: {word} ({why})", file.path, number + 1));
            }
        }
    }
    found
}

/// Whether no letter, digit or underscore touches the word.
fn stands_alone(line: &str, at: usize, length: usize) -> bool {
    let part_of_word = |c: char| c.is_alphanumeric() || c == '_';
    !line.split_at(at).0.ends_with(part_of_word) && !line.split_at(at + length).1.starts_with(part_of_word)
}

fn unfinished(source: &commucat_tests_tidy::Module) -> Vec<String> {
    commucat_tests_tidy::mentions(&source.syntax)
        .into_iter()
        .filter(|mention| matches!(mention.last(), "todo!" | "unimplemented!"))
        .map(|mention| format!("{}:{}: {}", source.path, mention.line, mention.path))
        .collect()
}

#[test]
fn no_file_holds_a_forbidden_word() {
    let files = files("").unwrap();
    assert!(files.iter().any(|file| file.path == "Cargo.toml"), "the rule does not see the tree");
    let found: Vec<_> = files
        .iter()
        .filter(|file| !QUOTED.iter().any(|at| file.path.starts_with(at)))
        .flat_map(violations)
        .collect();
    expect_none("forbidden words", &found);
}

#[test]
fn nothing_is_unfinished() {
    let sources = sources(|_any| true);
    let found: Vec<_> = sources.iter().flat_map(|(_crate, modules)| modules).flat_map(unfinished).collect();
    expect_none("unfinished code", &found);
}

#[test]
fn each_forbidden_word_is_caught() {
    for (word, _why) in FORBIDDEN {
        assert_eq!(violations(&File::new("a.md", &format!("one\n({word}) two"))).len(), 1, "{word}");
        assert!(violations(&File::new("a.md", &format!("a{word}b"))).is_empty(), "{word}");
    }
}

#[test]
fn unfinished_code_is_caught() {
    assert_eq!(unfinished(&made_up("fn f() { todo!() }")).len(), 1);
    assert_eq!(unfinished(&made_up("fn f() { g(unimplemented!(\"later\")) }")).len(), 1);
    assert!(unfinished(&made_up("fn f() -> &'static str { \"todo!\" }")).is_empty());
}
