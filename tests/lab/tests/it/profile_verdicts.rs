//! The probe names what the lab does: for each profile, `quick` from inside finds the mechanisms that the profile
//! holds, and none that it does not.
//!
//! One seed a profile by default; `COMMUCAT_VERDICT_SEEDS=10` runs the table of ten, of which 95 % must be right.
//! On `clean`, `lossy-mobile` and `satellite` nothing may be found at all, with any seed.

use std::{collections::BTreeSet, env, sync::Arc, time::Duration};

use commucat_censor::Profile;
use commucat_lab::{
    Lab, LabConfig, check_privileges,
    services::{World, WorldPlan},
};
use commucat_measure::{ProbeConfig, Run, Status, Targets};
use commucat_verdict::{Confidence, Finding, ids, observations::Spread};

use crate::stage::skip;

/// Seeds of a profile, unless `COMMUCAT_VERDICT_SEEDS` says another number.
const SEEDS_DEFAULT: u64 = 1;
/// Share of runs that must be right, in percent.
const RIGHT_PERCENT_MIN: usize = 95;
/// What a packet count may be off, in packets.
const PACKETS_TOLERANCE: f64 = 2.0;
/// What a count of connections may be off.
const CONNECTIONS_TOLERANCE: f64 = 1.0;

/// What the targets file of a user would say of this world.
fn targets(plan: &WorldPlan) -> Targets {
    Targets::parse(&plan.probe_targets()).unwrap()
}

/// One run of the quick set inside a lab of its own.
fn measure(chain: &str, seed: u64) -> Run {
    measure_with(chain, seed, targets)
}

fn measure_with(chain: &str, seed: u64, targets: fn(&WorldPlan) -> Targets) -> Run {
    let profile = Profile::parse(chain).unwrap();
    let mut config = LabConfig::new(profile);
    config.seed = seed;
    let lab = Lab::start(config).unwrap();
    let world = World::start(lab.world(), &WorldPlan::default()).unwrap();
    let config =
        ProbeConfig::new(targets(world.services().plan()), seed).with_budget(Duration::from_secs(60));
    let runtime = lab.client().runtime().unwrap();
    runtime.block_on(async move { commucat_measure::quick(config, Arc::new(())).await }).unwrap().unwrap()
}

/// What was found, without what stays open.
fn named(run: &Run) -> BTreeSet<String> {
    let sure =
        |finding: &&Finding| finding.confidence > Confidence::Open && finding.verdict_id != ids::INCONCLUSIVE;
    run.findings.iter().filter(sure).map(|finding| finding.verdict_id.to_string()).collect()
}

fn finding<'a>(run: &'a Run, id: &str) -> Option<&'a Finding> {
    run.findings.iter().find(|finding| finding.verdict_id == id)
}

/// Why a run is not right; empty when it is.
fn wrong(profile: &Profile, run: &Run) -> Vec<String> {
    let named = named(run);
    let ok = |id: &&String| *id != ids::OK;
    let missing =
        profile.expected.iter().filter(ok).filter(|id| !named.contains(*id)).map(|id| format!("missed {id}"));
    let known = |id: &&String| profile.expected.contains(*id) || profile.also_true.contains(*id);
    let invented = named.iter().filter(|id| !known(id)).map(|id| format!("invented {id}"));
    missing.chain(invented).chain(limits(run)).collect()
}

/// The lab's own limits, measured from inside.
fn limits(run: &Run) -> Vec<String> {
    let off = |what: &str, measured: Option<Spread>, truth: f64, tolerance: f64| match measured {
        None => Some(format!("{what} was not measured")),
        Some(spread) if (spread.median - truth).abs() > tolerance => {
            Some(format!("{what}: {spread:?} for {truth}"))
        }
        Some(_) => None,
    };
    let packets = finding(run, ids::FLOW_FREEZE_PACKETS)
        .and_then(|found| off("packets", found.thresholds.packets, 25.0, PACKETS_TOLERANCE));
    let conns = finding(run, ids::CONN_PARALLEL_LIMIT)
        .and_then(|found| off("connections", found.thresholds.conns, 6.0, CONNECTIONS_TOLERANCE));
    packets.into_iter().chain(conns).collect()
}

