//! Every manifest inherits the lints and the package fields of the workspace, says what the crate is, and takes its
//! dependencies' versions from the workspace, so that a version is written down once.

use commucat_tests_tidy::{Crate, crates, expect_none, root};
use toml::{Table, Value};

const INHERITED: [&str; 5] = ["version", "edition", "rust-version", "license", "publish"];
const SECTIONS: [&str; 3] = ["dependencies", "dev-dependencies", "build-dependencies"];

fn violations(one: &Crate, manifest: &str) -> Vec<String> {
    let table: Table = manifest.parse().unwrap();
    let mut found = Vec::new();
    let mut say = |what: String| found.push(format!("{}/Cargo.toml: {what}", one.folder));
    if !inherits(table.get("lints")) {
        say("no `[lints] workspace = true`".to_owned());
    }
    for field in INHERITED {
        if !inherits(table.get("package").and_then(|package| package.get(field))) {
            say(format!("`{field}` is not the workspace's"));
        }
    }
    if one.description.as_deref().is_none_or(|text| text.trim().is_empty()) {
        say("no description".to_owned());
    }
    for section in SECTIONS {
        for (name, value) in table.get(section).and_then(Value::as_table).into_iter().flatten() {
            // A floor-0 crate may take less of a dependency than the workspace's entry asks for: features only add.
            let trimmed = value.get("default-features") == Some(&Value::Boolean(false));
            if !inherits(Some(value)) && !trimmed {
                say(format!("`{name}` has a version of its own in [{section}]"));
            }
        }
    }
    found
}

fn inherits(value: Option<&Value>) -> bool {
    value.and_then(|value| value.get("workspace")) == Some(&Value::Boolean(true))
}

#[test]
fn manifests_inherit_from_the_workspace() {
    let found: Vec<_> = crates()
        .unwrap()
        .iter()
        .flat_map(|one| {
            violations(one, &std::fs::read_to_string(root().join(&one.folder).join("Cargo.toml")).unwrap())
        })
        .collect();
    expect_none("manifests inherit from the workspace", &found);
}

#[test]
fn what_is_not_inherited_is_caught() {
    let good = "[package]\nversion.workspace = true\nedition.workspace = true\nrust-version.workspace = true\n\
                license.workspace = true\npublish.workspace = true\n[lints]\nworkspace = true\n\
                [dependencies]\nbytes.workspace = true\n";
    let one = Crate { description: Some("A crate".to_owned()), ..Crate::default() };
    assert!(violations(&one, good).is_empty());
    assert_eq!(violations(&Crate::default(), good).len(), 1);
    for seeded in [
        good.replace("[lints]\nworkspace = true\n", ""),
        good.replace("license.workspace = true", "license = \"MIT\""),
        good.replace("bytes.workspace = true", "bytes = \"1\""),
    ] {
        assert_eq!(violations(&one, &seeded).len(), 1, "{seeded}");
    }
}
