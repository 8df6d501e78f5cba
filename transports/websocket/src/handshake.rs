//! The client's side of the upgrade as a pure state machine: the request out, the answer judged.

use std::time::{Duration, Instant, SystemTime};

use bytes::{Bytes, BytesMut};
use commucat_transport_api::{Handshake, Signal, Step};

use crate::{
    config::Credentials,
    wire::{
        head::{HeadError, ResponseHead, take_response},
        token::Salt,
        upgrade::{Mode, accept},
        verdict::{self, ID_HEADER, Reason},
    },
};

/// Clock difference that an honest pair of machines may have, in seconds. A greater one in the `Date` of a refusal is the
/// likelier cause of it.
const CLOCK_TOLERANCE_S: u64 = 120;

/// What the answer is judged by.
#[derive(Debug)]
pub(crate) struct Expect {
    pub(crate) mode: Mode,
    /// Our `Sec-WebSocket-Key`.
    pub(crate) key: String,
    /// What we sent as `Sec-WebSocket-Protocol`.
    pub(crate) protocol: Option<String>,
    /// Opens a verdict; `None` with `auth: "none"`.
    pub(crate) credentials: Option<(Credentials, Salt)>,
    /// Our Unix time when the request was made.
    pub(crate) unix: Duration,
}

/// The machine.
#[derive(Debug)]
pub(crate) struct ClientHandshake {
    request: Option<Bytes>,
    expect: Expect,
}

/// Why there was no upgrade.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UpgradeError {
    #[error("the bridge refused the token: {0:?}")]
    Verdict(Reason, i64),
    #[error("the answer was HTTP status {status}, as a web site would give")]
    Status { status: u16, skew_s: Option<i64>, authenticated: bool },
    #[error("the answer is no HTTP response")]
    Head(#[source] HeadError),
    #[error("the upgrade was answered wrongly: {0}")]
    Answer(&'static str),
}

impl UpgradeError {
    /// As evidence.
    pub(crate) const fn signal(&self) -> Signal {
        match self {
            Self::Verdict(Reason::UnknownUser, _) => Signal::UnknownUser,
            Self::Verdict(Reason::ClockSkew, ahead_s) => Signal::ClockSkew(*ahead_s),
            Self::Verdict(Reason::VersionTooOld, _) => Signal::VersionTooOld,
            Self::Verdict(Reason::BridgeFull, _) => Signal::BridgeFull,
            Self::Verdict(Reason::BadRequest, _) => Signal::TargetUnreachable,
            Self::Status { skew_s: Some(ahead_s), .. } => Signal::ClockSkew(*ahead_s),
            // A gateway without its backend, or one that asks for patience: that is no word of the bridge.
            Self::Status { status: status @ (429 | 500..=599), .. } => Signal::HttpStatus(*status),
            Self::Status { authenticated: true, .. } => Signal::AuthRejected,
            Self::Status { status, .. } => Signal::HttpStatus(*status),
            Self::Head(_) | Self::Answer(_) => Signal::UnexpectedBytes,
        }
    }
}

impl ClientHandshake {
    pub(crate) const fn new(request: Bytes, expect: Expect) -> Self {
        Self { request: Some(request), expect }
    }
}

impl Handshake for ClientHandshake {
    type Output = ();
    type Error = UpgradeError;

    fn step(&mut self, _now: Instant, input: &mut BytesMut) -> Result<Step<()>, UpgradeError> {
        if let Some(request) = self.request.take() {
            return Ok(Step::Send(request));
        }
        match take_response(input).map_err(UpgradeError::Head)? {
            None => Ok(Step::NeedMore),
            Some(head) if head.status == 101 => self.expect.check(&head).map(Step::Done),
            Some(head) => Err(self.expect.refusal(&head)),
        }
    }
}

impl Expect {
    fn check(&self, head: &ResponseHead) -> Result<(), UpgradeError> {
        let fields = &head.fields;
        let wrong = |why| Err(UpgradeError::Answer(why));
        if !fields.has_token("Upgrade", "websocket") || !fields.has_token("Connection", "upgrade") {
            return wrong("it upgrades to something else");
        }
        if fields.get("Sec-WebSocket-Extensions").is_some() {
            return wrong("it takes an extension");
        }
        if self.mode == Mode::Ws {
            let right = accept(self.key.as_bytes());
            if fields.get("Sec-WebSocket-Accept") != Some(right.as_bytes()) {
                return wrong("Sec-WebSocket-Accept does not match");
            }
        }
        if fields.get("Sec-WebSocket-Protocol") != self.protocol.as_ref().map(String::as_bytes) {
            return wrong("Sec-WebSocket-Protocol is not what was asked for");
        }
        Ok(())
    }

    /// Reads the reason out of a refusal, as far as there is one.
    fn refusal(&self, head: &ResponseHead) -> UpgradeError {
        let id = head.fields.get(ID_HEADER);
        if let (Some((credentials, salt)), Some(id)) = (&self.credentials, id)
            && let Some((reason, server_s)) = verdict::open(&credentials.bridge, salt, id)
        {
            return UpgradeError::Verdict(reason, self.ahead_s(server_s));
        }
        let date = head.fields.get("Date").and_then(|date| std::str::from_utf8(date).ok());
        let skew_s = date
            .and_then(|date| httpdate::parse_http_date(date).ok())
            .and_then(|date| date.duration_since(SystemTime::UNIX_EPOCH).ok())
            .map(|date| self.ahead_s(date.as_secs()))
            .filter(|ahead_s| ahead_s.unsigned_abs() > CLOCK_TOLERANCE_S);
        let authenticated = self.credentials.is_some();
        UpgradeError::Status { status: head.status, skew_s: skew_s.filter(|_| authenticated), authenticated }
    }

    /// Seconds that our clock is ahead of the server's.
    fn ahead_s(&self, server_s: u64) -> i64 {
        let ours = i64::try_from(self.unix.as_secs()).unwrap_or(i64::MAX);
        ours.saturating_sub(i64::try_from(server_s).unwrap_or(i64::MAX))
    }
}
