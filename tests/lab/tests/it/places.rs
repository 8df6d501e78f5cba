//! What programs of others do to a place.

use crate::stage::{Stage, succeed, until};

#[test]
fn the_end_of_an_orphan_is_not_the_end_of_the_place() {
    let Some(stage) = Stage::with("clean") else { return };
    let client = stage.lab.client();
    // The shell ends first, and its child has a session of its own, as it says itself: it belongs to the first process
    // of the place then. A child that had none yet would end with the shell's group.
    let script = "setsid sh -c 'touch /srv/begun; sleep 0.2; touch /srv/orphan' &
        until [ -e /srv/begun ]; do sleep 0.01; done";
    succeed(client.command("sh").args(["-c", script]));
    until("the orphan ended", || succeed(client.command("ls").arg("/srv")).contains("orphan"));
    succeed(client.command("sleep").arg("0.2"));
    succeed(&mut client.command("true"));
}
