//! What the lab's world offers, through the lab.

use std::{net::IpAddr, time::Instant};

use commucat_lab::services::{World, WorldPlan};

use crate::stage::{Stage, bare, program, run, succeed};

#[test]
fn a_lab_with_all_its_services_starts_fast() {
    let began = Instant::now();
    let Some(stage) = Stage::with("clean") else { return };
    println!("started in {:?}", began.elapsed());
    assert_eq!(stage.world.services().plan(), &WorldPlan::default().lean());
    assert_eq!(stage.world.services().controls().len(), 3);
}

#[test]
fn every_port_of_the_whole_plan_can_be_had() {
    let Some(lab) = bare("clean") else { return };
    let began = Instant::now();
    let world = World::start(lab.world(), &WorldPlan::default()).unwrap();
    println!("started in {:?}", began.elapsed());
    assert_eq!(world.services().plan(), &WorldPlan::default());
}

#[test]
fn the_system_finds_every_name_of_the_zone() {
    if program("getent", "libc-bin").is_none() {
        return;
    }
    let Some(stage) = Stage::with("clean") else { return };
    for (name, address) in stage.world.services().plan().zone() {
        let found = succeed(stage.lab.client().command("getent").args(["ahostsv4", &name]));
        assert!(found.split_whitespace().next() == Some(&address.to_string()), "{name}: {found}");
        assert!(matches!(address, IpAddr::V4(_)));
    }
    let unknown = run(stage.lab.client().command("getent").args(["ahostsv4", "nowhere.example"]));
    assert_eq!(unknown.status.code(), Some(2), "no such name");
    stage.untouched();
}

#[test]
fn programs_of_a_place_trust_the_lab_and_no_file_of_it_is_seen_outside() {
    if program("curl", "curl").is_none() {
        return;
    }
    let Some(stage) = Stage::with("clean") else { return };
    let curl = |place: &commucat_lab::Place| {
        let mut curl = place.command("curl");
        run(curl.args([
            "--disable",
            "--silent",
            "--show-error",
            "--max-time",
            "20",
            "https://control.example/time",
        ]))
    };
    let trusted = curl(stage.lab.client());
    assert!(String::from_utf8_lossy(&trusted.stdout).contains("unix_ms"), "{trusted:?}");
    // 60: the certificate cannot be checked (libcurl-errors(3)). The prober was told nothing.
    assert_eq!(curl(stage.lab.prober()).status.code(), Some(60));
    assert!(!std::path::Path::new("/srv/lab-authority.pem").exists());
}
