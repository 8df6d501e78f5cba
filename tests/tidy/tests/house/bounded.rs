//! In the product every queue is bounded, and bytes run over real sockets: the in-memory pipe is for tests.

use commucat_tests_tidy::{Module, expect_none, mentions};

use crate::{made_up, sources};

/// Crates that exist for tests.
const FOR_TESTS: [&str; 1] = ["commucat-testkit"];
const TEST_FLOOR: u64 = 6;

const PIPES: [&str; 4] = ["duplex", "simplex", "DuplexStream", "SimplexStream"];
const UNBOUNDED: [&str; 5] = [
    "std::sync::mpsc::channel",
    "tokio::sync::mpsc::unbounded_channel",
    "futures_util::channel::mpsc::unbounded",
    "flume::unbounded",
    "async_channel::unbounded",
];

fn violations(module: &Module) -> Vec<String> {
    let mut found = Vec::new();
    for mention in mentions(&module.syntax) {
        if PIPES.iter().any(|pipe| mention.path == format!("tokio::io::{pipe}")) {
            found.push(format!("{}:{}: in-memory pipe {}", module.path, mention.line, mention.path));
        }
        if UNBOUNDED.iter().any(|queue| mention.is_in(queue)) || mention.last() == "unbounded_channel" {
            found.push(format!("{}:{}: unbounded queue {}", module.path, mention.line, mention.path));
        }
    }
    found.dedup();
    found
}

#[test]
fn the_product_has_no_pipe_and_no_unbounded_queue() {
    let sources = sources(|one| {
        !FOR_TESTS.contains(&one.name.as_str()) && one.floor.is_none_or(|floor| floor < TEST_FLOOR)
    });
    let found: Vec<_> = sources.iter().flat_map(|(_crate, modules)| modules).flat_map(violations).collect();
    expect_none("no in-memory pipe, no unbounded queue", &found);
}

#[test]
fn pipes_and_unbounded_queues_are_caught() {
    for source in [
        "fn f() { let (a, b) = tokio::io::duplex(64); }",
        "use tokio::io::{self, AsyncRead}; fn f() { io::simplex(64); }",
        "use tokio::io::DuplexStream;",
        "use tokio::sync::mpsc; fn f() { mpsc::unbounded_channel::<u8>(); }",
        "use std::sync::mpsc::channel;",
        "fn f() { vec![std::sync::mpsc::channel::<u8>()]; }",
    ] {
        assert!(!violations(&made_up(source)).is_empty(), "not caught: {source}");
    }
}

#[test]
fn bounded_queues_and_pipes_in_tests_are_fine() {
    for source in [
        "use tokio::sync::mpsc; fn f() { mpsc::channel::<u8>(8); }",
        "#[cfg(test)] mod tests { fn f() { tokio::io::duplex(64); } }",
    ] {
        let found = violations(&made_up(source));
        assert!(found.is_empty(), "{found:?}");
    }
}
