//! A run of the acceptance suite over the transport of the chapter "Add a transport".
//!
//! `plainxor` hides nothing from anybody who looks twice: it is here to show the contract.

#[allow(unreachable_pub, reason = "written as in a crate of its own")]
mod plainxor;

use std::{
    io::{self, Write as _},
    sync::Arc,
    time::Duration,
};

use commucat_testkit::{
    sim::{LinkPolicy, SimNet},
    suite::{self, Cover, Fixture},
};
use commucat_transport_api::Simple;
use plainxor::PlainXor;

/// Why the suite leaves out what it cannot find here.
const NO_USERS: &str = "plainxor lets everybody in";

#[tokio::main(flavor = "current_thread", start_paused = true)]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let net = SimNet::new(7);
    net.set_policy(LinkPolicy::with_delay(Duration::from_millis(80)).loss_percent(5));
    let fixture = Fixture::simulated(Arc::new(Simple::new(PlainXor)), &net, Cover::judged_by(|_| Ok(())))?
        .without_users(NO_USERS);
    let report = suite::run_all(&fixture).await;
    write!(io::stdout(), "{report}")?;
    if report.is_ok() { Ok(()) } else { Err("plainxor is broken".into()) }
}
