//! Profiles: the table, the text form, the file form.

use proptest::prelude::*;

use super::*;
use crate::{
    policies,
    testing::{Bench, hello, random_bytes},
};

const NAMES: [&str; 12] = [
    "clean",
    "lossy-mobile",
    "satellite",
    "cn-2023-fet",
    "cn-2025",
    "ru-2025",
    "ru-2026",
    "ru-mobile-wl",
    "ir-2020",
    "ir-2025-blackout",
    "ir-2026-wl",
    "tm",
];

#[test]
fn every_profile_of_the_table_is_made_of_policies_that_exist() {
    let all = Profile::all();
    assert_eq!(all.iter().map(|profile| profile.name.as_str()).collect::<Vec<_>>(), NAMES);
    for profile in all {
        for policy in &profile.policies {
            policies::check(policy).unwrap_or_else(|error| panic!("{}: {error}", profile.name));
        }
        assert!(profile.about.ends_with('.') && !profile.sources.is_empty(), "{}", profile.name);
    }
}

#[test]
fn what_a_probe_should_name() {
    for (name, expected) in [
        ("clean", &["ok"][..]),
        ("lossy-mobile", &["ok"]),
        ("satellite", &["ok"]),
        ("cn-2023-fet", &["dns.injected", "tls.rst_after_ch", "proto.fet"]),
        ("cn-2025", &["dns.injected", "tls.rst_after_ch", "quic.sni"]),
        (
            "ru-2025",
            &["tls.rst_after_ch", "quic.drop_after_initial", "flow.freeze_packets", "proto.vpn_signature"],
        ),
        (
            "ru-2026",
            &[
                "flow.freeze_packets",
                "conn.parallel_limit",
                "tls.fp_blocked",
                "tls.ech_blocked",
                "proto.vpn_signature",
            ],
        ),
        ("ru-mobile-wl", &["net.whitelist_cidr"]),
        ("ir-2020", &["dns.bogon", "tls.rst_after_ch", "proto.allowlist"]),
        ("ir-2025-blackout", &["net.shutdown"]),
        ("ir-2026-wl", &["net.whitelist_cidr"]),
        ("tm", &["dns.injected", "tls.rst_after_ch"]),
    ] {
        assert_eq!(Profile::named(name).unwrap().expected, expected, "{name}");
    }
}

#[test]
fn every_policy_shows_something_or_says_why_not() {
    for entry in policies::POLICIES {
        let found = observable(&PolicySpec::new(entry.name));
        assert_eq!(found.expected.is_empty(), found.unseen.is_some(), "{}", entry.name);
    }
    let unseen = Profile::named("tm").unwrap().unseen;
    assert_eq!(unseen.iter().map(|one| one.policy.as_str()).collect::<Vec<_>>(), ["volume-ban"]);
}

#[test]
fn a_text_of_policies_and_a_link() {
    let profile = Profile::parse("gfw-fet?p=1&residual=10s+link?delay=80ms").unwrap();
    assert_eq!((profile.name.as_str(), profile.policies.len()), ("custom", 1));
    assert_eq!(profile.policies[0].get("p"), Some("1"));
    assert_eq!(profile.link, LinkSpec::parse("link?delay=80ms").unwrap());
    assert_eq!(profile.expected, ["proto.fet"]);
    assert_eq!(Profile::parse(" ru-2026 ").unwrap().name, "ru-2026");
    assert_eq!(Profile::parse("").unwrap().expected, ["ok"]);
}

#[test]
fn a_profile_in_a_text_can_be_changed() {
    let profile = Profile::parse("ru-2026+tspu-l4-25?packets=40+udp-off+lossy-mobile+link?loss=1%").unwrap();
    let freezes: Vec<_> = profile.policies.iter().filter(|policy| policy.name == "tspu-l4-25").collect();
    assert_eq!(freezes.len(), 1);
    assert_eq!(freezes[0].get("packets"), Some("40"));
    assert!(profile.policies.iter().any(|policy| policy.name == "udp-off"));
    assert!((profile.link.loss - 0.01).abs() < 1e-12);
    assert_eq!(profile.link.up, Some(10_000_000));
    let twice = Profile::parse("gfw-fet?p=1+gfw-fet?p=0").unwrap();
    assert_eq!(twice.policies.len(), 2);
}

