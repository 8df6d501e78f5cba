//! What an operator says of the way to the site: how it is dialled, and how much of it strangers get.

use commucat_transport_api::ConfigError;
use serde::Deserialize;

use super::text::bad;

/// Most dials of the target that may run at once, unless `target_dials.concurrent` says otherwise.
const DEFAULT_CONCURRENT: u16 = 256;
/// Dials of the target a second, unless `target_dials.per_second` says otherwise.
const DEFAULT_PER_SECOND: u32 = 1000;
/// Connections to the target that wait for a visitor, unless `target_dials.ready` says otherwise.
const DEFAULT_READY: u8 = 8;
/// Most of them: more would be a load on the site.
const MAX_READY: u8 = 64;
/// Highest `target_dials.per_second`.
const MAX_PER_SECOND: u32 = 100_000;
/// Least bytes a second of a limit: below, a handshake takes longer than any site.
const MIN_BYTES_PER_SECOND: u64 = 1024;

/// How the target is dialled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct DialLimits {
    /// Most dials that run at once.
    pub(crate) concurrent: u16,
    /// Most dials a second; a second's worth may come at once.
    pub(crate) per_second: u32,
    /// Most connections that are ready before a visitor comes; 0 for none.
    pub(crate) ready: u8,
}

impl Default for DialLimits {
    fn default() -> Self {
        Self { concurrent: DEFAULT_CONCURRENT, per_second: DEFAULT_PER_SECOND, ready: DEFAULT_READY }
    }
}

impl DialLimits {
    pub(super) fn checked(self) -> Result<Self, ConfigError> {
        if self.concurrent == 0 {
            return Err(bad("target_dials.concurrent", "1 to 65535 dials at once are expected"));
        }
        if !(1..=MAX_PER_SECOND).contains(&self.per_second) {
            return Err(bad("target_dials.per_second", "1 to 100000 dials a second are expected"));
        }
        if self.ready > MAX_READY {
            return Err(bad("target_dials.ready", "0 to 64 connections are expected"));
        }
        Ok(self)
    }
}

/// How fast strangers are served; nobody else is ever slowed down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FallbackLimit {
    /// From a stranger to the site.
    #[serde(default)]
    pub(crate) up: Option<ByteLimit>,
    /// From the site to a stranger.
    #[serde(default)]
    pub(crate) down: Option<ByteLimit>,
}

/// A limit of one direction of one connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ByteLimit {
    /// Bytes that pass before the limit begins.
    #[serde(default)]
    pub(crate) after_bytes: u64,
    pub(crate) bytes_per_second: u64,
    /// Bytes that may come at once; never less than a second's worth.
    #[serde(default)]
    pub(crate) burst_bytes: u64,
}

impl FallbackLimit {
    pub(super) fn checked(self) -> Result<Self, ConfigError> {
        let slow = |limit: Option<ByteLimit>| {
            limit.is_some_and(|limit| limit.bytes_per_second < MIN_BYTES_PER_SECOND)
        };
        let why = "at least 1024 bytes a second are expected; leave the limit out for none";
        if slow(self.up) {
            return Err(bad("fallback_limit.up.bytes_per_second", why));
        }
        if slow(self.down) {
            return Err(bad("fallback_limit.down.bytes_per_second", why));
        }
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field<T: std::fmt::Debug>(result: Result<T, ConfigError>) -> &'static str {
        result.unwrap_err().field().unwrap()
    }

    #[test]
    fn what_cannot_work_is_named() {
        let usual = DialLimits::default();
        assert_eq!(usual.checked().unwrap(), usual);
        assert_eq!(field(DialLimits { concurrent: 0, ..usual }.checked()), "target_dials.concurrent");
        assert_eq!(field(DialLimits { per_second: 0, ..usual }.checked()), "target_dials.per_second");
        assert_eq!(field(DialLimits { ready: 65, ..usual }.checked()), "target_dials.ready");
        let slow = Some(ByteLimit { after_bytes: 0, bytes_per_second: 1, burst_bytes: 0 });
        let up = FallbackLimit { up: slow, down: None };
        assert_eq!(field(up.checked()), "fallback_limit.up.bytes_per_second");
        let down = FallbackLimit { up: None, down: slow };
        assert_eq!(field(down.checked()), "fallback_limit.down.bytes_per_second");
    }
}
