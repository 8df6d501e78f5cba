//! The HTTP API: routes, and for each call who asks, how often, what, and the answer.

mod body;
mod reply;

use std::{
    sync::{
        Arc, LazyLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    extract::{Request, State},
    http::{HeaderMap, header},
    response::{IntoResponse as _, Response},
    routing::{get, post},
};
use commucat_proto::{
    assist::{ASSIST_PATH, AssistRequest, MAX_REQUEST_BYTES},
    problem::{Problem, ProblemKind},
};
use commucat_transport_api::{Net, Redacted, User};
use hyper::body::Bytes;
use reply::Refusal;

use crate::{
    AssistSource, FailureReport, PeerAddress, RatePlan, SelfCheck, TunnelUser, answer,
    auth::{self, AddressClass, Users},
    reports::Reports,
    zones::{TooOften, Zones},
};

/// Says whether the bridge lives.
pub const LIVEZ_PATH: &str = "/livez";
/// Describes the API.
pub const OPENAPI_PATH: &str = "/api/openapi.json";

static OPENAPI: LazyLock<Bytes> =
    LazyLock::new(|| Bytes::from(crate::openapi().to_json().unwrap_or_else(|_never| "{}".to_owned())));

/// What the operator may set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AssistOptions {
    /// The rate zones.
    pub rates: RatePlan,
    /// How long a request body may take to come.
    pub body_timeout: Duration,
}

impl Default for AssistOptions {
    fn default() -> Self {
        Self { rates: RatePlan::default(), body_timeout: Duration::from_secs(10) }
    }
}

/// What the API has done since it started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Assist calls answered.
    pub answered: u64,
    /// Of these, how many answers had no endpoint.
    pub answered_empty: u64,
    /// Calls without a valid credential.
    pub unauthorized: u64,
    /// Calls that came too often.
    pub rate_limited: u64,
    /// Calls whose request could not be used.
    pub bad_requests: u64,
}

#[derive(Debug, Default)]
struct Counts {
    answered: AtomicU64,
    answered_empty: AtomicU64,
    unauthorized: AtomicU64,
    rate_limited: AtomicU64,
    bad_requests: AtomicU64,
}

/// The API of one bridge.
#[derive(Debug)]
pub struct Assist {
    net: Arc<dyn Net>,
    source: Arc<dyn AssistSource>,
    checks: Arc<SelfCheck>,
    options: AssistOptions,
    users: Users,
    zones: Zones,
    reports: Reports,
    counts: Counts,
}

impl Assist {
    /// An API that answers with what `source` serves and `checks` found working.
    pub fn new(
        net: Arc<dyn Net>,
        source: Arc<dyn AssistSource>,
        checks: Arc<SelfCheck>,
        options: AssistOptions,
    ) -> Arc<Self> {
        let zones = Zones::new(options.rates, &net);
        Arc::new(Self {
            net,
            source,
            checks,
            options,
            users: Users::new(),
            zones,
            reports: Reports::default(),
            counts: Counts::default(),
        })
    }

    /// The routes `POST /api/p2p/assist`, `GET /api/openapi.json` and `GET /livez`, and problems for all else. To
    /// serve more paths beside them, start from [`Self::routes`].
    pub fn router(self: &Arc<Self>) -> Router {
        with_problem_fallbacks(self.routes())
    }

    /// The routes alone. The bridge adds its own and ends with [`with_problem_fallbacks`].
    pub fn routes(self: &Arc<Self>) -> Router {
        Router::new()
            .route(ASSIST_PATH, post(assist))
            .route(OPENAPI_PATH, get(description))
            .route(LIVEZ_PATH, get(livez))
            .with_state(Arc::clone(self))
    }

    /// What the API has done.
    pub fn counters(&self) -> Counters {
        let get = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Counters {
            answered: get(&self.counts.answered),
            answered_empty: get(&self.counts.answered_empty),
            unauthorized: get(&self.counts.unauthorized),
            rate_limited: get(&self.counts.rate_limited),
            bad_requests: get(&self.counts.bad_requests),
        }
    }

    /// What clients reported about endpoints that failed them.
    pub fn failure_reports(&self) -> Vec<FailureReport> {
        self.reports.all()
    }

