//! Puts an answer together: what is served, works, and is of use to this client.

use std::time::Duration;

use commucat_proto::assist::{
    ASSIST_VERSION, AssistEndpoint, AssistRequest, AssistResponse, CAPABILITY_CHAIN, CheckResult,
    MAX_ANSWERED_ENDPOINTS, Obfuscation, Version,
};
use commucat_transport_api::{Net, Spec, User};

use crate::{Fresh, SelfCheck, ServedEndpoint};

/// What everything in an answer comes from.
pub(crate) struct Materials<'a> {
    pub(crate) net: &'a dyn Net,
    pub(crate) checks: &'a SelfCheck,
    pub(crate) served: &'a [ServedEndpoint],
    pub(crate) min_client_version: Version,
}

pub(crate) fn compose(materials: &Materials<'_>, user: &User, request: &AssistRequest) -> AssistResponse {
    let mut served: Vec<&ServedEndpoint> =
        materials.served.iter().filter(|endpoint| wanted(endpoint, request)).collect();
    served.sort_by(|a, b| (a.priority, &a.key).cmp(&(b.priority, &b.key)));
    let most = request.count.map_or(MAX_ANSWERED_ENDPOINTS, usize::from).min(MAX_ANSWERED_ENDPOINTS);
    let max_age = materials.checks.plan().max_age;
    let mut valid_for = max_age;
    let mut endpoints = Vec::new();
    for endpoint in served {
        if endpoints.len() >= most {
            break;
        }
        let Some(fresh) = materials.checks.fresh(&endpoint.key) else { continue };
        let Some(spec) = spec_for(endpoint, user) else { continue };
        if excluded(&spec, request) {
            continue;
        }
        valid_for = valid_for.min(max_age.saturating_sub(fresh.age));
        endpoints.push(described(endpoint, spec, fresh, max_age));
    }
    if endpoints.is_empty() {
        // Another round of checks may find something.
        valid_for = materials.checks.plan().interval;
    }
    let now_ms = unix_ms(materials.net);
    AssistResponse {
        version: ASSIST_VERSION,
        generated_at_ms: now_ms,
        valid_for_s: valid_for.as_secs(),
        server_time_ms: now_ms,
        min_client_version: materials.min_client_version,
        endpoints,
        unreadable: 0,
    }
}

/// Whether the client can dial it: all its layers, and one over the other when there are several.
fn wanted(endpoint: &ServedEndpoint, request: &AssistRequest) -> bool {
    let dialable = |layer: &commucat_transport_api::Descriptor| request.transports.contains(&layer.id);
    !endpoint.layers.is_empty()
        && (request.transports.is_empty() || endpoint.layers.iter().all(dialable))
        && (endpoint.layers.len() == 1 || request.can(CAPABILITY_CHAIN))
}

fn spec_for(endpoint: &ServedEndpoint, user: &User) -> Option<Spec> {
    match endpoint.server.client_spec(&endpoint.public, user) {
        Ok(spec) => Some(spec),
        Err(error) => {
            tracing::debug!(endpoint = %endpoint.key, %error, "an endpoint has no client spec for a user");
            None
        }
    }
}

fn excluded(spec: &Spec, request: &AssistRequest) -> bool {
    request.exclude.iter().any(|other| other.transport == spec.transport && other.endpoint == spec.endpoint)
}

fn described(endpoint: &ServedEndpoint, spec: Spec, fresh: Fresh, max_age: Duration) -> AssistEndpoint {
    let outermost = endpoint.layers.last();
    let channels = endpoint.layers.first().map(|layer| layer.channels).unwrap_or_default();
    AssistEndpoint {
        spec,
        priority: endpoint.priority,
        checked_age_s: fresh.age.as_secs(),
        max_age_s: max_age.as_secs(),
        check: CheckResult { ok: true, connect_ms: millis(fresh.took) },
        obfuscation: Obfuscation {
            summary: outermost.map(|layer| layer.summary.to_owned()).unwrap_or_default(),
            layers: endpoint.layers.iter().map(|layer| layer.id.clone()).collect(),
            stream: channels.stream,
            datagram: channels.datagram,
        },
    }
}

pub(crate) fn unix_ms(net: &dyn Net) -> u64 {
    millis(net.unix_time())
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
