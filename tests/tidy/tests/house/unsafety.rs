//! Every library and program forbids unsafe code, outside the crates named here.

use commucat_tests_tidy::{crates, expect_none};
use syn::Meta;

use crate::rust_files;

/// Crates that may hold `unsafe`, each with its reason. There is none today; the first would be the one that calls the
/// operating system where no safe crate does.
const MAY_BE_UNSAFE: [(&str, &str); 0] = [];

fn forbids_unsafe(source: &str) -> bool {
    let file = syn::parse_file(source).unwrap();
    file.attrs.iter().any(|attribute| match &attribute.meta {
        Meta::List(list) => list.path.is_ident("forbid") && list.tokens.to_string() == "unsafe_code",
        Meta::Path(_) | Meta::NameValue(_) => false,
    })
}

#[test]
fn every_crate_forbids_unsafe_code() {
    let (crates, files) = (crates().unwrap(), rust_files());
    let found: Vec<_> = crates
        .iter()
        .filter(|one| !MAY_BE_UNSAFE.iter().any(|(name, _reason)| *name == one.name))
        .flat_map(|one| &one.roots)
        .filter(|root| !forbids_unsafe(&files[*root].text))
        .map(|root| format!("{root}: no `#![forbid(unsafe_code)]`"))
        .collect();
    expect_none("unsafe code is forbidden", &found);
}

#[test]
fn a_root_that_does_not_forbid_is_caught() {
    assert!(!forbids_unsafe("//! A crate.\nfn f() {}"));
    assert!(!forbids_unsafe("//! A crate.\n#![deny(unsafe_code)]"));
    assert!(!forbids_unsafe("//! Say #![forbid(unsafe_code)].\n"));
    assert!(forbids_unsafe("//! A crate.\n#![forbid(unsafe_code)]"));
}
