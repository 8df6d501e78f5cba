//! The published description of the API: OpenAPI 3.1 with the JSON schemas of the messages.

use commucat_proto::{
    assist::{AssistRequest, AssistResponse},
    problem::Problem,
};
use utoipa::{
    Modify, OpenApi,
    openapi::security::{Http, HttpAuthScheme, SecurityScheme},
};

/// The description, as `/api/openapi.json` answers it.
pub fn openapi() -> utoipa::openapi::OpenApi {
    Description::openapi()
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "CommuCat bridge",
        version = "1.0.0",
        description = "The HTTP API that a bridge serves inside its own transports. Every error is a problem document (RFC 9457).",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0"),
    ),
    servers((url = "/", description = "The bridge that carries the request")),
    paths(assist, livez, description),
    modifiers(&Token),
    tags((name = "assist", description = "What a client should use now"), (name = "operation", description = "The bridge itself")),
)]
struct Description;

struct Token;

impl Modify for Token {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        let mut bearer = Http::new(HttpAuthScheme::Bearer);
        bearer.description = Some(
            "43 characters of base64url, derived from the user's secret. Not needed inside a tunnel: there the \
             transport has authenticated the user."
                .to_owned(),
        );
        let components = openapi.components.get_or_insert_default();
        components.security_schemes.insert("token".to_owned(), SecurityScheme::Http(bearer).into());
    }
}

/// Asks what to use now.
///
/// The answer has the endpoints that the bridge serves and that it has itself dialled, with success, not longer ago
/// than each says. Unknown fields in the request are errors; unknown fields in the answer are to be skipped.
#[utoipa::path(
    post,
    path = "/api/p2p/assist",
    operation_id = "assist",
    tag = "assist",
    security((), ("token" = [])),
    request_body(content = AssistRequest, content_type = "application/json", description = "At most 16384 bytes"),
    responses(
        (status = 200, description = "What works now", body = AssistResponse, content_type = "application/json"),
        (status = 400, description = "Not this request; `line`, `column` and `field` say where", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "No credential, or an unknown one", body = Problem, content_type = "application/problem+json",
            headers(("WWW-Authenticate" = String, description = "`Bearer`"))),
        (status = 405, description = "Only POST", body = Problem, content_type = "application/problem+json",
            headers(("Allow" = String, description = "`POST`"))),
        (status = 408, description = "The body did not come in time", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "The body is over 16384 bytes", body = Problem, content_type = "application/problem+json"),
        (status = 415, description = "The body is not `application/json`", body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "Too many calls", body = Problem, content_type = "application/problem+json",
            headers(("Retry-After" = u64, description = "Seconds to wait"))),
    ),
)]
#[allow(dead_code, reason = "carries the description of the call that `api` serves")]
const fn assist() {}

/// Whether the bridge lives.
#[utoipa::path(
    get,
    path = "/livez",
    operation_id = "livez",
    tag = "operation",
    security(()),
    responses((status = 200, description = "It does", body = String, content_type = "text/plain; charset=utf-8")),
)]
#[allow(dead_code, reason = "carries the description of the call that `api` serves")]
const fn livez() {}

/// This description.
#[utoipa::path(
    get,
    path = "/api/openapi.json",
    operation_id = "openapi",
    tag = "operation",
    security(()),
    responses(
        (status = 200, description = "OpenAPI 3.1", body = Object, content_type = "application/json"),
        (status = 429, description = "Too many calls", body = Problem, content_type = "application/problem+json",
            headers(("Retry-After" = u64, description = "Seconds to wait"))),
    ),
)]
#[allow(dead_code, reason = "carries the description of the call that `api` serves")]
const fn description() {}
