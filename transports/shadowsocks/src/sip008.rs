//! SIP008 documents (a list of servers as JSON) and Outline's JSON (one server), both ways.

use commucat_transport_api::{ConfigError, ConfigProblem, HostPort, HostPortError, Spec};
use serde::{Deserialize, Serialize};

use crate::{
    ID,
    config::{self, ClientConfig, Mode},
    plugin,
    prefix::Prefix,
};

/// The only version there is.
const VERSION: u32 = 1;
/// Most servers of one document.
const MAX_SERVERS: usize = 1024;

/// One server of a document.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Entry {
    /// What people call it.
    pub name: String,
    /// The client's spec; holds secrets.
    pub spec: Spec,
}

impl Entry {
    /// A server and its name.
    pub fn new(name: impl Into<String>, spec: Spec) -> Self {
        Self { name: name.into(), spec }
    }
}

/// SIP008 lets a document hold more than it names, so unknown fields are passed over.
#[derive(Serialize, Deserialize)]
struct Document {
    version: u32,
    servers: Vec<Server>,
}

#[derive(Default, Serialize, Deserialize)]
struct Server {
    #[serde(default, skip_serializing_if = "String::is_empty")]
    id: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    remarks: String,
    server: String,
    server_port: u16,
    password: String,
    method: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    plugin: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    plugin_opts: String,
    /// Outline's: each code point is a byte.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    prefix: String,
}

/// Reads a SIP008 document.
///
/// # Errors
/// It is no such document, or one of its servers cannot be used.
pub fn parse(text: &str) -> Result<Vec<Entry>, ConfigError> {
    let document: Document = serde_json::from_str(text).map_err(not_json)?;
    if document.version != VERSION {
        return Err(bad("version", format!("version {} is not known", document.version)));
    }
    if document.servers.len() > MAX_SERVERS {
        return Err(bad("servers", format!("more than {MAX_SERVERS} servers")));
    }
    document.servers.into_iter().map(entry).collect()
}

/// Writes a SIP008 document. Each server's id is derived from its address and key, and so is stable.
///
/// # Errors
/// A spec is none of ours, or has a carrier that no plug-in stands for.
pub fn render(entries: &[Entry]) -> Result<String, ConfigError> {
    let servers = entries.iter().map(server).collect::<Result<_, _>>()?;
    serde_json::to_string_pretty(&Document { version: VERSION, servers }).map_err(not_json)
}

/// Reads Outline's JSON of one server.
///
/// # Errors
/// It is no such object, or it cannot be used.
pub fn parse_outline(text: &str) -> Result<Entry, ConfigError> {
    entry(serde_json::from_str(text).map_err(not_json)?)
}

/// Writes Outline's JSON of one server.
///
/// # Errors
/// As [`render`].
pub fn render_outline(spec: &Spec) -> Result<String, ConfigError> {
    let server = Server { id: String::new(), ..server(&Entry::new("", spec.clone()))? };
    serde_json::to_string(&server).map_err(not_json)
}

fn entry(server: Server) -> Result<Entry, ConfigError> {
    let method = config::parse_method(&server.method)?;
    let endpoint = HostPort::new(server.server.trim_matches(['[', ']']), server.server_port).map_err(
        |error: HostPortError| ConfigError::with_source(Some("server"), ConfigProblem::BadValue, error),
    )?;
    let prefix = Prefix::from_code_points(&server.prefix, method)?;
    let via = match (server.plugin.as_str(), server.plugin_opts.as_str()) {
        ("", _) => None,
        (plugin, "") => Some(plugin::parse(plugin, &endpoint)?),
        (plugin, options) => Some(plugin::parse(&format!("{plugin};{options}"), &endpoint)?),
    };
    let params = config::client_params(method, &server.password, Mode::default(), &prefix);
    let mut spec = Spec::new(ID, endpoint, params)?;
    spec.via = via;
    ClientConfig::from_spec(&spec)?;
    Ok(Entry { name: server.remarks, spec })
}

