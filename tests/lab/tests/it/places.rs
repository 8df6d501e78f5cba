//! What programs of others do to a place.

use crate::stage::{Stage, succeed, until};

#[test]
fn the_end_of_an_orphan_is_not_the_end_of_the_place() {
    let Some(stage) = Stage::with("clean") else { return };
    let client = stage.lab.client();
    // The shell ends first, and its child has a session of its own: it belongs to the first process of the place then.
    succeed(client.command("sh").args(["-c", "setsid sh -c 'sleep 0.2; touch /srv/orphan' & exit 0"]));
    until("the orphan ended", || succeed(client.command("ls").arg("/srv")).contains("orphan"));
    succeed(client.command("sleep").arg("0.2"));
    succeed(&mut client.command("true"));
}