    /// Who asks. A stranger is counted before his credential is looked at.
    fn user_of(&self, request: &Request) -> Result<User, Refusal> {
        let table = self.source.users();
        if let Some(TunnelUser(id)) = request.extensions().get::<TunnelUser>() {
            // A user who was removed may still have a channel open.
            return self.users.by_id(&table, id).ok_or_else(|| self.unauthorized());
        }
        self.admit_stranger(request)?;
        let token = auth::bearer(request.headers()).ok_or_else(|| self.unauthorized())?;
        self.users.by_token(&table, &token).ok_or_else(|| self.unauthorized())
    }

    fn admit_stranger(&self, request: &Request) -> Result<(), Refusal> {
        let class = AddressClass::from(request.extensions().get::<PeerAddress>());
        self.zones.strangers.check(&class).map_err(|late| self.too_often(late))
    }

    async fn answer(&self, request: Request) -> Result<Response, Refusal> {
        let user = self.user_of(&request)?;
        self.zones.users.check(&user.id).map_err(|late| self.too_often(late))?;
        let wish = self.read(request).await.inspect_err(|_refusal| bump(&self.counts.bad_requests))?;
        let served = self.source.endpoints();
        self.reports.count(&wish, &served);
        let materials = answer::Materials {
            net: self.net.as_ref(),
            checks: &self.checks,
            served: &served,
            min_client_version: self.source.min_client_version(),
        };
        let response = answer::compose(&materials, &user, &wish);
        let body = serde_json::to_vec(&response).map_err(|error| {
            tracing::error!(%error, "an assist answer has no JSON form");
            Refusal::from(Problem::new(ProblemKind::Internal))
        })?;
        bump(&self.counts.answered);
        if response.endpoints.is_empty() {
            bump(&self.counts.answered_empty);
        }
        tracing::debug!(user = %Redacted(&user.id), endpoints = response.endpoints.len(), "assist answered");
        Ok(reply::json(body.into()))
    }

    async fn read(&self, request: Request) -> Result<AssistRequest, Refusal> {
        if !is_json(request.headers()) {
            let detail = "send the request as application/json";
            return Err(Problem::new(ProblemKind::UnsupportedMediaType).with_detail(detail).into());
        }
        let deadline = self.net.now() + self.options.body_timeout;
        let late = self.net.sleep_until(deadline);
        let bytes = body::read(request.into_body(), MAX_REQUEST_BYTES, late).await?;
        AssistRequest::parse(&bytes).map_err(|error| {
            let mut problem = Problem::new(ProblemKind::BadRequest).with_detail(&error);
            if let Some(field) = error.field {
                problem = problem.with("field", field);
            }
            if error.line > 0 {
                problem = problem.with("line", error.line).with("column", error.column);
            }
            problem.into()
        })
    }

    fn unauthorized(&self) -> Refusal {
        bump(&self.counts.unauthorized);
        Refusal::unauthorized()
    }

    fn too_often(&self, late: TooOften) -> Refusal {
        bump(&self.counts.rate_limited);
        Refusal::too_often(late.0)
    }
}

/// Answers unknown paths with 404 and wrong methods with 405, as problem documents. Call it last: routes that are
/// added later keep axum's empty answers.
pub fn with_problem_fallbacks(router: Router) -> Router {
    router
        .fallback(async || Refusal::from(Problem::new(ProblemKind::NotFound)))
        .method_not_allowed_fallback(async || Refusal::from(Problem::new(ProblemKind::MethodNotAllowed)))
}

async fn assist(State(assist): State<Arc<Assist>>, request: Request) -> Response {
    assist.answer(request).await.unwrap_or_else(|refusal| refusal.into_response())
}

async fn description(State(assist): State<Arc<Assist>>, request: Request) -> Response {
    if request.extensions().get::<TunnelUser>().is_none()
        && let Err(refusal) = assist.admit_stranger(&request)
    {
        return refusal.into_response();
    }
    reply::json(OPENAPI.clone())
}

/// Costs nothing, so it has no rate zone: a self-check must never fail for one.
async fn livez() -> Response {
    reply::text("ok\n")
}

fn is_json(headers: &HeaderMap) -> bool {
    let media_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let essence = media_type.map(|value| value.split(';').next().unwrap_or_default().trim());
    essence.is_some_and(|essence| essence.eq_ignore_ascii_case("application/json"))
}

fn bump(count: &AtomicU64) {
    count.fetch_add(1, Ordering::Relaxed);
}
