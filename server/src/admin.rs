//! `/livez`, `/readyz` and `/metrics` on a bind of their own. Nothing here says who uses the bridge.

use std::sync::Arc;

use arc_swap::ArcSwap;
use axum::{
    Json, Router,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use commucat_transport_api::Secret;
use serde::Serialize;
use subtle::ConstantTimeEq as _;

use crate::metrics::Metrics;

/// What the admin pages ask the bridge.
pub(crate) trait Report: Send + Sync + 'static {
    /// What stands and what does not.
    fn readiness(&self) -> Readiness;
    /// Brings gauges up to date.
    fn refresh(&self);
}

/// The answer of `/readyz`.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Readiness {
    /// Whether all of the following is well.
    pub ready: bool,
    /// The bridge takes new connections.
    pub accepting: bool,
    /// The database answered last time.
    pub storage: bool,
    /// Each endpoint.
    pub endpoints: Vec<EndpointReadiness>,
    /// Background tasks that should run and do not.
    pub tasks_down: Vec<&'static str>,
}

/// One endpoint of [`Readiness`].
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct EndpointReadiness {
    /// Its transport.
    pub transport: String,
    /// Whether it listens.
    pub listening: bool,
    /// What the last dial of the bridge to itself showed; absent before the first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub self_check: Option<bool>,
}

pub(crate) struct Admin {
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) report: Arc<dyn Report>,
    pub(crate) token: Arc<ArcSwap<Option<Secret<String>>>>,
}

pub(crate) fn router(admin: Admin) -> Router {
    Router::new()
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .with_state(Arc::new(admin))
}

async fn readyz(State(admin): State<Arc<Admin>>) -> Response {
    let readiness = admin.report.readiness();
    let status = if readiness.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(readiness)).into_response()
}

async fn metrics(State(admin): State<Arc<Admin>>, headers: HeaderMap) -> Response {
    if let Some(token) = admin.token.load().as_ref()
        && !bearer_is(&headers, token)
    {
        return (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, "Bearer")]).into_response();
    }
    admin.report.refresh();
    let kind = [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    (kind, admin.metrics.render()).into_response()
}

fn bearer_is(headers: &HeaderMap, token: &Secret<String>) -> bool {
    let given = headers.get(header::AUTHORIZATION).map_or(&b""[..], |value| value.as_bytes());
    let given = given.strip_prefix(b"Bearer ").unwrap_or_default();
    given.ct_eq(token.expose().as_bytes()).into()
}