#[test]
fn wrong_texts_say_what_was_meant() {
    for (text, says) in [
        ("ru-2062", "did you mean `ru-202"),
        ("gfw-fit", "did you mean `gfw-fet`"),
        ("gfw-fet?residul=1s", "did you mean `residual`"),
        ("gfw-fet?p=2", "expected a probability"),
        ("ru-2026?p=1", "a profile takes no parameters"),
        ("udp-off+lnk?delay=1s", "did you mean `link`"),
    ] {
        let error = Profile::parse(text).unwrap_err().to_string();
        assert!(error.contains(says), "{text}: {error}");
    }
}

#[test]
fn a_file() {
    let profile = Profile::from_toml(
        r#"
        name = "office"
        chain = ["ru-2025", "sni-rst?residual=10s"]
        link = "link?delay=20ms"
        expected = ["tls.rst_after_ch"]
        "#,
    )
    .unwrap();
    assert_eq!((profile.name.as_str(), profile.policies.len()), ("office", 4));
    assert_eq!(profile.policies[0].get("residual"), Some("10s"));
    assert_eq!(profile.expected, ["tls.rst_after_ch"]);
    for (text, says) in [
        ("chian = []", "unknown field"),
        ("chain = [", "not right"),
        ("chain = [\"gfw-fit\"]", "did you mean"),
        ("link = \"udp-off\"", "no policy `udp-off`"),
    ] {
        let error = Profile::from_toml(text).unwrap_err().to_string();
        assert!(error.contains(says), "{text}: {error}");
    }
}

proptest! {
    #[test]
    fn any_text_is_answered(text in "[a-z0-9?=&+%. -]{0,60}") {
        let _answers = (Profile::parse(&text), Profile::from_toml(&text));
    }

    /// The chain of any mixture of profiles reads back to the same policies and link.
    #[test]
    fn a_chain_reads_back(picked in proptest::collection::vec(0..NAMES.len(), 0..4)) {
        let text = picked.iter().map(|index| NAMES[*index]).collect::<Vec<_>>().join("+");
        let profile = Profile::parse(&text).unwrap();
        let again = Profile::parse(&profile.chain()).unwrap();
        prop_assert_eq!(profile.chain(), again.chain());
        prop_assert_eq!(profile.link, again.link);
        prop_assert_eq!(profile.expected, again.expected);
    }
}

/// A visit to a site: the hello, and an answer that fits into the fewest packets.
fn visit(bench: &mut Bench, address: &str, name: &str) -> bool {
    let mut connection = bench.connect(address, 443);
    connection.client_says(bench, &hello(name));
    connection.world_says(bench, &random_bytes(4_000));
    connection.close(bench);
    connection.is_untouched()
}

#[test]
fn every_profile_makes_a_judge_that_lets_home_sites_pass() {
    for name in NAMES {
        let mut bench = Bench::scaled(name, 0.05);
        assert!(visit(&mut bench, "198.18.0.10", "domestic.example"), "{name}");
        let whitelists = ["ru-mobile-wl", "ir-2026-wl"];
        let passes = visit(&mut bench, "198.51.100.10", "innocent.example");
        assert_eq!(passes, !whitelists.contains(&name), "{name}: a harmless site abroad");
        let mut dns = bench.datagrams("192.0.2.53", 53);
        let question =
            commucat_dissect::dns::query(7, "innocent.example", commucat_dissect::dns::TYPE_A).unwrap();
        dns.client_says(&mut bench, &question);
        assert!(dns.lost == 0 && bench.injected.is_empty(), "{name}: a harmless name");
    }
}

#[test]
fn presets_of_profiles_follow_the_time_scale() {
    for (chain, scale, pause, passes) in [
        ("ru-2025", 1.0, 70, false),
        ("ru-2025", 1.0, 76, true),
        ("ru-2025", 0.1, 7, false),
        ("ru-2025", 0.1, 8, true),
        ("ru-2025+sni-rst?residual=75s", 0.1, 70, false),
        ("ru-2025+sni-rst?residual=75s", 0.1, 76, true),
    ] {
        let mut bench = Bench::scaled(chain, scale);
        assert!(!visit(&mut bench, "198.51.100.10", "blocked.example"));
        bench.pass(std::time::Duration::from_secs(pause));
        assert_eq!(visit(&mut bench, "198.51.100.10", "innocent.example"), passes, "{chain} {scale} {pause}");
    }
}
