//! From what the file says to what it means: defaults, ranges, and keys that belong together.

use std::{io::Read as _, path::Path, time::Duration};

use commucat_transport_api::{Host, HostPort, Secret, Spec, TransportId};

use super::{
    AdminConfig, AssistConfig, BridgeConfig, EgressConfig, EndpointConfig, LimitsConfig, LogConfig,
    RateConfig, ServerConfig, StorageConfig, TlsFiles, Zone,
    error::{Collector, ConfigFileError},
    form::{CarrierForm, EndpointForm, FileForm, LimitsForm, ServerForm, StorageForm, ZoneForm},
    source::Source,
};

/// Where `/livez`, `/readyz` and `/metrics` are served when the config does not say.
pub const DEFAULT_ADMIN_BIND: &str = "127.0.0.1:9464";
/// Longest bridge name, in bytes.
pub const MAX_NAME_BYTES: usize = commucat_proto::link::MAX_NAME_BYTES;
/// Most endpoints of one bridge: what one link can hold.
pub const MAX_ENDPOINTS: usize = commucat_proto::link::MAX_ENDPOINTS;

const DEFAULT_MAX_CONNECTIONS: u32 = 16_384;
const DEFAULT_DRAIN_SECONDS: u32 = 30;
const DEFAULT_MAX_HANDSHAKES: u32 = 4_096;
const DEFAULT_MAX_VISITORS: u32 = 4_096;
const DEFAULT_HANDSHAKE_SECONDS: u32 = 600;
const DEFAULT_MAX_CONNECTIONS_PER_USER: u32 = 1_024;
const DEFAULT_CONNECT_SECONDS: u32 = 10;
/// RFC 5382 REQ-5: no middle box may drop an idle TCP connection before two hours and four minutes.
const DEFAULT_IDLE_SECONDS: u32 = 7_440;
const DEFAULT_UDP_ASSOCIATIONS: u32 = 2_048;
/// RFC 4787 REQ-5: five minutes are recommended.
const DEFAULT_UDP_IDLE_SECONDS: u32 = 300;
const DEFAULT_SELF_CHECK_SECONDS: u32 = 60;
/// SMTP between servers: what abuse of open proxies is mostly after, and no user of a browser needs.
const DEFAULT_BLOCKED_PORTS: [u16; 1] = [25];
const DEFAULT_CONNECT_ZONE: Zone = Zone { per_minute: 6_000, burst: 512 };
const DEFAULT_HTTP_ZONE: Zone = Zone { per_minute: 12, burst: 6 };
const DEFAULT_STRANGERS_ZONE: Zone = Zone { per_minute: 60, burst: 20 };
const MAX_SECONDS: u32 = 7 * 24 * 3600;
/// Longest secret that is read from a file, in bytes.
const MAX_SECRET_FILE_BYTES: u64 = 16 * 1024;

pub(super) fn build(form: FileForm, source: &Source) -> Result<BridgeConfig, ConfigFileError> {
    let mut issues = source.collector();
    let endpoints = endpoints(form.endpoints, form.server.bind.as_ref(), source, &mut issues);
    let server = server(form.server, &mut issues);
    let storage = storage(form.storage, &mut issues)?;
    let token = match (form.admin.token, form.admin.token_file) {
        (Some(_), Some(_)) => {
            issues.at("admin.token_file", "give either token or token_file");
            None
        }
        (Some(token), None) => Some(token),
        (None, Some(file)) => Some(secret_file(&file)?),
        (None, None) => None,
    };
    if token.as_ref().is_some_and(|token| token.expose().is_empty()) {
        issues.at("admin.token", "the token is empty");
    }
    let limits = limits(&form.limits, &mut issues);
    let rate = RateConfig {
        connect: zone(&form.rate.connect, DEFAULT_CONNECT_ZONE, "rate.connect", &mut issues),
        http: zone(&form.rate.http, DEFAULT_HTTP_ZONE, "rate.http", &mut issues),
        strangers: zone(&form.rate.strangers, DEFAULT_STRANGERS_ZONE, "rate.strangers", &mut issues),
    };
    let self_check = seconds(
        form.assist.self_check_seconds,
        DEFAULT_SELF_CHECK_SECONDS,
        "assist.self_check_seconds",
        &mut issues,
    );
    issues.finish()?;
    Ok(BridgeConfig {
        server,
        endpoints,
        storage,
        admin: AdminConfig { token },
        egress: EgressConfig {
            allow_private: form.egress.allow_private.unwrap_or(false),
            blocked_ports: form.egress.blocked_ports.unwrap_or_else(|| DEFAULT_BLOCKED_PORTS.to_vec()),
        },
        limits,
        rate,
        assist: AssistConfig { enabled: form.assist.enabled.unwrap_or(true), self_check },
        log: LogConfig {
            level: form.log.level.unwrap_or_else(|| "info".to_owned()),
            format: form.log.format.unwrap_or_default(),
            reveal_addresses: form.log.reveal_addresses.unwrap_or(false),
        },
        source: source.clone(),
    })
}

