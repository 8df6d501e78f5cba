//! Share links: `ss://` as SIP002 says, its older form that is base64 as a whole, and Outline's `prefix`.

use base64::{Engine as _, engine::general_purpose};
use commucat_transport_api::{ConfigError, ConfigProblem, HostPort, HostPortError, Secret, Spec};

use crate::{
    ID,
    config::{self, ClientConfig, Mode},
    keys::decode_base64,
    method::{Edition, Method},
    plugin,
    prefix::{Prefix, percent_decode, percent_encode},
};

/// The scheme, without `://`.
pub(crate) const SCHEME: &str = "ss";
/// Longest link, in bytes.
const MAX_LINK_BYTES: usize = 8 * 1024;

/// A link taken apart: what to dial, and what its author called it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Link {
    /// The client's spec; holds secrets.
    pub spec: Spec,
    /// The name after `#`, when there is one.
    pub name: Option<String>,
}

/// Reads a link.
///
/// # Errors
/// [`ConfigProblem::UnknownScheme`] when it is none of ours; otherwise the part that is wrong.
pub fn parse(link: &str) -> Result<Link, ConfigError> {
    let rest = link
        .trim()
        .strip_prefix("ss://")
        .ok_or_else(|| ConfigError::new(None, ConfigProblem::UnknownScheme))?;
    if rest.len() > MAX_LINK_BYTES {
        return Err(bad("link", "the link is longer than 8 KiB"));
    }
    let (rest, name) = match rest.split_once('#') {
        Some((rest, name)) => (rest, Some(decode_text(name, "name")?).filter(|name| !name.is_empty())),
        None => (rest, None),
    };
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let whole;
    let rest = if rest.contains('@') {
        rest
    } else {
        whole = decode_whole(rest)?;
        &whole
    };
    let (userinfo, address) = rest.rsplit_once('@').ok_or_else(|| bad("link", "no `@` before the server"))?;
    let endpoint = parse_endpoint(address.trim_end_matches('/'))?;
    let (method, credential) = parse_userinfo(userinfo)?;
    Ok(Link { spec: build(method, &credential, endpoint, query)?, name })
}

/// Writes a link; `None` when the carrier has no form in links.
pub fn render(spec: &Spec, name: &str) -> Result<Option<Secret<String>>, ConfigError> {
    let config = ClientConfig::from_spec(spec)?;
    Ok(render_config(&config, &spec.endpoint, spec.via.as_deref(), name))
}

pub(crate) fn render_config(
    config: &ClientConfig,
    endpoint: &HostPort,
    via: Option<&Spec>,
    name: &str,
) -> Option<Secret<String>> {
    let (method, credential) = (config.keys.method, config.credential.expose());
    let userinfo = match method.edition() {
        // SIP002: AEAD-2022 must not be base64.
        Edition::V2022 => format!("{method}:{}", percent_encode(credential.as_bytes())),
        Edition::V2017 => general_purpose::URL_SAFE_NO_PAD.encode(format!("{method}:{credential}")),
    };
    let mut query = Vec::new();
    if let Some(via) = via {
        query.push(format!("plugin={}", percent_encode(plugin::render(via, endpoint)?.as_bytes())));
    }
    if let Some(prefix) = outline_prefix(&config.keys.prefix) {
        query.push(format!("prefix={prefix}"));
    }
    if config.mode != Mode::default() {
        query.push(format!("mode={}", config.mode.name()));
    }
    let mut link = format!("{SCHEME}://{userinfo}@{endpoint}");
    if !query.is_empty() {
        link.push_str("/?");
        link.push_str(&query.join("&"));
    }
    if !name.is_empty() {
        link.push('#');
        link.push_str(&percent_encode(name.as_bytes()));
    }
    Some(Secret::new(link))
}

/// Percent-encoded UTF-8 of code points, so that Outline reads it.
fn outline_prefix(prefix: &Prefix) -> Option<String> {
    (!prefix.bytes().is_empty()).then(|| percent_encode(prefix.to_code_points().as_bytes()))
}

fn build(method: Method, credential: &str, endpoint: HostPort, query: &str) -> Result<Spec, ConfigError> {
    let (mut prefix, mut mode, mut via) = (Prefix::default(), Mode::default(), None);
    for (key, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
        match key {
            "plugin" => {
                let text = decode_text(value, "plugin")?;
                if !text.is_empty() {
                    via = Some(plugin::parse(&text, &endpoint)?);
                }
            }
            "prefix" => prefix = Prefix::parse(value, method)?,
            "mode" => mode = Mode::parse(value)?,
            // SIP002: unsupported arguments are ignored.
            _ => {}
        }
    }
    let mut spec = Spec::new(ID, endpoint, config::client_params(method, credential, mode, &prefix))?;
    spec.via = via;
    // Whatever is wrong with the key is said now, not at the first dial.
    ClientConfig::from_spec(&spec)?;
    Ok(spec)
}

pub(crate) fn parse_endpoint(text: &str) -> Result<HostPort, ConfigError> {
    let text = decode_text(text, "server")?;
    let endpoint: HostPort = text.parse().map_err(|error: HostPortError| {
        ConfigError::with_source(Some("server"), ConfigProblem::BadValue, error)
    })?;
    if endpoint.port == 0 {
        return Err(bad("server", "the port is 0"));
    }
    Ok(endpoint)
}

/// `method:password`, percent-encoded or as base64.
fn parse_userinfo(userinfo: &str) -> Result<(Method, String), ConfigError> {
    let plain = decode_text(userinfo, "userinfo")?;
    if let Some((method, credential)) = plain.split_once(':') {
        return Ok((config::parse_method(method)?, credential.to_owned()));
    }
    let decoded = decode_base64(&plain)
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .ok_or_else(|| bad("userinfo", "neither method:password nor base64 of it"))?;
    let (method, credential) =
        decoded.split_once(':').ok_or_else(|| bad("userinfo", "no `:` between method and password"))?;
    Ok((config::parse_method(method)?, credential.to_owned()))
}

