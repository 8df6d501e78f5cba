//! SIP003 plug-ins in links: `v2ray-plugin` is a WebSocket carrier, which another transport of this house is.

use std::collections::BTreeMap;

use commucat_transport_api::{ConfigError, ConfigProblem, HostPort, Spec, TransportId};
use serde_json::{Map, Value, json};

/// The transport that speaks what `v2ray-plugin` speaks.
const WEBSOCKET: TransportId = TransportId::from_static("websocket");
const V2RAY: [&str; 2] = ["v2ray-plugin", "xray-plugin"];
/// Options that say nothing about the wire, or nothing that a client needs.
const HARMLESS: [&str; 6] = ["fastOpen", "loglevel", "mux", "cert", "certRaw", "__android_vpn"];
/// The host that `v2ray-plugin` asks for when none is given.
const DEFAULT_HOST: &str = "cloudfront.com";

/// The carrier that `plugin;option;option=value` stands for.
pub(crate) fn parse(text: &str, endpoint: &HostPort) -> Result<Box<Spec>, ConfigError> {
    let mut fields = split_options(text).into_iter();
    let name = fields.next().unwrap_or_default();
    if !V2RAY.contains(&name.as_str()) {
        return Err(bad(format!("the plug-in `{name}` is not supported; v2ray-plugin is")));
    }
    let mut options: BTreeMap<String, String> = fields
        .map(|field| match field.split_once('=') {
            Some((key, value)) => (key.to_owned(), value.to_owned()),
            None => (field, String::new()),
        })
        .collect();
    if options.contains_key("server") {
        return Err(bad("the plug-in options are a server's".to_owned()));
    }
    let mode = options.remove("mode").unwrap_or_else(|| "websocket".to_owned());
    if mode != "websocket" {
        return Err(bad(format!("the mode `{mode}` of the plug-in is not supported; websocket is")));
    }
    let tls = options.remove("tls").is_some();
    let host = options.remove("host").unwrap_or_else(|| DEFAULT_HOST.to_owned());
    let path = options.remove("path").unwrap_or_else(|| "/".to_owned());
    if let Some(unknown) = options.keys().find(|key| !HARMLESS.contains(&key.as_str())) {
        return Err(bad(format!("the plug-in option `{unknown}` is not known")));
    }
    let params = json!({ "auth": "none", "path": path, "host": host, "tls": if tls { "on" } else { "off" } });
    Ok(Box::new(Spec::new(WEBSOCKET, endpoint.clone(), params)?))
}

/// The plug-in text of a carrier; `None` when no plug-in speaks as it does.
pub(crate) fn render(via: &Spec, endpoint: &HostPort) -> Option<String> {
    if via.transport != WEBSOCKET || via.endpoint != *endpoint || via.via.is_some() {
        return None;
    }
    let params = via.params.as_object()?;
    // What a plug-in cannot say, it does without: `half_close` is asked for on the stream itself.
    let known =
        |key: &str| matches!(key, "auth" | "path" | "host" | "tls" | "mode" | "sni" | "ping" | "half_close");
    if !params.keys().all(|key| known(key)) || text(params, "auth") != Some("none") {
        return None;
    }
    if text(params, "mode").is_some_and(|mode| mode != "ws") {
        return None;
    }
    let mut plugin = "v2ray-plugin".to_owned();
    if text(params, "tls") != Some("off") {
        plugin.push_str(";tls");
    }
    let host = text(params, "host").map_or_else(|| endpoint.host.to_string(), str::to_owned);
    for (key, value) in [("host", host.as_str()), ("path", text(params, "path").unwrap_or("/"))] {
        plugin.push_str(&format!(";{key}={}", escape(value)));
    }
    // Without it the plug-in wraps everything in a multiplexer of its own.
    plugin.push_str(";mux=0");
    Some(plugin)
}

fn text<'a>(params: &'a Map<String, Value>, key: &str) -> Option<&'a str> {
    params.get(key).and_then(Value::as_str)
}

/// Splits at `;` where no backslash stands before it, and takes the backslashes out.
fn split_options(text: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        let Some(last) = fields.last_mut() else { break };
        match c {
            '\\' => last.extend(chars.next()),
            ';' => fields.push(String::new()),
            c => last.push(c),
        }
    }
    fields
}

fn escape(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    for c in value.chars() {
        if matches!(c, ';' | '=' | '\\' | ':') {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

fn bad(reason: String) -> ConfigError {
    ConfigError::with_source(Some("plugin"), ConfigProblem::BadValue, reason)
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use super::*;

    #[test]
    fn v2ray_plugin_becomes_a_carrier_and_back() {
        let endpoint: HostPort = "192.0.2.1:443".parse().unwrap();
        let via = parse(r"v2ray-plugin;tls;host=example.org;path=/a\;b;mux=0", &endpoint).unwrap();
        assert_eq!(via.params, json!({"auth": "none", "path": "/a;b", "host": "example.org", "tls": "on"}));
        let text = render(&via, &endpoint).unwrap();
        assert_eq!(text, r"v2ray-plugin;tls;host=example.org;path=/a\;b;mux=0");
        assert_eq!(parse(&text, &endpoint).unwrap(), via);
    }

    #[test]
    fn what_we_cannot_speak_is_named() {
        let endpoint: HostPort = "192.0.2.1:443".parse().unwrap();
        for (text, word) in [
            ("obfs-local;obfs=http", "obfs-local"),
            ("v2ray-plugin;mode=quic", "quic"),
            ("v2ray-plugin;colour=red", "colour"),
            ("v2ray-plugin;server", "server"),
        ] {
            let error = parse(text, &endpoint).unwrap_err();
            assert_eq!(error.field(), Some("plugin"));
            assert!(error.source().unwrap().to_string().contains(word), "{text}");
        }
    }

    #[test]
    fn a_carrier_with_keys_has_no_plugin() {
        let endpoint: HostPort = "192.0.2.1:443".parse().unwrap();
        let via = Spec::new(WEBSOCKET, endpoint.clone(), json!({"key": "k", "user_key": "u"})).unwrap();
        assert_eq!(render(&via, &endpoint), None);
    }
}
