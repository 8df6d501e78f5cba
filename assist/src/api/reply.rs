//! The forms of an answer: JSON, text, and the refusal with its problem document and headers.

use std::time::Duration;

use axum::{
    body::Body,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use commucat_proto::problem::{PROBLEM_MEDIA_TYPE, Problem, ProblemKind};
use hyper::body::Bytes;

/// A problem on its way out.
#[derive(Debug)]
pub(super) struct Refusal(Box<Problem>);

impl Refusal {
    pub(super) fn unauthorized() -> Self {
        let detail = "ask through the bridge's own transport, or send `Authorization: Bearer TOKEN`";
        Problem::new(ProblemKind::Unauthorized).with_detail(detail).into()
    }

    /// `Retry-After` has whole seconds (RFC 9110 §10.2.3): rounded up, so that waiting that long is enough.
    pub(super) fn too_often(wait: Duration) -> Self {
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        Problem::new(ProblemKind::RateLimited).with("retry_after_s", seconds.max(1)).into()
    }
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        Self(Box::new(problem))
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = serde_json::to_vec(&self.0).unwrap_or_default();
        let mut response = respond(body.into(), PROBLEM_MEDIA_TYPE);
        *response.status_mut() = status;
        let headers = response.headers_mut();
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(seconds) = self.0.extra.get("retry_after_s").and_then(serde_json::Value::as_u64) {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

pub(super) fn json(body: Bytes) -> Response {
    respond(body, "application/json")
}

pub(super) fn text(body: &'static str) -> Response {
    respond(Bytes::from_static(body.as_bytes()), "text/plain; charset=utf-8")
}

/// Answers hold keys or the state of the moment: nobody on the way may keep them.
fn respond(body: Bytes, media_type: &'static str) -> Response {
    let mut response = Response::new(Body::from(body));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}
