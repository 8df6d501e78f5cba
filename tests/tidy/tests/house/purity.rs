//! Floors 0 and 1 hold no clock, no socket, no spawn, no global randomness and no files: time, bytes and random numbers
//! come in as arguments. Types such as `Instant` and `SocketAddr` are fine.

use commucat_tests_tidy::{Module, expect_none, mentions};

use crate::{made_up, sources};

const HIGHEST_PURE_FLOOR: u64 = 1;

const FORBIDDEN: &[&str] = &[
    // clocks
    "std::time::Instant::now",
    "std::time::SystemTime::now",
    "std::time::UNIX_EPOCH::elapsed",
    "tokio::time",
    "chrono::Utc::now",
    "chrono::Local::now",
    // sockets and names
    "std::net::TcpStream",
    "std::net::TcpListener",
    "std::net::UdpSocket",
    "std::net::ToSocketAddrs",
    "std::os::unix::net",
    "tokio::net",
    "socket2",
    // threads and tasks
    "std::thread::spawn",
    "std::thread::Builder",
    "std::thread::scope",
    "std::thread::sleep",
    "tokio::spawn",
    "tokio::task",
    "tokio::runtime",
    "tokio::process",
    "std::process",
    // randomness
    "getrandom",
    "rand",
    "fastrand",
    "std::hash::RandomState",
    "std::collections::hash_map::RandomState",
    "aws_lc_rs::rand",
    // files and the environment
    "std::fs",
    "std::env",
    "tokio::fs",
];

fn violations(module: &Module) -> Vec<String> {
    let mut found = Vec::new();
    for mention in mentions(&module.syntax) {
        if let Some(forbidden) = FORBIDDEN.iter().find(|forbidden| mention.is_in(forbidden)) {
            found.push(format!("{}:{}: {} ({forbidden})", module.path, mention.line, mention.path));
        }
    }
    found.dedup();
    found
}

#[test]
fn the_lower_floors_are_pure() {
    let sources = sources(|one| one.floor.is_some_and(|floor| floor <= HIGHEST_PURE_FLOOR));
    assert!(sources.len() >= 2, "the rule looks at {} crates", sources.len());
    let found: Vec<_> = sources.iter().flat_map(|(_crate, modules)| modules).flat_map(violations).collect();
    expect_none("no clock, socket, spawn, randomness or file on floors 0 and 1", &found);
}

#[test]
fn each_kind_of_effect_is_caught() {
    for source in [
        "use std::time::Instant; fn f() -> Instant { Instant::now() }",
        "fn f() { let _ = std::time::SystemTime::now(); }",
        "use std::{net::{self, SocketAddr}}; fn f() { let _ = net::TcpStream::connect(A); }",
        "use std::net::UdpSocket;",
        "fn f() { tokio::spawn(async {}); }",
        "use tokio::{io, net};",
        "use std::thread; fn f() { thread::spawn(g); }",
        "use tokio::time as clock; async fn f() { clock::sleep(D).await; }",
        "async fn f() { tokio::select! { () = tokio::time::sleep(D) => {} } }",
        "fn f() { getrandom::fill(&mut b); }",
        "fn f() -> u8 { rand::random() }",
        "fn f() { let _ = std::fs::read(P); }",
    ] {
        assert!(!violations(&made_up(source)).is_empty(), "not caught: {source}");
    }
}

#[test]
fn types_and_tests_are_fine() {
    for source in [
        "use std::{net::SocketAddr, time::{Duration, Instant}}; fn f(now: Instant, to: SocketAddr) {}",
        "use tokio::io::{AsyncRead, ReadBuf};",
        "#[cfg(test)] mod tests { fn f() { let _ = std::time::Instant::now(); } }",
        "#[test] fn f() { let _ = std::time::Instant::now(); }",
        "mod random_access { fn rand() {} }",
    ] {
        let found = violations(&made_up(source));
        assert!(found.is_empty(), "{found:?}");
    }
}

#[test]
fn the_finding_says_where() {
    let found = violations(&made_up("\nfn f() {\n    tokio::spawn(g());\n}\n"));
    assert_eq!(found, ["made/src/lib.rs:3: tokio::spawn (tokio::spawn)"]);
}
