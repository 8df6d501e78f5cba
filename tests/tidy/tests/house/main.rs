//! The rules of the house. Each file is a rule: the rule itself, the test that the tree keeps it, and a test that a
//! seeded violation is caught.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]
#![forbid(unsafe_code)]

mod bounded;
mod configs;
mod floors;
mod guide;
mod heads;
mod links;
mod manifests;
mod orphans;
mod printing;
mod purity;
mod unsafety;
mod words;

use std::collections::BTreeMap;

use commucat_tests_tidy::{Crate, File, Module, crates, files, modules};

/// Every Rust file by path.
fn rust_files() -> BTreeMap<String, File> {
    files("")
        .unwrap()
        .into_iter()
        .filter(|file| file.extension() == "rs")
        .map(|f| (f.path.clone(), f))
        .collect()
}

/// The source of a crate's library and programs, each with what only tests see left out.
fn product(of: &Crate, files: &BTreeMap<String, File>) -> Vec<Module> {
    let read = |root: &String| modules(root, files).unwrap();
    of.roots.iter().flat_map(read).filter(|module| !module.test_only).collect()
}

/// The crates of which `wanted` is true, each with its product's source.
fn sources(wanted: impl Fn(&Crate) -> bool) -> Vec<(Crate, Vec<Module>)> {
    let files = rust_files();
    crates()
        .unwrap()
        .into_iter()
        .filter(wanted)
        .map(|one| {
            let modules = product(&one, &files);
            (one, modules)
        })
        .collect()
}

/// A product file that a test makes up.
fn made_up(text: &str) -> Module {
    let path = "made/src/lib.rs";
    let files = BTreeMap::from([(path.to_owned(), File::new(path, text))]);
    modules(path, &files).unwrap().remove(0)
}
