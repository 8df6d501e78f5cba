//! Asks the bridge, through a channel that works, which endpoints it serves now, and adds them.
//!
//! Only endpoints on a host that stands in the link are taken: a bridge may say how to reach itself, not send its
//! users elsewhere.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use commucat_assist::{AskError, ask};
use commucat_bundle::Bundle;
use commucat_proto::assist::{AssistEndpoint, AssistRequest, AssistResponse, CAPABILITY_CHAIN, Version};
use commucat_transport_api::{Cx, Host, Spec, Target};

use crate::{endpoint::Endpoint, manager::Manager};

/// Time one call may take.
const ASK_BUDGET: Duration = Duration::from_secs(20);
/// Pause before the first call: the user's own first connection goes first.
const FIRST_PAUSE: Duration = Duration::from_secs(2);
/// Shortest and longest pause between calls.
const PAUSES: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(3600));
/// Pause after a call that failed, unless the bridge asked for a longer one.
const FAILED_PAUSE: Duration = Duration::from_secs(300);

/// Asks again and again, until dropped.
pub(crate) async fn keep_asking(manager: Manager, bundle: Bundle, specs: Vec<Spec>) {
    let net = Arc::clone(manager.net());
    let hosts: BTreeSet<Host> = specs.iter().map(|spec| outermost(spec).endpoint.host.clone()).collect();
    let mut pause = FIRST_PAUSE;
    loop {
        net.sleep_until(net.now() + pause).await;
        pause = match ask_once(&manager, &bundle).await {
            Ok(response) => {
                let added = add(&manager, &bundle, &hosts, &response);
                tracing::info!(endpoints = response.endpoints.len(), added, "the bridge said what it serves");
                Duration::from_secs(response.valid_for_s).clamp(PAUSES.0, PAUSES.1)
            }
            Err(asked_for) => asked_for.unwrap_or(FAILED_PAUSE).clamp(PAUSES.0, PAUSES.1),
        };
    }
}

/// The answer, or how long the bridge wants to be left alone.
async fn ask_once(manager: &Manager, bundle: &Bundle) -> Result<AssistResponse, Option<Duration>> {
    let stream = manager.stream(&Target::Bridge).await.map_err(|failed| {
        tracing::debug!(%failed, "no channel to ask the bridge through");
        None
    })?;
    let request = AssistRequest {
        client_version: env!("CARGO_PKG_VERSION").parse().unwrap_or_else(|_no_version| Version::default()),
        capabilities: vec![CAPABILITY_CHAIN.to_owned()],
        transports: bundle.descriptors().map(|descriptor| descriptor.id.clone()).collect(),
        ..AssistRequest::default()
    };
    let cx = Cx::new(Arc::clone(manager.net()), ASK_BUDGET);
    let answered = ask(stream, &cx, &request, None).await.map_err(|error: AskError| {
        tracing::info!(%error, "the bridge did not say what it serves");
        error.retry_after()
    })?;
    manager.note_clock(answered.clock_ahead_ms / 1000);
    Ok(answered.response)
}

fn add(manager: &Manager, bundle: &Bundle, hosts: &BTreeSet<Host>, response: &AssistResponse) -> usize {
    let mut offered: Vec<&AssistEndpoint> = response.endpoints.iter().collect();
    offered.sort_by_key(|endpoint| endpoint.priority);
    let mut added = 0;
    for AssistEndpoint { spec, .. } in offered {
        if !hosts.contains(&outermost(spec).endpoint.host) {
            tracing::debug!(transport = %spec.transport, "an offered endpoint on a host of no link was left out");
            continue;
        }
        let place = manager.endpoints().len() + 1;
        match Endpoint::from_spec(bundle, spec, place) {
            Ok(endpoint) => added += usize::from(manager.add(endpoint)),
            Err(error) => {
                tracing::debug!(transport = %spec.transport, %error, "an offered endpoint cannot be used")
            }
        }
    }
    added
}

fn outermost(spec: &Spec) -> &Spec {
    std::iter::successors(Some(spec), |spec| spec.via.as_deref()).last().unwrap_or(spec)
}
