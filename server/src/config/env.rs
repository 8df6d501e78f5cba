//! Environment variables that override keys of the file, and keys that older descriptions of CommuCat name but that
//! nothing in this program uses yet.

use super::{
    error::Collector,
    node::{Entry, KeyPath, Node, Origin, Value},
    suggest::nearest,
};

/// What all our variables begin with.
const PREFIX: &str = "COMMUCAT_";

/// Variable and the key it overrides.
pub(super) const OVERRIDES: &[(&str, &str)] = &[
    ("COMMUCAT_BIND", "server.bind"),
    ("COMMUCAT_NAME", "server.name"),
    ("COMMUCAT_DOMAIN", "server.domain"),
    ("COMMUCAT_PUBLIC", "server.public"),
    ("COMMUCAT_TLS_CERT", "server.tls_cert"),
    ("COMMUCAT_TLS_KEY", "server.tls_key"),
    ("COMMUCAT_MAX_CONNECTIONS", "server.max_connections"),
    ("COMMUCAT_DRAIN_SECONDS", "server.drain_seconds"),
    ("COMMUCAT_ADMIN_BIND", "server.admin_bind"),
    ("COMMUCAT_API_BIND", "server.api_bind"),
    ("COMMUCAT_DSN", "storage.dsn"),
    ("COMMUCAT_PG_DSN", "storage.postgres_dsn"),
    ("COMMUCAT_ADMIN_TOKEN", "admin.token"),
    ("COMMUCAT_ALLOW_PRIVATE", "egress.allow_private"),
    ("COMMUCAT_LOG", "log.level"),
    ("COMMUCAT_LOG_FORMAT", "log.format"),
];

/// Variables of things that are not built yet.
pub(super) const ENV_NOT_BUILT: &[(&str, &str)] = &[
    ("COMMUCAT_REDIS_URL", "several nodes sharing one state through Redis"),
    ("COMMUCAT_NOISE_PRIVATE", "CCP-1 sessions (Noise keys)"),
    ("COMMUCAT_NOISE_PUBLIC", "CCP-1 sessions (Noise keys)"),
    ("COMMUCAT_NOISE_PROLOGUE", "CCP-1 sessions (Noise keys)"),
    ("COMMUCAT_FEDERATION_SEED", "federation"),
];

/// Keys, and whole sections, of things that are not built yet.
const KEYS_NOT_BUILT: &[(&str, &str)] = &[
    ("server.max_auto_devices_per_user", "registration of devices"),
    ("server.connection_keepalive", "CCP-1 sessions (keep-alive)"),
    ("storage.redis_url", "several nodes sharing one state through Redis"),
    ("crypto", "CCP-1 sessions and federation (their keys)"),
    ("federation", "federation"),
    ("presence", "presence"),
    ("pairing", "pairing of devices"),
    ("rotation", "scheduled key rotation"),
    ("rate.pairing", "pairing of devices"),
];

/// Something in the environment that has no effect.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct EnvWarning {
    /// The variable.
    pub name: String,
    /// Why it has no effect.
    pub message: String,
}

/// Puts the variables over what the file says, and tells which of ours have no effect.
pub(super) fn apply(root: &mut Node, env: impl Iterator<Item = (String, String)>) -> Vec<EnvWarning> {
    let mut warnings = Vec::new();
    for (name, value) in env.filter(|(name, _value)| name.starts_with(PREFIX)) {
        if let Some((name, key)) = OVERRIDES.iter().find(|(known, _key)| *known == name) {
            // An empty variable counts as one that is not set, as systemd and shells make it hard to unset one.
            if !value.is_empty() {
                root.set(&KeyPath::parse(key), Origin::Env(name), Value::Str(value));
            }
        } else if let Some((_name, what)) = ENV_NOT_BUILT.iter().find(|(known, _what)| *known == name) {
            warnings.push(EnvWarning { message: format!("has no effect: not built yet: {what}"), name });
        } else if let Some(meant) = nearest_variable(&name) {
            warnings
                .push(EnvWarning { message: format!("has no effect; did you mean {PREFIX}{meant}?"), name });
        }
    }
    warnings
}

fn nearest_variable(name: &str) -> Option<&'static str> {
    let known = OVERRIDES.iter().filter_map(|(known, _key)| known.strip_prefix(PREFIX));
    nearest(name.strip_prefix(PREFIX)?, known)
}

/// Finds keys of things that are not built, and takes them out so that they are not reported as unknown as well.
pub(super) fn take_not_built(root: &mut Node, found: &mut Vec<(KeyPath, Origin, &'static str)>) {
    for (key, what) in KEYS_NOT_BUILT {
        let path = KeyPath::parse(key);
        if root.get(&path).is_some() {
            found.push((path.clone(), root.locate(&path), what));
            remove(root, key);
        }
    }
}

pub(super) fn report_not_built(found: Vec<(KeyPath, Origin, &'static str)>, issues: &mut Collector<'_>) {
    for (path, origin, what) in found {
        issues.push(origin, path.to_string(), format!("not built yet: {what}; remove this key"));
    }
}

fn remove(root: &mut Node, key: &str) {
    fn keep(entries: &mut Vec<Entry>, name: &str) {
        entries.retain(|entry| entry.key != name);
    }
    let Value::Map(entries) = &mut root.value else { return };
    match key.split_once('.') {
        None => keep(entries, key),
        Some((section, rest)) => {
            if let Some(Value::Map(inner)) =
                entries.iter_mut().find(|entry| entry.key == section).map(|entry| &mut entry.node.value)
            {
                keep(inner, rest);
            }
        }
    }
}
