//! The configuration of a bridge that nobody configured: every transport of the build, with fresh keys.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use commucat_bundle::Bundle;
use commucat_transport_api::{Net, Roles, TransportId};
use toml::{Table, Value};

use super::{SetupError, SetupOptions, SetupWarning};
use crate::config::{DEFAULT_ADMIN_BIND, reasons};

/// Transports that look like a web server want its port; the others hide best where nobody looks.
const WEB_TRANSPORTS: [&str; 1] = ["websocket"];
/// Ports of web servers, the most ordinary first.
const WEB_PORTS: [u16; 2] = [443, 8443];
/// Where the search for a web port goes on.
const MORE_WEB_PORTS: std::ops::Range<u16> = 8444..8544;
/// Random ports are from here, below the range that Linux gives to outgoing connections.
const RANDOM_PORTS: std::ops::Range<u16> = 10_000..32_768;
/// Random ports that are tried.
const RANDOM_TRIES: usize = 32;

const HEAD: &str = "\
# The configuration of this CommuCat bridge. It holds the bridge's keys: keep it private (mode 0600).
# Every key is explained in docs/src/configuration.md. After a change: systemctl reload commucat, or SIGHUP.

";

pub(super) async fn config(
    options: &SetupOptions,
    bundle: &Bundle,
    net: &dyn Net,
    warnings: &mut Vec<SetupWarning>,
) -> Result<String, SetupError> {
    let ip = match options.listen {
        Some(ip) => ip,
        None => any_address(net).await,
    };
    let mut endpoints = Vec::new();
    for transport in ordered(bundle) {
        let params = bundle
            .generate_server_params(&transport)
            .map_err(|source| SetupError::Keys { transport: transport.clone(), source })?;
        let port = if WEB_TRANSPORTS.contains(&transport.as_str()) {
            match options.web_port {
                Some(port) => chosen_port(net, SocketAddr::new(ip, port)).await?,
                None => web_port(net, ip, warnings).await?,
            }
        } else {
            random_port(net, ip).await?
        };
        let mut endpoint = Table::new();
        endpoint.insert("transport".to_owned(), transport.to_string().into());
        endpoint.insert("listen".to_owned(), SocketAddr::new(ip, port).to_string().into());
        endpoint.insert("params".to_owned(), to_toml(params).unwrap_or_else(|| Value::Table(Table::new())));
        endpoints.push(Value::Table(endpoint));
    }
    if endpoints.is_empty() {
        return Err(SetupError::NoTransport);
    }
    let mut server = Table::new();
    server.extend(options.name.clone().map(|name| ("name".to_owned(), name.into())));
    server.extend(options.public.as_ref().map(|host| ("public".to_owned(), host.to_string().into())));
    let admin = match options.admin_bind {
        Some(address) => address,
        None => admin_bind(net, warnings).await?,
    };
    server.insert("admin_bind".to_owned(), admin.to_string().into());
    let mut root = Table::new();
    root.insert("server".to_owned(), Value::Table(server));
    root.insert("endpoints".to_owned(), Value::Array(endpoints));
    let text = toml::to_string(&root).map_err(SetupError::Write)?;
    Ok(format!("{HEAD}{text}"))
}

/// Those that can listen with generated parameters alone, web transports first: a link's first endpoint is tried first.
fn ordered(bundle: &Bundle) -> Vec<TransportId> {
    let both =
        bundle.descriptors().filter(|transport| transport.roles == Roles::Both && !transport.needs_operator);
    let mut ids: Vec<_> = both.map(|transport| transport.id.clone()).collect();
    ids.sort_by_key(|id| !WEB_TRANSPORTS.contains(&id.as_str()));
    ids
}

/// Both families where there are two.
async fn any_address(net: &dyn Net) -> IpAddr {
    let v6 = SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0));
    match net.listen_stream(v6).await {
        Ok(_port) => v6.ip(),
        Err(_no_v6) => Ipv4Addr::UNSPECIFIED.into(),
    }
}

async fn web_port(net: &dyn Net, ip: IpAddr, warnings: &mut Vec<SetupWarning>) -> Result<u16, SetupError> {
    let mut why_not = "taken by another program";
    for port in WEB_PORTS.into_iter().chain(MORE_WEB_PORTS) {
        match net.listen_stream(SocketAddr::new(ip, port)).await {
            Ok(_free) if port == WEB_PORTS[0] => return Ok(port),
            Ok(_free) => {
                warnings.push(SetupWarning::NotPort443(why_not, port));
                return Ok(port);
            }
            Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
                why_not = "for root only (or CAP_NET_BIND_SERVICE)";
            }
            Err(error) => tracing::debug!(port, reason = reasons(&error), "port not free"),
        }
    }
    Err(SetupError::NoPort)
}

/// The port the operator chose. One that is taken is found out when the bridge starts, with a better message.
async fn chosen_port(net: &dyn Net, at: SocketAddr) -> Result<u16, SetupError> {
    if at.port() != 0 {
        return Ok(at.port());
    }
    let free = net.listen_stream(at).await.map_err(|_none: std::io::Error| SetupError::NoPort)?;
    free.local_addr().map(|at| at.port()).map_err(|_none: std::io::Error| SetupError::NoPort)
}

/// A port that is free for streams and datagrams.
async fn random_port(net: &dyn Net, ip: IpAddr) -> Result<u16, SetupError> {
    let span = RANDOM_PORTS.end - RANDOM_PORTS.start;
    for _try in 0..RANDOM_TRIES {
        let mut random = [0; 2];
        net.fill_random(&mut random).map_err(SetupError::Random)?;
        let port = RANDOM_PORTS.start + u16::from_le_bytes(random) % span;
        let at = SocketAddr::new(ip, port);
        if net.listen_stream(at).await.is_ok() && net.bind_datagram(at).await.is_ok() {
            return Ok(port);
        }
    }
    Err(SetupError::NoPort)
}

async fn admin_bind(net: &dyn Net, warnings: &mut Vec<SetupWarning>) -> Result<SocketAddr, SetupError> {
    let usual: SocketAddr =
        DEFAULT_ADMIN_BIND.parse().map_err(|_never: std::net::AddrParseError| SetupError::NoPort)?;
    if net.listen_stream(usual).await.is_ok() {
        return Ok(usual);
    }
    let free = SocketAddr::new(usual.ip(), 0);
    let port = net.listen_stream(free).await.map_err(|_none: std::io::Error| SetupError::NoPort)?;
    let found = port.local_addr().map_err(|_none: std::io::Error| SetupError::NoPort)?;
    warnings.push(SetupWarning::AdminElsewhere(found));
    Ok(found)
}

/// TOML has no null: what is null is left out.
fn to_toml(value: serde_json::Value) -> Option<Value> {
    use serde_json::Value as Json;
    match value {
        Json::Null => None,
        Json::Bool(truth) => Some(Value::Boolean(truth)),
        Json::Number(number) => match number.as_i64() {
            Some(whole) => Some(Value::Integer(whole)),
            None => number.as_f64().map(Value::Float),
        },
        Json::String(text) => Some(Value::String(text)),
        Json::Array(items) => Some(Value::Array(items.into_iter().filter_map(to_toml).collect())),
        Json::Object(map) => Some(Value::Table(
            map.into_iter().filter_map(|(key, value)| Some((key, to_toml(value)?))).collect(),
        )),
    }
}
