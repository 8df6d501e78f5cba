//! A crate depends only on crates of strictly lower floors (development dependencies are exempt), only the bundle
//! names concrete transports, and only storage speaks SQL. ARCHITECTURE.md draws the floors.

use std::collections::BTreeMap;

use commucat_tests_tidy::{Crate, Dependency, crates, expect_none};

/// Crates under `transports/` that are no transport.
const NO_TRANSPORT: [&str; 6] = [
    "commucat-transport-api",
    "commucat-net",
    "commucat-testkit",
    "commucat-bundle",
    "commucat-mimic",
    "commucat-mux",
];
const NAMES_TRANSPORTS: &str = "commucat-bundle";
const SPEAKS_SQL: &str = "commucat-storage";
const SQL: [&str; 4] = ["sqlx", "rusqlite", "tokio-postgres", "diesel"];
/// Tests stand above everything and may look at anything.
const TEST_FLOOR: u64 = 6;

fn violations(crates: &[Crate]) -> Vec<String> {
    let floors: BTreeMap<&str, u64> =
        crates.iter().filter_map(|one| Some((one.name.as_str(), one.floor?))).collect();
    let mut found = Vec::new();
    for one in crates {
        let Some(floor) = one.floor else {
            found.push(format!("{} declares no floor in [package.metadata.commucat]", one.name));
            continue;
        };
        for dependency in &one.dependencies {
            if SQL.contains(&dependency.name.as_str()) && one.name != SPEAKS_SQL && floor < TEST_FLOOR {
                found.push(format!(
                    "{} depends on {}: only {SPEAKS_SQL} speaks SQL",
                    one.name, dependency.name
                ));
            }
            if dependency.dev {
                continue;
            }
            match floors.get(dependency.name.as_str()) {
                Some(below) if *below >= floor => {
                    found.push(format!(
                        "{} (floor {floor}) depends on {} (floor {below})",
                        one.name, dependency.name
                    ));
                }
                _ => {}
            }
            let transport = crates.iter().any(|other| other.name == dependency.name && is_transport(other));
            if transport && one.name != NAMES_TRANSPORTS && floor < TEST_FLOOR {
                found.push(format!("{} names the transport {}", one.name, dependency.name));
            }
        }
    }
    found
}

fn is_transport(one: &Crate) -> bool {
    one.folder.starts_with("transports/") && !NO_TRANSPORT.contains(&one.name.as_str())
}

#[test]
fn dependencies_only_point_down() {
    let crates = crates().unwrap();
    assert!(crates.iter().any(is_transport), "the rule about transports looks at none");
    expect_none("a crate depends on strictly lower floors only", &violations(&crates));
}

#[test]
fn a_dependency_upwards_is_caught() {
    assert_eq!(
        caught(2, "commucat-server", 4, false),
        ["made (floor 2) depends on commucat-server (floor 4)"]
    );
    assert_eq!(caught(2, "commucat-net", 2, false).len(), 1);
    assert!(caught(2, "commucat-server", 4, true).is_empty());
    assert!(caught(5, "commucat-server", 4, false).is_empty());
}

#[test]
fn a_transport_named_outside_the_bundle_is_caught() {
    assert_eq!(caught(4, "commucat-websocket", 2, false), ["made names the transport commucat-websocket"]);
    assert!(caught(TEST_FLOOR, "commucat-websocket", 2, false).is_empty());
}

#[test]
fn sql_outside_storage_is_caught() {
    assert_eq!(caught(4, "sqlx", 0, false), ["made depends on sqlx: only commucat-storage speaks SQL"]);
    assert_eq!(caught(4, "sqlx", 0, true).len(), 1);
}

#[test]
fn a_crate_without_a_floor_is_caught() {
    let bare = Crate { name: "made".to_owned(), ..Crate::default() };
    assert_eq!(violations(&[bare]), ["made declares no floor in [package.metadata.commucat]"]);
}

/// What is found when a crate on `floor` depends on `name`, which stands on `below`.
fn caught(floor: u64, name: &str, below: u64, dev: bool) -> Vec<String> {
    let lower = Crate {
        name: name.to_owned(),
        folder: name.replace("commucat-websocket", "transports/websocket"),
        floor: Some(below),
        ..Crate::default()
    };
    let upper = Crate {
        name: "made".to_owned(),
        floor: Some(floor),
        dependencies: vec![Dependency { name: name.to_owned(), dev }],
        ..Crate::default()
    };
    violations(&[lower, upper])
}
