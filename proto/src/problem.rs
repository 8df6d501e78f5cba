//! What every error of the HTTP API looks like: a problem document (RFC 9457).
//!
//! `type` is a reference relative to the bridge (`/problems/rate-limited`), because a bridge has no public name. It
//! identifies the kind; programs decide by it or by the status, never by the texts.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

/// The media type of a problem document.
pub const PROBLEM_MEDIA_TYPE: &str = "application/problem+json";
/// Longest `detail` that is sent or kept, in bytes.
pub const MAX_DETAIL_BYTES: usize = 1024;

/// The kinds of problem that the API answers with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ProblemKind {
    /// The body is no JSON, or not the JSON of this call. Says line, column and field where it can.
    BadRequest,
    /// No credential, or none that the bridge knows.
    Unauthorized,
    /// There is nothing at this path.
    NotFound,
    /// The path has other methods.
    MethodNotAllowed,
    /// The body did not come in time.
    RequestTimeout,
    /// The body is longer than the call takes.
    PayloadTooLarge,
    /// The body is of another media type than the call takes.
    UnsupportedMediaType,
    /// Too many calls. Says `retry_after_s`, as the header `Retry-After` does.
    RateLimited,
    /// The bridge failed.
    Internal,
}

impl ProblemKind {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::BadRequest,
        Self::Unauthorized,
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::RequestTimeout,
        Self::PayloadTooLarge,
        Self::UnsupportedMediaType,
        Self::RateLimited,
        Self::Internal,
    ];

    /// Its HTTP status.
    pub const fn status(self) -> u16 {
        match self {
            Self::BadRequest => 400,
            Self::Unauthorized => 401,
            Self::NotFound => 404,
            Self::MethodNotAllowed => 405,
            Self::RequestTimeout => 408,
            Self::PayloadTooLarge => 413,
            Self::UnsupportedMediaType => 415,
            Self::RateLimited => 429,
            Self::Internal => 500,
        }
    }

    /// Its `type`.
    pub const fn type_uri(self) -> &'static str {
        match self {
            Self::BadRequest => "/problems/bad-request",
            Self::Unauthorized => "/problems/unauthorized",
            Self::NotFound => "/problems/not-found",
            Self::MethodNotAllowed => "/problems/method-not-allowed",
            Self::RequestTimeout => "/problems/request-timeout",
            Self::PayloadTooLarge => "/problems/payload-too-large",
            Self::UnsupportedMediaType => "/problems/unsupported-media-type",
            Self::RateLimited => "/problems/rate-limited",
            Self::Internal => "/problems/internal",
        }
    }

    /// Its `title`.
    pub const fn title(self) -> &'static str {
        match self {
            Self::BadRequest => "The request cannot be read",
            Self::Unauthorized => "A valid credential is needed",
            Self::NotFound => "There is nothing at this path",
            Self::MethodNotAllowed => "This path does not take this method",
            Self::RequestTimeout => "The request did not come in time",
            Self::PayloadTooLarge => "The request body is too long",
            Self::UnsupportedMediaType => "The request body is of another media type",
            Self::RateLimited => "Too many requests",
            Self::Internal => "The bridge failed",
        }
    }
}

/// A problem document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// What kind of problem it is: a URI reference.
    #[serde(rename = "type", default = "blank")]
    #[schema(format = "uri-reference", example = "/problems/rate-limited")]
    pub type_uri: String,
    /// The kind, for people.
    #[serde(default)]
    pub title: String,
    /// The HTTP status.
    #[serde(default)]
    #[schema(minimum = 400, maximum = 599)]
    pub status: u16,
    /// This occurrence, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub detail: Option<String>,
    /// This occurrence, as a URI reference.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub instance: Option<String>,
    /// Further members, by kind: `line`, `column`, `field`, `retry_after_s`, `limit_bytes`.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

fn blank() -> String {
    "about:blank".to_owned()
}

impl Problem {
    /// A problem of that kind.
    pub fn new(kind: ProblemKind) -> Self {
        Self {
            type_uri: kind.type_uri().to_owned(),
            title: kind.title().to_owned(),
            status: kind.status(),
            detail: None,
            instance: None,
            extra: Map::new(),
        }
    }

    /// The same with what happened this time, cut to [`MAX_DETAIL_BYTES`].
    #[must_use]
    pub fn with_detail(mut self, detail: impl fmt::Display) -> Self {
        let mut detail = detail.to_string();
        let mut end = detail.len().min(MAX_DETAIL_BYTES);
        while !detail.is_char_boundary(end) {
            end = end.saturating_sub(1);
        }
        detail.truncate(end);
        self.detail = Some(detail);
        self
    }

    /// The same with which occurrence it was.
    #[must_use]
    pub fn with_instance(mut self, instance: impl Into<String>) -> Self {
        self.instance = Some(instance.into());
        self
    }

    /// The same with one more member.
    #[must_use]
    pub fn with(mut self, member: &str, value: impl Into<Value>) -> Self {
        self.extra.insert(member.to_owned(), value.into());
        self
    }

    /// The kind, when it is one of ours.
    pub fn kind(&self) -> Option<ProblemKind> {
        ProblemKind::ALL.into_iter().find(|kind| kind.type_uri() == self.type_uri)
    }

    /// Reads an error answer with this status. What is no problem document becomes one that has only the status, as
    /// an answer of some proxy on the way would be.
    pub fn read(status: u16, body: &[u8]) -> Self {
        let problem = serde_json::from_slice::<Self>(body).ok();
        let mut problem = problem.unwrap_or_else(|| Self {
            type_uri: blank(),
            title: String::new(),
            status,
            detail: None,
            instance: None,
            extra: Map::new(),
        });
        problem.status = status;
        problem
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HTTP {}", self.status)?;
        if !self.title.is_empty() {
            write!(f, ": {}", self.title)?;
        }
        self.detail.as_ref().map_or(Ok(()), |detail| write!(f, " ({detail})"))
    }
}
