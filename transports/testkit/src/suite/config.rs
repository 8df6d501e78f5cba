//! Specs and links, and what a dropped server leaves.

use std::mem;

use commucat_transport_api::{HostPort, Spec};
use serde_json::json;

use super::{
    CheckError, Fixture, Outcome,
    bridge::Bridge,
    fixture::user,
    report::ensure,
    services::Service,
    session::{ALICE, Session},
    streams::exchange,
};

/// Names that people give to links: plain, none, and with every byte that a URL could trip over.
const LINK_NAMES: [&str; 3] = ["home", "", "Zoë's #1 & 2? 100% /née:@ кот"];

pub(super) async fn link(fixture: &Fixture) -> Result<Outcome, CheckError> {
    let schemes = fixture.transport.descriptor().schemes;
    let session = Session::start(fixture).await?;
    let spec = session.client_spec(&user(ALICE)?)?;
    for name in LINK_NAMES {
        let Some(link) = session.client.link(name) else {
            ensure(schemes.is_empty(), || "it has link schemes and gives no link".into())?;
            return Ok(Outcome::Skipped("the transport has no links"));
        };
        let scheme = link.expose().split("://").next().unwrap_or_default();
        ensure(schemes.contains(&scheme), || {
            format!("its link has the scheme `{scheme}`, which it does not read")
        })?;
        let read = fixture.transport.parse_link(link.expose())?;
        // Specs may hold secrets and are not shown.
        ensure(read == spec, || {
            format!("the link named {name:?} does not read back as the spec it was made of")
        })?;
    }
    session.finish().await?;
    Ok(Outcome::Passed)
}

pub(super) async fn client_spec(fixture: &Fixture) -> Result<Outcome, CheckError> {
    let session = Session::start(fixture).await?;
    let spec = session.client_spec(&user(ALICE)?)?;
    let text = serde_json::to_string(&spec).map_err(|error| CheckError::broken(error.to_string()))?;
    let read: Spec = serde_json::from_str(&text).map_err(|error| CheckError::broken(error.to_string()))?;
    ensure(read == spec, || "the client spec changes on its way through JSON".into())?;
    ensure(read.endpoint == session.public(), || {
        "the client spec names another endpoint than it was given".into()
    })?;
    let client = fixture.transport.client(&read)?;
    let mut stream = session.dial_by(client.as_ref(), &fixture.client_net, Service::Echo).await?;
    let got = fixture.within("an echo", exchange(&mut stream, b"from JSON")).await?;
    ensure(got.map_err(CheckError::io("an echo"))? == b"from JSON", || "the echo came changed".into())?;
    drop(stream);
    session.finish().await?;
    Ok(Outcome::Passed)
}

pub(super) async fn bad_params(fixture: &Fixture) -> Result<Outcome, CheckError> {
    let session = Session::start(fixture).await?;
    let good = session.client_spec(&user(ALICE)?)?;
    for params in [json!([1]), json!("text"), json!(7)] {
        let mut spec = good.clone();
        spec.params = params.clone();
        ensure(fixture.transport.client(&spec).is_err(), || {
            format!("a client was made of the parameters {params}")
        })?;
        let mut spec = fixture.server_spec.clone();
        spec.params = params.clone();
        let made = fixture.transport.server(&spec, &session.users).is_ok();
        ensure(!made, || format!("a server was made of the parameters {params}"))?;
    }
    session.finish().await?;
    Ok(Outcome::Passed)
}

pub(super) async fn port_freed(fixture: &Fixture) -> Result<Outcome, CheckError> {
    let mut session = Session::start(fixture).await?;
    let address = session.bridge.local;
    let mut stream = session.dial(Service::Echo).await?;
    let got = fixture.within("an echo", exchange(&mut stream, b"before")).await?;
    ensure(got.map_err(CheckError::io("an echo"))? == b"before", || "the echo came changed".into())?;
    session.bridge.stop().await;
    drop(stream);
    let mut spec = fixture.server_spec.clone();
    spec.endpoint = HostPort::from(address);
    // The stopped server is still held: it is a configuration, and must hold no port.
    let stopped = mem::replace(&mut session.server, fixture.transport.server(&spec, &session.users)?);
    let starting = Bridge::start(&session.server, &session.users, &fixture.server_net, fixture.pace.dial);
    session.bridge = fixture.within("listening on a port that was freed", starting).await??;
    drop(stopped);
    let mut stream = session.dial(Service::Echo).await?;
    let got = fixture.within("an echo", exchange(&mut stream, b"after")).await?;
    ensure(got.map_err(CheckError::io("an echo"))? == b"after", || "the echo came changed".into())?;
    drop(stream);
    session.finish().await?;
    Ok(Outcome::Passed)
}