#[allow(clippy::print_stdout, reason = "the table is the point")]
fn profile(name: &str) {
    if let Err(missing) = check_privileges() {
        skip(&format!("no lab here: {missing}"));
        return;
    }
    let profile = Profile::named(name).unwrap();
    let seeds = env::var("COMMUCAT_VERDICT_SEEDS").ok().and_then(|n| n.parse().ok()).unwrap_or(SEEDS_DEFAULT);
    let mut failures = Vec::new();
    for seed in 1..=seeds {
        let run = measure(name, seed);
        let wrong = wrong(&profile, &run);
        println!("{name} | seed {seed} | {:?} | {} ms | {}", named(&run), run.took_ms, wrong.join(", "));
        for found in &run.findings {
            println!("    {} {:?}: {}", found.verdict_id, found.confidence, found.evidence_line);
        }
        for report in run
            .subtests
            .iter()
            .filter(|report| !wrong.is_empty() || report.status != Status::Done || run.took_ms > 30_000)
        {
            println!("    {} {:?} {} ms", report.subtest, report.status, report.took_us / 1000);
        }
        if !wrong.is_empty() {
            failures.push(format!("seed {seed}: {}", wrong.join(", ")));
        }
        // Every run can be judged again from what was stored.
        assert_eq!(commucat_verdict::conclude(&run.observations), run.findings);
    }
    let quiet = profile.expected.iter().all(|id| id == ids::OK);
    let runs = usize::try_from(seeds).unwrap();
    let right = runs - failures.len();
    let enough = if quiet { failures.is_empty() } else { right * 100 >= runs * RIGHT_PERCENT_MIN };
    assert!(enough, "{name}: {right} of {runs} runs right\n{}", failures.join("\n"));
}

/// A measured limit and what the lab's own is, and by how much they may differ.
type Limit = (fn(&Finding) -> Option<Spread>, f64, f64);

/// A network with one mechanism alone: exactly that is found, with its limit.
#[track_caller]
fn alone(chain: &str, limit: Option<Limit>) {
    if let Err(missing) = check_privileges() {
        skip(&format!("no lab here: {missing}"));
        return;
    }
    let profile = Profile::parse(chain).unwrap();
    let run = measure(chain, 1);
    let named = named(&run);
    for id in &profile.expected {
        assert!(named.contains(id), "{chain}: {id} was missed; {:#?}", run.findings);
    }
    let known = |id: &&String| profile.expected.contains(*id) || profile.also_true.contains(*id);
    assert!(named.iter().all(|id| known(&id)), "{chain}: {named:?}");
    if let Some((of, truth, tolerance)) = limit {
        let found = finding(&run, &profile.expected[0]).unwrap();
        let measured = of(found).unwrap();
        assert!((measured.median - truth).abs() <= tolerance, "{chain}: {measured:?} for {truth}");
    }
}

#[test]
fn a_tunnel_that_nobody_mentioned_is_refused() {
    if let Err(missing) = check_privileges() {
        skip(&format!("no lab here: {missing}"));
        return;
    }
    // The client's route in the lab leads into a TUN device, as with a VPN.
    let run = measure_with("clean", 1, |plan| Targets { lab: false, ..targets(plan) });
    let Status::Refused { reason } = &run.subtests[0].status else {
        panic!("{:?}", run.subtests);
    };
    assert!(reason.contains("tunnel") && reason.contains("VPN"), "{reason}");
    assert!(run.subtests.iter().skip(1).all(|report| matches!(report.status, Status::Skipped { .. })));
    assert!(run.observations.series.is_empty(), "nothing was sent");
    assert_eq!((run.findings.len(), run.exit_code()), (0, 2));
}

#[test]
fn other_counts_of_packets_are_measured() {
    alone("tspu-l4-25?packets=40", Some((|found| found.thresholds.packets, 40.0, 4.0)));
}

#[test]
fn bytes_are_told_from_packets() {
    alone("tspu-l4-25?bytes=17000", Some((|found| found.thresholds.bytes, 17_000.0, 1_700.0)));
}

#[test]
fn other_limits_of_connections_are_measured() {
    alone("tspu-conn?limit=12", Some((|found| found.thresholds.conns, 12.0, 1.0)));
}

#[test]
fn the_rate_that_is_left_is_measured() {
    alone("throttle-sni", Some((|found| found.thresholds.kbps, 140.0, 14.0)));
}

#[test]
fn each_mechanism_alone_is_named() {
    for chain in [
        "udp-off",
        "p443-rst",
        "ir-allow6",
        "ir-protofilter",
        "sni-rst",
        "sni-drop-ir",
        "quic-sni-gfw",
        "quic-len-tspu",
        "dns-inject",
        "dns-replace-ir",
        "gfw-fet?p=1",
        "vpn-sig",
        "tspu-ja4",
        "tspu-ech",
        "ru-mobile-wl",
    ] {
        alone(chain, None);
    }
}

macro_rules! profiles {
    ($($test:ident = $name:literal,)+) => {
        $(#[test] fn $test() { profile($name); })+

        #[test]
        fn every_profile_of_the_table_has_its_row() {
            let tested: BTreeSet<&str> = [$($name),+].into();
            assert_eq!(tested, Profile::names().collect::<BTreeSet<_>>());
        }
    };
}

profiles! {
    clean = "clean",
    lossy_mobile = "lossy-mobile",
    satellite = "satellite",
    cn_2023_fet = "cn-2023-fet",
    cn_2025 = "cn-2025",
    ru_2025 = "ru-2025",
    ru_2026 = "ru-2026",
    ru_mobile_wl = "ru-mobile-wl",
    ir_2020 = "ir-2020",
    ir_2025_blackout = "ir-2025-blackout",
    ir_2026_wl = "ir-2026-wl",
    tm = "tm",
}
