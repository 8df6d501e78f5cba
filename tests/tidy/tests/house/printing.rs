//! A library does not print: what it has to say goes back as a value, or into `tracing`.

use commucat_tests_tidy::{Module, expect_none, mentions};

use crate::{made_up, sources};

/// Crates that talk to a person, and so may print. Interop tests say which peer they did not find.
const PRINTS: [&str; 3] = ["commucat", "commucat-tests-perf", "commucat-tests-interop"];
const MACROS: [&str; 5] = ["print!", "println!", "eprint!", "eprintln!", "dbg!"];

fn violations(module: &Module) -> Vec<String> {
    mentions(&module.syntax)
        .into_iter()
        .filter(|mention| MACROS.contains(&mention.last()))
        .map(|mention| format!("{}:{}: {}", module.path, mention.line, mention.path))
        .collect()
}

#[test]
fn libraries_do_not_print() {
    let sources = sources(|one| !PRINTS.contains(&one.name.as_str()));
    let found: Vec<_> = sources.iter().flat_map(|(_crate, modules)| modules).flat_map(violations).collect();
    expect_none("libraries do not print", &found);
}

#[test]
fn a_print_is_caught() {
    assert_eq!(violations(&made_up("fn f() { println!(\"hi\"); }")), ["made/src/lib.rs:1: println!"]);
    assert_eq!(violations(&made_up("fn f() { tokio::select! { _ = g() => eprintln!(\"hi\") } }")).len(), 1);
    assert!(violations(&made_up("fn f() { tracing::info!(\"println!\"); }")).is_empty());
}
