//! `POST /api/p2p/assist`: what a client should use now, and the client that asks.
//!
//! * [`SelfCheck`] dials every endpoint of the bridge through the bridge's own client code, again and again, and
//!   remembers what came of it. What failed, or was not tried for too long, is in no answer.
//! * [`Assist`] is the HTTP API: authentication, rate zones, limits, problem documents, and the OpenAPI description
//!   at `/api/openapi.json`. The bridge says through [`AssistSource`] what it serves and to whom.
//! * [`ask`] is the client's side, over any byte stream.
//!
//! This crate knows transports only through their contract. It opens no socket and reads no clock: both come in as
//! [`Net`](commucat_transport_api::Net).
#![forbid(unsafe_code)]

mod answer;
mod api;
mod ask;
mod auth;
mod check;
mod http;
mod openapi;
mod reports;
mod source;
mod zones;

pub use api::{Assist, AssistOptions, Counters, LIVEZ_PATH, OPENAPI_PATH, with_problem_fallbacks};
pub use ask::{Answered, AskError, ask, ask_through};
pub use auth::{ApiToken, PeerAddress, TokenError, TunnelUser};
pub use check::{
    CheckFailure, CheckOutcome, CheckPlan, CheckTarget, Fresh, MAX_CHECK_TARGETS, SelfCheck, TooManyTargets,
};
pub use openapi::openapi;
pub use reports::FailureReport;
pub use source::{AssistSource, EndpointKey, ServedEndpoint};
pub use zones::{RateLimit, RatePlan};
