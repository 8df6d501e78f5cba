//! Every example in `configs/` can be read, and the examples are checked as far as this build can.

use std::{fs, path::PathBuf};

use commucat_bundle::Bundle;
use commucat_server::BridgeConfig;

fn folder() -> PathBuf {
    PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").unwrap()).join("../configs")
}

#[test]
fn every_example_parses() {
    let mut configs = 0;
    for entry in fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        match path.extension().and_then(|ending| ending.to_str()) {
            // The probe's own tests read it.
            Some("toml") if path.ends_with("probe-targets.toml") => {}
            Some("toml" | "yaml") => {
                let config = BridgeConfig::load(Some(&path), std::iter::empty());
                config.unwrap_or_else(|error| panic!("{error}"));
                configs += 1;
            }
            Some("service" | "conf") => assert!(!fs::read_to_string(&path).unwrap().is_empty()),
            other => panic!("{}: nobody checks {other:?}", path.display()),
        }
    }
    assert!(configs >= 2, "the examples are there");
}

#[test]
fn the_toml_and_the_yaml_example_say_the_same() {
    let load = |name: &str| BridgeConfig::load(Some(&folder().join(name)), std::iter::empty()).unwrap();
    let (toml, yaml) = (load("commucat.example.toml"), load("commucat.example.yaml"));
    assert_eq!(toml.endpoints, yaml.endpoints);
    assert_eq!((toml.egress, toml.limits, toml.rate), (yaml.egress, yaml.limits, yaml.rate));
    assert_eq!((toml.assist, toml.log), (yaml.assist, yaml.log));
    assert_eq!((toml.server.domain, toml.server.tls), (yaml.server.domain, yaml.server.tls));
}

/// What the transports themselves think of the examples.
#[test]
fn only_the_files_of_another_machine_are_missing() {
    let bundle = Bundle::standard();
    let load = |name: &str| BridgeConfig::load(Some(&folder().join(name)), std::iter::empty()).unwrap();
    load("behind-nginx.example.toml").check(&bundle).unwrap();
    for name in ["commucat.example.toml", "commucat.example.yaml"] {
        let error = load(name).check(&bundle).unwrap_err();
        for issue in error.issues() {
            let missing = issue.to_string().contains("/etc/commucat/") || issue.key.ends_with("params.cover");
            assert!(missing, "{issue}");
        }
    }
}

/// What a broken unit would do to every reader of the guide.
#[test]
fn the_unit_has_what_the_guide_promises() {
    let unit = fs::read_to_string(folder().join("commucat.service")).unwrap();
    let keys = [
        "Type=notify",
        "ExecReload=",
        "WatchdogSec=",
        "StateDirectory=commucat",
        "User=commucat",
        "NoNewPrivileges=yes",
        "AmbientCapabilities=CAP_NET_BIND_SERVICE",
        "CapabilityBoundingSet=CAP_NET_BIND_SERVICE",
        "LimitNOFILE=",
        "ProtectSystem=strict",
        "WantedBy=multi-user.target",
    ];
    for key in keys {
        assert!(unit.lines().any(|line| line.starts_with(key)), "{key}");
    }
    for line in unit.lines().filter(|line| !line.is_empty() && !line.starts_with(['#', '['])) {
        assert!(line.contains('='), "{line}");
    }
}
