//! What must not leave the machine does not.

use std::net::IpAddr;

use commucat_measure::{
    Run, Status,
    output::{Format, Look, render, write_jsonl},
    redact::{KeyError, RedactionKey, Redactor},
    report::Report,
};
use commucat_verdict::observations::NameClass;
use proptest::prelude::*;
use serde_json::json;

use crate::sample::{BRIDGE, PRIVATE_HOST, interfered};

fn redactor() -> Redactor {
    Redactor::new(RedactionKey::fresh().unwrap())
}

fn everything(run: &Run) -> String {
    Format::ALL.into_iter().map(|format| render(run, format, Look::default()).unwrap()).collect()
}

#[test]
fn the_sample_keeps_its_findings_and_loses_its_addresses() {
    let original = interfered();
    let run = redactor().run(&original);
    let text = everything(&run);
    for secret in [
        BRIDGE,
        PRIVATE_HOST,
        "192.0.2.53",
        "hunter2",
        "c0ffee",
        "wwan0",
        "51234",
        "198.51.100.7",
        "2001:db8:9::7",
    ] {
        assert!(
            everything(&original).contains(secret),
            "{secret} is not in the original: this test looks at nothing"
        );
        assert!(!text.contains(secret), "{secret} survived");
    }
    for kept in [
        "blocked.example",
        "www.example.org",
        "10.10.34.34",
        "flow.freeze_packets",
        "tspu-l4-25?packets=25",
        "TLSv1.3",
    ] {
        assert!(text.contains(kept), "{kept} is gone");
    }
    assert_eq!(run.findings.len(), original.findings.len());
    assert_eq!(run.findings[3].evidence_line, original.findings[3].evidence_line, "figures stay");
}

#[test]
fn equal_addresses_stay_equal_and_other_keys_give_others() {
    let addresses = |run: &Run| {
        let trials = run.observations.series.iter().flat_map(|series| &series.trials);
        trials.filter_map(|trial| trial.address).map(|address| address.ip()).collect::<Vec<IpAddr>>()
    };
    let one = redactor();
    let first = addresses(&one.run(&interfered()));
    assert!(first.iter().all(|address| *address == first[0]), "one server, one stand-in");
    assert_eq!(first, addresses(&one.run(&interfered())));
    assert_ne!(first, addresses(&redactor().run(&interfered())));
}

#[test]
fn a_hidden_word_goes_even_where_names_stay() {
    let run = redactor().hide("Blocked.Example").run(&interfered());
    assert!(!everything(&run).contains("blocked.example"));
}

#[test]
fn redacted_rows_are_valid_rows_and_read_back() {
    let run = redactor().run(&interfered());
    let mut rows = Vec::new();
    write_jsonl(&run, &mut rows).unwrap();
    assert!(commucat_measure::output::read_bytes(&rows).unwrap().runs == [run]);
}

#[test]
fn a_kept_key_is_the_same_again_and_private() {
    use std::os::unix::fs::PermissionsExt as _;
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("redaction.key");
    let one = Redactor::new(RedactionKey::kept(&path).unwrap()).run(&interfered());
    let other = Redactor::new(RedactionKey::kept(&path).unwrap()).run(&interfered());
    assert!(one == other);
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    std::fs::write(&path, b"short").unwrap();
    assert!(matches!(RedactionKey::kept(&path), Err(KeyError::Length { .. })));
}

#[test]
fn a_report_is_private_when_it_is_asked_to_be() {
    let scratch = tempfile::tempdir().unwrap();
    let file = scratch.path().join("runs.jsonl");
    let mut rows = Vec::new();
    write_jsonl(&interfered(), &mut rows).unwrap();
    std::fs::write(&file, rows).unwrap();
    let files = [file.clone(), file];
    let open = Report::read(&files, None).unwrap();
    assert_eq!(open.runs().len(), 1, "the same run twice is one");
    let hidden = Report::read(&files, Some(&redactor())).unwrap();
    assert!(hidden.html().contains("addresses hidden"));
    assert!(!hidden.html().contains(PRIVATE_HOST) && !hidden.html().contains(BRIDGE));
}