/// The older form; its inside is not percent-encoded, but what reads it decodes, so percent signs are kept safe.
fn decode_whole(text: &str) -> Result<String, ConfigError> {
    let text = text.trim_end_matches('/');
    let inside = decode_base64(text)
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .ok_or_else(|| bad("link", "neither user@server nor base64 of it"))?;
    Ok(inside.replace('%', "%25"))
}

fn decode_text(text: &str, field: &'static str) -> Result<String, ConfigError> {
    percent_decode(text)
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .ok_or_else(|| bad(field, "a broken percent encoding"))
}

fn bad(field: &'static str, reason: &'static str) -> ConfigError {
    ConfigError::with_source(Some(field), ConfigProblem::BadValue, reason)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn the_examples_of_sip002_read() {
        let link = parse("ss://YWVzLTEyOC1nY206dGVzdA@192.168.100.1:8888#Example1").unwrap();
        assert_eq!(link.spec.params, json!({"method": "aes-128-gcm", "key": "test"}));
        assert_eq!(link.spec.endpoint.to_string(), "192.168.100.1:8888");
        assert_eq!(link.name.as_deref(), Some("Example1"));
        let link = parse(concat!(
            "ss://2022-blake3-aes-256-gcm:YctPZ6U7xPPcU%2Bgp3u%2B0tx%2FtRizJN9K8y%2BuKlW2qjlI%3D",
            "@192.168.100.1:8888/?unsupported=ignored#Example%203"
        ))
        .unwrap();
        assert_eq!(link.spec.params["key"], "YctPZ6U7xPPcU+gp3u+0tx/tRizJN9K8y+uKlW2qjlI=");
        assert_eq!(link.name.as_deref(), Some("Example 3"));
        let error = parse("ss://YWVzLTEyOC1nY206dGVzdA@192.168.100.1:8888/?plugin=obfs-local%3Bobfs%3Dhttp")
            .unwrap_err();
        assert_eq!(error.field(), Some("plugin"));
    }

    #[test]
    fn the_older_form_and_outline_read() {
        let whole = general_purpose::STANDARD.encode("aes-256-gcm:pa%ss@word:x@[2001:db8::1]:8388");
        let link = parse(&format!("ss://{whole}#old")).unwrap();
        assert_eq!(link.spec.params["key"], "pa%ss@word:x");
        assert_eq!(link.spec.endpoint.to_string(), "[2001:db8::1]:8388");
        let userinfo = general_purpose::STANDARD.encode("chacha20-ietf-poly1305:secret");
        let link =
            parse(&format!("ss://{userinfo}@example.org:443/?outline=1&prefix=%16%03%01%00%C2%A8")).unwrap();
        assert_eq!(link.spec.params["prefix"], "base64:FgMBAKg=");
    }

    #[test]
    fn each_mistake_names_its_part() {
        for (link, field) in [
            ("ss://YWVzLTEyOC1nY206dGVzdA@example.org", "server"),
            ("ss://YWVzLTEyOC1nY206dGVzdA@example.org:0", "server"),
            ("ss://rc4-md5:x@example.org:1", "method"),
            ("ss://!!@example.org:1", "userinfo"),
            ("ss://2022-blake3-aes-128-gcm:short@example.org:1", "key"),
            ("ss://aes-128-gcm:x@example.org:1?prefix=GET%20", "prefix"),
            ("ss://aes-128-gcm:x@example.org:1?mode=both", "mode"),
            ("ss://%zz@example.org:1", "userinfo"),
            ("ss://", "link"),
        ] {
            assert_eq!(parse(link).unwrap_err().field(), Some(field), "{link}");
        }
        assert_eq!(parse("vless://x").unwrap_err().problem(), ConfigProblem::UnknownScheme);
        assert!(parse(&format!("ss://{}", "a".repeat(MAX_LINK_BYTES + 1))).is_err());
    }

    #[test]
    fn a_carrier_travels_as_a_plugin() {
        let link = "ss://YWVzLTEyOC1nY206dGVzdA@example.org:443/?plugin=v2ray-plugin%3Btls%3Bhost%3Dexample.org%3Bpath%3D%2Fws%3Bmux%3D0#n";
        let parsed = parse(link).unwrap();
        assert_eq!(parsed.spec.via.as_ref().unwrap().params["path"], "/ws");
        assert_eq!(render(&parsed.spec, "n").unwrap().unwrap().expose(), link);
    }

    proptest! {
        #[test]
        fn links_round_trip(password in "\\PC{1,40}", name in "\\PC{0,20}", prefix in prop::collection::vec(any::<u8>(), 0..=12)) {
            let prefix_text: String = prefix.iter().copied().map(char::from).collect();
            let prefix = Prefix::from_code_points(&prefix_text, Method::Aes256Gcm).unwrap();
            let params = config::client_params(Method::Aes256Gcm, &password, Mode::TcpOnly, &prefix);
            let spec = Spec::new(ID, "example.org:443".parse().unwrap(), params).unwrap();
            let link = render(&spec, &name).unwrap().unwrap();
            let parsed = parse(link.expose()).unwrap();
            prop_assert_eq!(parsed.spec, spec);
            prop_assert_eq!(parsed.name.unwrap_or_default(), name);
        }

        #[test]
        fn garbage_does_not_panic(text in "\\PC{0,100}") {
            parse(&text).ok();
            parse(&format!("ss://{text}")).ok();
        }
    }
}
