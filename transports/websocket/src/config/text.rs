//! Keys, pins, paths and host names as text.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use commucat_transport_api::{ConfigError, ConfigProblem, HostPort};

use super::bad;
use crate::wire::token::KEY_BYTES;

/// Longest path, in bytes.
pub(super) const MAX_PATH_BYTES: usize = 512;

/// A 32-byte key from base64url without padding.
pub(crate) fn decode_key(text: &str, field: &'static str) -> Result<[u8; KEY_BYTES], ConfigError> {
    let bytes = URL_SAFE_NO_PAD
        .decode(text)
        .map_err(|error| ConfigError::with_source(Some(field), ConfigProblem::BadValue, error))?;
    bytes.try_into().map_err(|_wrong_length: Vec<u8>| bad(field))
}

/// A 32-byte key as base64url without padding.
pub(crate) fn encode_key(key: &[u8; KEY_BYTES]) -> String {
    URL_SAFE_NO_PAD.encode(key)
}

/// The SHA-256 of a certificate, as the `pin` parameter shows it.
pub(crate) fn encode_pin(certificate: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(boring::sha::sha256(certificate))
}

/// An absolute path without query, of bytes that every URL parser leaves as they are.
pub(super) fn path(text: &str) -> Result<String, ConfigError> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/!$&'()*+,;=:@".contains(&byte);
    let ok = text.starts_with('/')
        && text.len() <= MAX_PATH_BYTES
        && text.bytes().all(plain)
        && !text.split('/').any(|segment| matches!(segment, "." | ".."));
    if ok { Ok(text.to_owned()) } else { Err(bad("path")) }
}

/// What may stand in a `Host` header: a host with or without a port.
pub(super) fn authority(text: &str) -> Result<String, ConfigError> {
    let with_port: Result<HostPort, _> = text.parse();
    let ok = with_port.is_ok() || HostPort::new(text.trim_matches(['[', ']']), 0).is_ok();
    if ok { Ok(text.to_owned()) } else { Err(bad("host")) }
}

/// An endpoint as a browser writes it into `Host`: without the scheme's own port.
pub(super) fn default_authority(endpoint: &HostPort, secure: bool) -> String {
    let own_port = if secure { 443 } else { 80 };
    let text = endpoint.to_string();
    match text.rsplit_once(':') {
        Some((host, _port)) if endpoint.port == own_port => host.to_owned(),
        _ => text,
    }
}
