//! What a stranger must get from a bridge, and how the suite judges it.

use std::{fmt, sync::Arc};

/// How a stranger's connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The server ended it before the stranger did.
    Closed,
    /// The server ended it after the stranger ended his side.
    ClosedAfterOurs,
    /// The server reset it.
    Reset,
    /// The server never ended it.
    Open,
}

/// What a stranger sent and got.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Stranger {
    /// The bytes he sent; then he waited, then he ended his side.
    pub sent: Vec<u8>,
    /// The bytes he got.
    pub answer: Vec<u8>,
    /// How the connection ended.
    pub ending: Ending,
}

type Judge = dyn Fn(&Stranger) -> Result<(), String> + Send + Sync;

/// What a bridge of this transport must look like to a stranger.
#[derive(Clone)]
pub struct Cover {
    judge: Arc<Judge>,
    requests: Vec<Vec<u8>>,
}

impl Cover {
    /// A server that never says a word and reads until the stranger ends, as one behind a firewall that drops
    /// everything would seem: Shadowsocks and other fully encrypted protocols.
    pub fn silence() -> Self {
        Self::judged_by(|stranger| {
            if !stranger.answer.is_empty() {
                return Err(format!("it answered {} bytes to a stranger", stranger.answer.len()));
            }
            match stranger.ending {
                Ending::ClosedAfterOurs => Ok(()),
                other => Err(format!("it should read until the stranger ends, but: {other:?}")),
            }
        })
    }

    /// A server that answers `request` with something that begins with `prefix`, as a web server does.
    pub fn answers(request: impl Into<Vec<u8>>, prefix: impl Into<Vec<u8>>) -> Self {
        let (request, prefix) = (request.into(), prefix.into());
        let known = request.clone();
        Self::judged_by(move |stranger| {
            if stranger.sent != known || stranger.answer.starts_with(&prefix) {
                return Ok(());
            }
            let start = stranger.answer.get(..stranger.answer.len().min(64)).unwrap_or_default();
            Err(format!(
                "the cover should have answered; it said {:?}, then {:?}",
                start.escape_ascii().to_string(),
                stranger.ending
            ))
        })
        .with_request(request)
    }

    /// A cover that `judge` recognizes; it says what is wrong. It sees every stranger, those that send noise too.
    pub fn judged_by(judge: impl Fn(&Stranger) -> Result<(), String> + Send + Sync + 'static) -> Self {
        Self { judge: Arc::new(judge), requests: Vec::new() }
    }

    /// The same with a further request that a stranger makes. It must get an answer or an end: the suite waits for it.
    #[must_use]
    pub fn with_request(mut self, request: impl Into<Vec<u8>>) -> Self {
        self.requests.push(request.into());
        self
    }

    pub(super) fn requests(&self) -> &[Vec<u8>] {
        &self.requests
    }

    pub(super) fn judge(&self, stranger: &Stranger) -> Result<(), String> {
        (self.judge)(stranger)
    }
}

impl fmt::Debug for Cover {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cover").field("requests", &self.requests.len()).finish_non_exhaustive()
    }
}
