//! The transports as the lab runs them: fresh keys for each run, and a site of the lab's world where one is imitated.

use std::sync::Arc;

use commucat_bundle::Bundle;
use commucat_lab::{
    runs::{BridgePlace, Ends, Subject},
    services::{DOMESTIC_NAME, INNOCENT_NAME, WorldPlan},
};
use commucat_net::SystemNet;
use commucat_transport_api::{
    ConfigError, ConfigProblem, HostPort, Net as _, Secret, Spec, TransportId, USER_SECRET_BYTES, User,
    UserTable,
};
use serde_json::{Value, json};

use crate::exit::usage;

/// One way to use a transport: its name here, its id, the bridge's port, server parameters laid over generated ones,
/// and the transport that carries it.
struct Way {
    name: &'static str,
    id: TransportId,
    port: u16,
    over: fn() -> Value,
    via: Option<TransportId>,
}

const SHADOWSOCKS: TransportId = TransportId::from_static("shadowsocks");
const WEBSOCKET: TransportId = TransportId::from_static("websocket");
const REALITY: TransportId = TransportId::from_static("reality");

const WAYS: &[Way] = &[
    Way { name: "reality", id: REALITY, port: 443, over: imitated, via: None },
    Way { name: "reality-domestic", id: REALITY, port: 443, over: domestic, via: None },
    Way { name: "websocket", id: WEBSOCKET, port: 443, over: nothing, via: None },
    Way { name: "shadowsocks", id: SHADOWSOCKS, port: 8388, over: nothing, via: None },
    Way { name: "shadowsocks-prefix", id: SHADOWSOCKS, port: 8388, over: prefixed, via: None },
    Way { name: "shadowsocks-in-websocket", id: SHADOWSOCKS, port: 443, over: nothing, via: Some(WEBSOCKET) },
];

fn nothing() -> Value {
    json!({})
}

/// A prefix that looks like HTTP needs a long salt; this method knows its users by their keys alone.
fn prefixed() -> Value {
    json!({ "method": "2022-blake3-chacha20-poly1305", "key": null, "prefix": "POST%20" })
}

/// The carrier lets everybody in, as a path behind a front server does; what it carries knows the users.
fn open_carrier() -> Value {
    json!({ "auth": "none", "path": "/stream" })
}

/// A site of the lab's CDN, which no censor there has on its list.
fn imitated() -> Value {
    imitating(INNOCENT_NAME)
}

/// A site inside the country: censors who freeze what they do not know spare its name.
fn domestic() -> Value {
    imitating(DOMESTIC_NAME)
}

fn imitating(name: &str) -> Value {
    let target = WorldPlan::default().site(name).map(|site| site.https.to_string());
    json!({ "target": target, "server_names": [name] })
}

/// What `--transport` takes.
pub(super) fn names() -> Vec<&'static str> {
    WAYS.iter().map(|way| way.name).collect()
}

/// The subjects of these names; `all` is all of them.
pub(super) fn subjects(wanted: &[String]) -> anyhow::Result<Vec<Subject>> {
    let all = wanted.iter().any(|name| name == "all");
    if let Some(unknown) = wanted.iter().find(|name| *name != "all" && !names().contains(&name.as_str())) {
        let known = names().join(", ");
        return Err(usage(
            format_args!("no transport is called {unknown}"),
            format!("choose among all, {known}"),
        ));
    }
    let bundle = Arc::new(Bundle::standard());
    let chosen = WAYS.iter().filter(|way| all || wanted.iter().any(|name| name == way.name));
    Ok(chosen.map(|way| subject(&bundle, way)).collect())
}

fn subject(bundle: &Arc<Bundle>, way: &'static Way) -> Subject {
    let bundle = Arc::clone(bundle);
    Subject::new(way.name, way.port, move |place| ends(&bundle, way, place))
}

fn ends(bundle: &Bundle, way: &Way, place: &BridgePlace) -> Result<Ends, ConfigError> {
    let endpoint = HostPort::from(place.bridge);
    let mut spec = Spec::new(way.id.clone(), endpoint.clone(), params(bundle, &way.id, (way.over)())?)?;
    if let Some(carrier) = &way.via {
        let carrier = Spec::new(carrier.clone(), endpoint.clone(), params(bundle, carrier, open_carrier())?)?;
        spec.via = Some(Box::new(carrier));
    }
    let user = user()?;
    let server = bundle.server(&spec, &Arc::new(UserTable::new(vec![user.clone()])))?;
    let client = bundle.client(&server.client_spec(&endpoint, &user)?)?;
    Ok(Ends { server, client })
}

fn params(bundle: &Bundle, id: &TransportId, over: Value) -> Result<Value, ConfigError> {
    let mut params = bundle.generate_server_params(id)?;
    if let (Some(params), Value::Object(over)) = (params.as_object_mut(), over) {
        params.extend(over);
    }
    Ok(params)
}

/// The one user of a bridge in the lab, with a secret of this run.
fn user() -> Result<User, ConfigError> {
    let mut secret = [0; USER_SECRET_BYTES];
    SystemNet::default()
        .fill_random(&mut secret)
        .map_err(|error| ConfigError::with_source(Some("user"), ConfigProblem::Missing, error))?;
    Ok(User { id: "lab".parse()?, secret: Secret::new(secret) })
}
