//! The rules of the house, as ordinary tests. This library reads the tree: its files, its crates, its Rust syntax.
//! The rules themselves are in `tests/house`, one file a rule, each with a seeded violation that it must catch.
#![forbid(unsafe_code)]

mod crates;
mod files;
mod modules;
mod paths;

pub use crates::{Crate, Dependency, crates};
pub use files::{File, files, root};
pub use modules::{Module, modules};
pub use paths::{Mention, mentions};

/// Panics with the whole list when there is a finding, so that one run shows all of them.
///
/// # Panics
/// When `findings` is not empty: that is how a test fails.
#[allow(clippy::panic, reason = "the assertion of every rule")]
pub fn expect_none(rule: &str, findings: &[String]) {
    assert!(findings.is_empty(), "{rule}\n  {}", findings.join("\n  "));
}
