//! Every Rust file says at its head what it is for, and none grows past 600 lines.

use commucat_tests_tidy::{File, expect_none};

use crate::rust_files;

const MAX_LINES: usize = 600;

fn violations(file: &File) -> Vec<String> {
    let mut found = Vec::new();
    let head = file.text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    if head.strip_prefix("//!").is_none_or(|says| says.trim().is_empty()) {
        found.push(format!("{}: no `//!` at the head says what the file is for", file.path));
    }
    let lines = file.text.lines().count();
    if lines > MAX_LINES {
        found.push(format!("{}: {lines} lines; split it, the limit is {MAX_LINES}", file.path));
    }
    if file.path.ends_with("/mod.rs") {
        found.push(format!("{}: use a file with the module's name beside its folder", file.path));
    }
    found
}

#[test]
fn files_say_what_they_are_for_and_stay_short() {
    let files = rust_files();
    assert!(files.len() > 20, "only {} Rust files were found", files.len());
    expect_none("heads and lengths", &files.values().flat_map(violations).collect::<Vec<_>>());
}

#[test]
fn a_file_without_a_head_is_caught() {
    assert_eq!(violations(&File::new("a.rs", "fn f() {}\n")).len(), 1);
    assert_eq!(violations(&File::new("a.rs", "//!\nfn f() {}\n")).len(), 1);
    assert!(violations(&File::new("a.rs", "\n//! Adds.\n")).is_empty());
}

#[test]
fn a_long_file_is_caught() {
    let text = |lines: usize| "//! Long.\n".to_owned() + &"\n".repeat(lines - 1);
    assert!(violations(&File::new("a.rs", &text(MAX_LINES))).is_empty());
    assert_eq!(violations(&File::new("a.rs", &text(MAX_LINES + 1))).len(), 1);
}

#[test]
fn a_mod_rs_is_caught() {
    assert_eq!(violations(&File::new("src/frame/mod.rs", "//! Frames.\n")).len(), 1);
}