fn server(entry: &Entry) -> Result<Server, ConfigError> {
    let spec = &entry.spec;
    if spec.transport != ID {
        return Err(bad("transport", format!("`{}` is not {ID}", spec.transport)));
    }
    let config = ClientConfig::from_spec(spec)?;
    let (mut plugin, mut plugin_opts) = (String::new(), String::new());
    if let Some(via) = &spec.via {
        let text = plugin::render(via, &spec.endpoint)
            .ok_or_else(|| bad("via", "no plug-in stands for this carrier".to_owned()))?;
        let (name, options) = text.split_once(';').unwrap_or((&text, ""));
        (plugin, plugin_opts) = (name.to_owned(), options.to_owned());
    }
    Ok(Server {
        id: stable_id(spec, config.credential.expose()),
        remarks: entry.name.clone(),
        server: spec.endpoint.host.to_string(),
        server_port: spec.endpoint.port,
        password: config.credential.expose().clone(),
        method: config.keys.method.name().to_owned(),
        plugin,
        plugin_opts,
        prefix: config.keys.prefix.to_code_points(),
    })
}

/// A UUID (version 8, RFC 9562) that is the same each time for the same server.
fn stable_id(spec: &Spec, credential: &str) -> String {
    let mut hasher = blake3::Hasher::new_derive_key("commucat shadowsocks sip008 id v1");
    hasher.update(spec.endpoint.to_string().as_bytes()).update(&[0]).update(credential.as_bytes());
    let mut bytes = [0u8; 16];
    hasher.finalize_xof().fill(&mut bytes);
    let value = u128::from_be_bytes(bytes) & !(0xf << 76) & !(0x3 << 62) | (0x8 << 76) | (0x2 << 62);
    format!(
        "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        value >> 96,
        (value >> 80) & 0xffff,
        (value >> 64) & 0xffff,
        (value >> 48) & 0xffff,
        value & 0xffff_ffff_ffff
    )
}

fn not_json(error: serde_json::Error) -> ConfigError {
    ConfigError::with_source(None, ConfigProblem::BadValue, error)
}

fn bad(field: &'static str, reason: String) -> ConfigError {
    ConfigError::with_source(Some(field), ConfigProblem::BadValue, reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of SIP008, with a method of today.
    const DOCUMENT: &str = r#"{
        "version": 1,
        "servers": [{
            "id": "27b8a625-4f4b-4428-9f0f-8a2317db7c79", "remarks": "Name of the server",
            "server": "example.com", "server_port": 8388, "password": "example",
            "method": "chacha20-ietf-poly1305", "plugin": "v2ray-plugin",
            "plugin_opts": "tls;host=example.com;mux=0"
        }],
        "bytes_used": 274877906944, "bytes_remaining": 824633720832
    }"#;

    #[test]
    fn a_document_reads_and_round_trips() {
        let entries = parse(DOCUMENT).unwrap();
        assert_eq!(entries[0].name, "Name of the server");
        assert_eq!(entries[0].spec.endpoint.to_string(), "example.com:8388");
        assert_eq!(entries[0].spec.via.as_ref().unwrap().params["host"], "example.com");
        let text = render(&entries).unwrap();
        let again = parse(&text).unwrap();
        assert_eq!(again[0].spec, entries[0].spec);
        assert_eq!(render(&again).unwrap(), text, "ids are stable");
    }

    #[test]
    fn outline_reads_and_round_trips() {
        let text = r#"{"server":"192.0.2.1","server_port":443,"password":"x","method":"chacha20-ietf-poly1305","prefix":"\u0016\u0003\u0001\u00a8"}"#;
        let entry = parse_outline(text).unwrap();
        assert_eq!(entry.spec.params["prefix"], "base64:FgMBqA==");
        assert_eq!(parse_outline(&render_outline(&entry.spec).unwrap()).unwrap().spec, entry.spec);
    }

    #[test]
    fn bad_documents_are_errors() {
        assert!(parse("[]").is_err());
        assert_eq!(parse(r#"{"version":2,"servers":[]}"#).unwrap_err().field(), Some("version"));
        let unknown = DOCUMENT.replace("chacha20-ietf-poly1305", "rc4-md5");
        assert_eq!(parse(&unknown).unwrap_err().field(), Some("method"));
    }
}