fn server(form: ServerForm, issues: &mut Collector<'_>) -> ServerConfig {
    let name = form.name.unwrap_or_default();
    if name.len() > MAX_NAME_BYTES || name.chars().any(char::is_control) {
        issues.at(
            "server.name",
            format!("a name has at most {MAX_NAME_BYTES} bytes and no control characters"),
        );
    }
    let domain = match form.domain.map(|domain| domain.0) {
        Some(Host::Ip(_)) => {
            issues
                .at("server.domain", "this is an address, not a domain; an address goes into server.public");
            None
        }
        Some(Host::Name(name)) => Some(name),
        None => None,
    };
    let tls = match (form.tls_cert, form.tls_key) {
        (Some(cert), Some(key)) => Some(TlsFiles { cert, key }),
        (None, None) => None,
        (Some(_), None) => {
            issues.at("server.tls_cert", "server.tls_key is missing: a certificate needs its key");
            None
        }
        (None, Some(_)) => {
            issues.at("server.tls_key", "server.tls_cert is missing: a key needs its certificate");
            None
        }
    };
    for (bind, key) in [(&form.admin_bind, "server.admin_bind"), (&form.api_bind, "server.api_bind")] {
        if bind.as_ref().is_some_and(|bind| bind.socket_addr().is_none()) {
            issues.at(key, "write an IP address and a port, not a name");
        }
    }
    let default_admin = || DEFAULT_ADMIN_BIND.parse().ok();
    ServerConfig {
        name,
        public: form.public.map(|public| public.0),
        domain,
        tls,
        max_connections: positive(
            form.max_connections,
            DEFAULT_MAX_CONNECTIONS,
            "server.max_connections",
            issues,
        ),
        drain: Duration::from_secs(
            form.drain_seconds.unwrap_or(DEFAULT_DRAIN_SECONDS).min(MAX_SECONDS).into(),
        ),
        admin_bind: form.admin_bind.and_then(|bind| bind.socket_addr()).or_else(default_admin),
        api_bind: form.api_bind.and_then(|bind| bind.socket_addr()),
    }
}

fn endpoints(
    forms: Vec<EndpointForm>,
    bind: Option<&HostPort>,
    source: &Source,
    issues: &mut Collector<'_>,
) -> Vec<EndpointConfig> {
    if forms.is_empty() {
        issues.at("endpoints", "a bridge needs at least one endpoint: add an [[endpoints]] section");
    }
    if forms.len() > MAX_ENDPOINTS {
        issues.at("endpoints", format!("at most {MAX_ENDPOINTS} endpoints fit into one link"));
    }
    let bind_from_env = source.is_from_env("server.bind");
    let mut endpoints = Vec::new();
    for (at, form) in forms.into_iter().enumerate() {
        let key = format!("endpoints[{at}]");
        let bind = bind.filter(|_bind| at == 0);
        let listen = match (form.listen, bind) {
            (Some(_), Some(bind)) if bind_from_env => Some(bind.clone()),
            (Some(_), Some(_)) => {
                issues.at("server.bind", format!("{key}.listen says this already; keep one of the two"));
                None
            }
            (listen, bind) => listen.or_else(|| bind.cloned()),
        };
        let Some(spec) = spec(form.transport, listen, form.params, form.via, &key, issues) else { continue };
        endpoints.push(EndpointConfig { spec, public: form.public });
    }
    endpoints
}

