//! Every Rust file belongs to a crate: a file that no `mod` line leads to is never compiled, and rots.

use std::collections::{BTreeMap, BTreeSet};

use commucat_tests_tidy::{File, crates, expect_none, modules};

use crate::rust_files;

/// Rust files that are built by their own means.
const READ_OTHERWISE: [&str; 1] = ["tests/fuzz/libfuzzer/"];

fn violations(roots: &[String], files: &BTreeMap<String, File>) -> Vec<String> {
    let known: BTreeSet<String> =
        roots.iter().flat_map(|root| modules(root, files).unwrap()).map(|module| module.path).collect();
    files
        .keys()
        .filter(|path| {
            !known.contains(*path) && !READ_OTHERWISE.iter().any(|folder| path.starts_with(folder))
        })
        .map(|path| format!("{path}: no `mod` line leads here"))
        .collect()
}

#[test]
fn every_file_belongs_to_a_crate() {
    let roots: Vec<_> =
        crates().unwrap().into_iter().flat_map(|one| one.roots.into_iter().chain(one.side_roots)).collect();
    expect_none("no orphaned file", &violations(&roots, &rust_files()));
}

#[test]
fn an_orphan_is_caught() {
    let files: BTreeMap<String, File> = [
        ("a/src/lib.rs", "mod used;\n#[path = \"odd/name.rs\"]\nmod other;\nmod inline { mod deep; }"),
        ("a/src/used.rs", "mod below;"),
        ("a/src/used/below.rs", ""),
        ("a/src/odd/name.rs", ""),
        ("a/src/inline/deep.rs", ""),
        ("a/src/lost.rs", ""),
    ]
    .into_iter()
    .map(|(path, text)| (path.to_owned(), File::new(path, text)))
    .collect();
    assert_eq!(violations(&["a/src/lib.rs".to_owned()], &files), ["a/src/lost.rs: no `mod` line leads here"]);
}
