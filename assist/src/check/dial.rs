//! One check: dial the bridge, ask it whether it lives.

use commucat_transport_api::{Client, Cx, DialError, Failure};
use hyper::{Method, body::Bytes};

use crate::{LIVEZ_PATH, http};

/// Longest answer to `GET /livez`, in bytes.
const MAX_LIVEZ_BYTES: usize = 4096;

/// Why an endpoint did not pass its check.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CheckFailure {
    /// The dial failed.
    #[error("{0}")]
    Dial(Failure),
    /// The bridge's own client spec cannot be dialled. Says why.
    #[error("the endpoint's client cannot be used: {0}")]
    Unusable(String),
    /// The check took longer than the plan gives it.
    #[error("no answer in time")]
    TimedOut,
    /// The channel opened, and HTTP over it failed. Says how.
    #[error("the channel opened but the bridge behind it did not answer: {0}")]
    Exchange(String),
    /// Something answered, but not that it lives.
    #[error("the bridge answered with HTTP status {0}")]
    Status(u16),
}

pub(super) async fn check(cx: &Cx, client: &dyn Client) -> Result<(), CheckFailure> {
    let attempt = async {
        let stream = http::open(client, cx).await.map_err(unopened)?;
        let request = http::request(Method::GET, LIVEZ_PATH, Bytes::new());
        let reply = http::call(stream, request, MAX_LIVEZ_BYTES)
            .await
            .map_err(|error| CheckFailure::Exchange(chain(&error)))?;
        if reply.status == 200 { Ok(()) } else { Err(CheckFailure::Status(reply.status)) }
    };
    cx.until_deadline(attempt).await.unwrap_or(Err(CheckFailure::TimedOut))
}

fn unopened(error: http::OpenError) -> CheckFailure {
    match error {
        http::OpenError::Dial(DialError::Network { failure, .. }) => CheckFailure::Dial(failure),
        http::OpenError::Dial(other) => CheckFailure::Unusable(chain(&other)),
        http::OpenError::NoStream => CheckFailure::Unusable("it gives no byte stream".to_owned()),
    }
}

/// An error with all its reasons, for an outcome that is kept and stored as text.
fn chain(error: &dyn std::error::Error) -> String {
    let reasons = std::iter::successors(Some(error), |error| error.source());
    reasons.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