/// An endpoint over a carrier listens where its carrier does, so only the last carrier needs a `listen`.
fn spec(
    transport: TransportId,
    listen: Option<HostPort>,
    params: serde_json::Value,
    via: Option<Box<CarrierForm>>,
    key: &str,
    issues: &mut Collector<'_>,
) -> Option<Spec> {
    let via = match via {
        Some(via) => {
            let inner = *via;
            Some(spec(inner.transport, inner.listen, inner.params, inner.via, &format!("{key}.via"), issues)?)
        }
        None => None,
    };
    let Some(endpoint) = listen.or_else(|| via.as_ref().map(|via| via.endpoint.clone())) else {
        issues.at(
            &format!("{key}.listen"),
            "this key is required and missing: the address and port to listen on",
        );
        return None;
    };
    if endpoint.socket_addr().is_none() {
        issues.at(&format!("{key}.listen"), "write an IP address and a port, not a name");
        return None;
    }
    let mut spec = match Spec::new(transport, endpoint, params) {
        Ok(spec) => spec,
        Err(error) => {
            issues.at(&format!("{key}.params"), error.to_string());
            return None;
        }
    };
    spec.via = via.map(Box::new);
    Some(spec)
}

fn storage(form: StorageForm, issues: &mut Collector<'_>) -> Result<StorageConfig, ConfigFileError> {
    if [form.dsn.is_some(), form.postgres_dsn.is_some(), form.dsn_file.is_some()]
        .iter()
        .filter(|is| **is)
        .count()
        > 1
    {
        issues.at("storage", "give one of dsn, postgres_dsn and dsn_file");
    }
    if let Some(dsn) = &form.postgres_dsn
        && !["postgres://", "postgresql://"].iter().any(|scheme| dsn.expose().starts_with(scheme))
    {
        issues.at("storage.postgres_dsn", "a PostgreSQL DSN begins with postgres://");
    }
    let from_file = form.dsn_file.as_deref().map(secret_file).transpose()?;
    Ok(StorageConfig { dsn: form.dsn.or(form.postgres_dsn).or(from_file) })
}

/// A secret from a file (systemd's `LoadCredential=`, a container's secret mount), without its last line break.
fn secret_file(path: &Path) -> Result<Secret<String>, ConfigFileError> {
    let read = || {
        let mut text = String::new();
        std::fs::File::open(path)?.take(MAX_SECRET_FILE_BYTES).read_to_string(&mut text)?;
        Ok(text)
    };
    let text: String = read().map_err(|source| ConfigFileError::Read { path: path.to_owned(), source })?;
    Ok(Secret::new(text.trim_end_matches(['\r', '\n']).to_owned()))
}

fn limits(form: &LimitsForm, issues: &mut Collector<'_>) -> LimitsConfig {
    LimitsConfig {
        max_handshakes: positive(
            form.max_handshakes,
            DEFAULT_MAX_HANDSHAKES,
            "limits.max_handshakes",
            issues,
        ),
        max_visitors: positive(form.max_visitors, DEFAULT_MAX_VISITORS, "limits.max_visitors", issues),
        handshake: seconds(
            form.handshake_seconds,
            DEFAULT_HANDSHAKE_SECONDS,
            "limits.handshake_seconds",
            issues,
        ),
        max_connections_per_user: positive(
            form.max_connections_per_user,
            DEFAULT_MAX_CONNECTIONS_PER_USER,
            "limits.max_connections_per_user",
            issues,
        ),
        connect: seconds(form.connect_seconds, DEFAULT_CONNECT_SECONDS, "limits.connect_seconds", issues),
        idle: seconds(form.idle_seconds, DEFAULT_IDLE_SECONDS, "limits.idle_seconds", issues),
        udp_associations: positive(
            form.udp_associations,
            DEFAULT_UDP_ASSOCIATIONS,
            "limits.udp_associations",
            issues,
        ),
        udp_idle: seconds(form.udp_idle_seconds, DEFAULT_UDP_IDLE_SECONDS, "limits.udp_idle_seconds", issues),
    }
}

fn zone(form: &ZoneForm, default: Zone, key: &str, issues: &mut Collector<'_>) -> Zone {
    Zone {
        per_minute: positive(form.per_minute, default.per_minute, &format!("{key}.per_minute"), issues),
        burst: positive(form.burst, default.burst, &format!("{key}.burst"), issues),
    }
}

fn positive(value: Option<u32>, default: u32, key: &str, issues: &mut Collector<'_>) -> u32 {
    if value == Some(0) {
        issues.at(key, "must be at least 1");
    }
    value.unwrap_or(default)
}

fn seconds(value: Option<u32>, default: u32, key: &str, issues: &mut Collector<'_>) -> Duration {
    let value = value.unwrap_or(default);
    if value == 0 || value > MAX_SECONDS {
        issues.at(key, format!("must be from 1 to {MAX_SECONDS} seconds"));
    }
    Duration::from_secs(value.into())
}
