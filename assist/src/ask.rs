//! The client's side: asks a bridge over a stream that ends at it.

use std::time::Duration;

use commucat_proto::{
    assist::{ASSIST_PATH, AssistRequest, AssistResponse, MAX_RESPONSE_BYTES, ResponseError},
    problem::Problem,
};
use commucat_transport_api::{BoxError, BoxStream, Client, Cx, DialError};
use hyper::{
    Method,
    body::Bytes,
    header::{self, HeaderValue},
};

use crate::{
    ApiToken,
    http::{self, CallError, OpenError},
};

/// What the bridge answered, and what the call itself showed.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Answered {
    /// The answer.
    pub response: AssistResponse,
    /// How long the call took.
    pub took: Duration,
    /// How far the client's clock is ahead of the bridge's, in milliseconds; negative when behind. Right to within
    /// half of [`Self::took`].
    pub clock_ahead_ms: i64,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AskError {
    /// No stream to the bridge.
    #[error("the bridge could not be dialled")]
    Dial(#[source] DialError),
    /// The transport gives no byte streams.
    #[error("the transport gives no byte stream to the bridge")]
    NoStream,
    /// Nothing came before the deadline.
    #[error("the bridge did not answer in time")]
    TimedOut,
    /// The stream or the HTTP on it broke.
    #[error("the exchange with the bridge broke")]
    Exchange(#[source] BoxError),
    /// The bridge says why not.
    #[error("the bridge refuses: {0}")]
    Refused(Box<Problem>),
    /// The answer is not one.
    #[error("the bridge's answer cannot be used")]
    Answer(#[source] ResponseError),
}

impl AskError {
    /// How long the bridge wants to be left alone, when it says so.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused(problem) => problem
                .extra
                .get("retry_after_s")
                .and_then(serde_json::Value::as_u64)
                .map(Duration::from_secs),
            _ => None,
        }
    }
}

/// Dials the bridge through this client and asks, all before the deadline of `cx`.
///
/// # Errors
/// As [`AskError`] tells.
pub async fn ask_through(
    client: &dyn Client,
    cx: &Cx,
    request: &AssistRequest,
    token: Option<&ApiToken>,
) -> Result<Answered, AskError> {
    let stream =
        cx.until_deadline(http::open(client, cx)).await.ok_or(AskError::TimedOut)?.map_err(|error| {
            match error {
                OpenError::Dial(error) => AskError::Dial(error),
                OpenError::NoStream => AskError::NoStream,
            }
        })?;
    ask(stream, cx, request, token).await
}

/// Asks over a stream that ends at the bridge. Inside a tunnel no token is needed: the transport says who asks.
///
/// # Errors
/// As [`AskError`] tells.
pub async fn ask(
    stream: BoxStream,
    cx: &Cx,
    request: &AssistRequest,
    token: Option<&ApiToken>,
) -> Result<Answered, AskError> {
    let body = serde_json::to_vec(request).map_err(|error| AskError::Exchange(error.into()))?;
    let mut call = http::request(Method::POST, ASSIST_PATH, Bytes::from(body));
    call.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Some(token) = token {
        call.headers_mut().insert(header::AUTHORIZATION, bearer(token)?);
    }
    let begun = cx.net.now();
    let reply = cx
        .until_deadline(http::call(stream, call, MAX_RESPONSE_BYTES))
        .await
        .ok_or(AskError::TimedOut)?
        .map_err(|error| match error {
            CallError::TooLong => AskError::Answer(ResponseError::TooLong),
            other => AskError::Exchange(other.into()),
        })?;
    let took = cx.net.now().saturating_duration_since(begun);
    if reply.status != 200 {
        return Err(AskError::Refused(Box::new(Problem::read(reply.status, &reply.body))));
    }
    let response = AssistResponse::parse(&reply.body).map_err(AskError::Answer)?;
    let clock_ahead_ms = clock_ahead_ms(cx.net.unix_time(), took, response.server_time_ms);
    Ok(Answered { response, took, clock_ahead_ms })
}

fn bearer(token: &ApiToken) -> Result<HeaderValue, AskError> {
    let text = token.to_text();
    let mut value = HeaderValue::from_str(&format!("Bearer {}", text.expose()))
        .map_err(|error| AskError::Exchange(error.into()))?;
    value.set_sensitive(true);
    Ok(value)
}

/// The bridge's time is taken to be from the middle of the call.
fn clock_ahead_ms(now: Duration, took: Duration, server_time_ms: u64) -> i64 {
    let middle_ms = now.saturating_sub(took / 2).as_millis();
    let ahead = i128::try_from(middle_ms).unwrap_or(i128::MAX).saturating_sub(i128::from(server_time_ms));
    i64::try_from(ahead).unwrap_or(if ahead < 0 { i64::MIN } else { i64::MAX })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_skew_has_a_sign() {
        let ms = Duration::from_millis;
        assert_eq!(clock_ahead_ms(ms(10_100), ms(200), 10_000), 0);
        assert_eq!(clock_ahead_ms(ms(310_000), ms(0), 10_000), 300_000);
        assert_eq!(clock_ahead_ms(ms(10_000), ms(0), 310_000), -300_000);
        assert_eq!(clock_ahead_ms(ms(0), ms(0), u64::MAX), i64::MIN);
    }
}
