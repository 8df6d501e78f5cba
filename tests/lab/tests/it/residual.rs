//! What stays after a blocked connection, and that it ends.

use std::net::Ipv4Addr;

use commucat_lab::victims::{Outcome, Run, Scene, echo};

use crate::stage::{Stage, until};

/// The hosts of one case: the server that was blocked, and its neighbour.
const BLOCKED: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 20);
const NEIGHBOUR: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 21);
const PORT: u16 = 8080;

fn say(stage: &Stage, to: Ipv4Addr, port: u16, random: bool) -> Outcome {
    let scene = Scene::new(&stage.world, Run::Victim, 1).unwrap();
    let bytes = if random { scene.random(400) } else { b"hello, this is plain text\n".repeat(8) };
    let inside = stage.lab.client().runtime().unwrap();
    inside.block_on(async move { echo(&scene, (to, port).into(), bytes).await }).unwrap()
}

#[test]
fn a_blocked_flow_costs_the_same_port_of_the_same_server_for_a_while_and_nothing_else() {
    let Some(stage) = Stage::with("gfw-fet?p=1&residual=4s") else { return };
    assert!(say(&stage, BLOCKED, PORT, false).is_intact());
    assert!(!say(&stage, BLOCKED, PORT, true).is_intact());
    // The residual covers client, server and port: the same innocent bytes pass beside it, and not there.
    assert!(!say(&stage, BLOCKED, PORT, false).is_intact());
    assert!(say(&stage, BLOCKED, 9443, false).is_intact());
    assert!(say(&stage, NEIGHBOUR, PORT, false).is_intact());
    until("the residual ends", || say(&stage, BLOCKED, PORT, false).is_intact());
    stage.blamed("gfw-fet");
}