#[test]
fn a_long_report_keeps_what_it_shows() {
    let scratch = tempfile::tempdir().unwrap();
    let mut files = Vec::new();
    for (number, runs) in crate::sample::days(40).chunks(10).enumerate() {
        let mut rows = Vec::new();
        runs.iter().for_each(|run| write_jsonl(run, &mut rows).unwrap());
        // The newest file first: the order of files does not matter.
        files.insert(0, scratch.path().join(format!("{number}.jsonl")));
        std::fs::write(&files[0], rows).unwrap();
    }
    let report = Report::read(&files, None).unwrap();
    let runs = crate::sample::days(40);
    assert_eq!(report.runs().len(), 40);
    assert!(report.runs()[39] == runs[39], "the newest is whole");
    assert!(report.runs().iter().zip(&runs).all(|(read, run)| read.findings == run.findings));
    assert!(report.runs()[0].observations.series.is_empty());
}

/// A name that no text of ours contains by chance.
fn private_name() -> impl Strategy<Value = String> {
    ("[b-dq-z][a-z0-9]{6,12}", prop::sample::select(vec!["net", "org", "xn--p1ai", "Example", "info"]))
        .prop_map(|(label, top)| format!("q{label}.{top}"))
}

fn private_address() -> impl Strategy<Value = IpAddr> {
    let v4 = (11_u8..=223, any::<u8>(), any::<u8>(), 1_u8..=254)
        .prop_filter("not a loopback", |(a, ..)| *a != 127);
    prop_oneof![
        v4.prop_map(|(a, b, c, d)| IpAddr::from([a, b, c, d])),
        any::<[u16; 6]>().prop_map(|[a, b, c, d, e, f]| IpAddr::from([
            0x2a00,
            a | 1,
            b,
            c,
            d,
            e,
            f | 0x1000,
            7
        ])),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_address_and_no_name_survives(
        names in prop::collection::vec(private_name(), 6),
        addresses in prop::collection::vec(private_address(), 6),
    ) {
        let mut run = interfered();
        plant(&mut run, &names, &addresses);
        let text = everything(&redactor().run(&run)).to_lowercase();
        for name in &names {
            prop_assert!(!text.contains(&name.to_lowercase()), "{} survived", name);
        }
        for address in &addresses {
            // Between other digits it may stand by chance: `1.2.3.4` in `11.2.3.45`.
            let address = address.to_string();
            let found = text.match_indices(&address).any(|(at, _)| {
                let around = [text[..at].chars().next_back(), text[at + address.len()..].chars().next()];
                around.into_iter().flatten().all(|c| !c.is_ascii_hexdigit())
            });
            prop_assert!(!found, "{} survived", address);
        }
    }

    #[test]
    fn no_text_breaks_the_redactor(text in "\\PC{0,200}") {
        let mut run = interfered();
        run.findings[0].evidence_line.clone_from(&text);
        run.subtests[0].details = Some(json!({ text.clone(): [text] }));
        let _run = redactor().hide("İ").run(&run);
    }
}

/// Puts names and addresses wherever a run has room for text or an address.
fn plant(run: &mut Run, names: &[String], addresses: &[IpAddr]) {
    let (name, address) = (&names[0], addresses[0]);
    run.findings[0].evidence_line = format!(
        "{name}:443 at {address} ({}), then [{}]:8443; {}.",
        names[1],
        addresses[1],
        names[2].to_uppercase()
    );
    run.findings[1].evidence_line =
        format!("ss://secret@{name}:1#{}, to:{address} {name}, {name}.", names[3]);
    run.findings[2].policy_hint.push(format!("sni-rst?name={name}&to={address}"));
    run.subtests[0].status =
        Status::Failed { reason: format!("{name}: no route to {address}: {}/24", addresses[2]) };
    run.subtests[1].details = Some(json!({
        name.clone(): address.to_string(), "list": [names[4], { "socket": format!("{}:53", addresses[3]) }],
        "token": names[5], "peer": std::net::SocketAddr::new(addresses[4], 443).to_string(),
    }));
    let series = &mut run.observations.series;
    series[0].trials[0].server_name = Some(name.clone());
    series[0].condition.name = None;
    series[1].condition.name = Some(NameClass::Random);
    series[1].trials[0].server_name = Some(names[1].clone());
    for (at, series) in series.iter_mut().enumerate() {
        for trial in &mut series.trials {
            trial.address = Some((addresses[at % addresses.len()], 443).into());
        }
    }
    run.observations.lookups[0].class = NameClass::Random;
    run.observations.lookups[0].name.clone_from(&names[2]);
    for lookup in &mut run.observations.lookups {
        lookup.address.set_ip(addresses[5]);
        lookup
            .answers
            .iter_mut()
            .filter(|answer| !answer.bogon)
            .for_each(|answer| answer.addresses = addresses.to_vec());
    }
    let environment = run.observations.environment.as_mut().unwrap();
    environment.interface = Some(name.clone());
    environment.tunnels.push(names[1].clone());
}
