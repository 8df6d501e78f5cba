//! The share link, both ways.
//!
//! ```text
//! commucat-ws://USER_KEY@HOST:PORT/PATH?key=KEY&pin=PIN&mode=ws|raw&tls=on|off&sni=NAME&host=AUTHORITY
//!              &auth=token|none&early_data=BYTES&ping=LEAST-MOST&half_close=true#NAME
//! ```
//! Values are percent-encoded, keys base64url. What has its default value is left out; a field that is not in this
//! list is refused by name.

use commucat_transport_api::{ConfigError, ConfigProblem, HostPort, Secret, Spec};
use serde_json::{Map, Value, json};
use url::{Url, form_urlencoded};

use crate::{
    ID,
    client::WsClient,
    config::{Auth, ClientConfig, ClientParams, Tls},
    wire::upgrade::Mode,
};

/// The scheme of our links.
pub(crate) const SCHEME: &str = "commucat-ws";
/// Longest link, in bytes.
const MAX_LINK_BYTES: usize = 4096;

/// Reads a link into a validated spec.
pub(crate) fn parse(link: &str) -> Result<Spec, ConfigError> {
    if link.len() > MAX_LINK_BYTES {
        return Err(ConfigError::new(Some("link"), ConfigProblem::BadValue));
    }
    let url = Url::parse(link)
        .map_err(|error| ConfigError::with_source(Some("link"), ConfigProblem::BadValue, error))?;
    if url.scheme() != SCHEME {
        return Err(ConfigError::new(None, ConfigProblem::UnknownScheme));
    }
    let host = url.host_str().filter(|host| !host.is_empty());
    let host = host.ok_or_else(|| ConfigError::new(Some("host"), ConfigProblem::Missing))?;
    let port = url.port().ok_or_else(|| ConfigError::new(Some("port"), ConfigProblem::Missing))?;
    let endpoint = HostPort::new(host.trim_matches(['[', ']']), port)
        .map_err(|error| ConfigError::with_source(Some("host"), ConfigProblem::BadValue, error))?;
    if url.password().is_some() {
        return Err(ConfigError::new(Some("password"), ConfigProblem::UnknownField));
    }
    let mut params = Map::new();
    if !url.username().is_empty() {
        params.insert("user_key".to_owned(), json!(url.username()));
    }
    let path = if url.path().is_empty() { "/" } else { url.path() };
    params.insert("path".to_owned(), json!(path));
    for (name, value) in url.query_pairs() {
        let Some(value) = field(&name, &value)? else {
            let text = format!("unknown field `{name}`");
            return Err(ConfigError::with_source(Some("link"), ConfigProblem::UnknownField, text));
        };
        if params.insert(name.clone().into_owned(), value).is_some() {
            let text = format!("`{name}` stands twice");
            return Err(ConfigError::with_source(Some("link"), ConfigProblem::BadValue, text));
        }
    }
    let spec = Spec::new(ID, endpoint, Value::Object(params))?;
    // All that a client checks, TLS names included.
    WsClient::new(&spec)?;
    Ok(spec)
}

/// The JSON form of a query field; `None` when there is no such field.
fn field(name: &str, value: &str) -> Result<Option<Value>, ConfigError> {
    let bad = |field| ConfigError::new(Some(field), ConfigProblem::BadValue);
    Ok(Some(match name {
        "key" | "pin" | "mode" | "tls" | "sni" | "host" | "auth" => json!(value),
        "early_data" => json!(value.parse::<u16>().map_err(|_not_a_number| bad("early_data"))?),
        "half_close" => json!(value.parse::<bool>().map_err(|_not_a_bool| bad("half_close"))?),
        "ping" => {
            let (least, most) = value.split_once('-').ok_or_else(|| bad("ping"))?;
            let second = |text: &str| text.parse::<u16>().map_err(|_not_a_number| bad("ping"));
            json!({ "idle_s": [second(least)?, second(most)?] })
        }
        _ => return Ok(None),
    }))
}

/// Writes the link of a client.
pub(crate) fn write(config: &ClientConfig, name: &str) -> Secret<String> {
    let params = &config.params;
    let mut query = form_urlencoded::Serializer::new(String::new());
    push_fields(&mut query, params);
    let query = query.finish().replace('+', "%20");
    let user = params.user_key.as_ref().map(|key| format!("{key}@")).unwrap_or_default();
    let mut link = format!("{SCHEME}://{user}{}{}", config.endpoint, params.path);
    if !query.is_empty() {
        link.push('?');
        link.push_str(&query);
    }
    if !name.is_empty() {
        let name: String = form_urlencoded::byte_serialize(name.as_bytes()).collect();
        link.push('#');
        link.push_str(&name.replace('+', "%20"));
    }
    Secret::new(link)
}

fn push_fields(query: &mut form_urlencoded::Serializer<'_, String>, params: &ClientParams) {
    if params.auth == Auth::None {
        query.append_pair("auth", "none");
    }
    let texts = [("key", &params.key), ("pin", &params.pin), ("sni", &params.sni), ("host", &params.host)];
    for (name, value) in texts {
        if let Some(value) = value {
            query.append_pair(name, value);
        }
    }
    if params.mode == Mode::Raw {
        query.append_pair("mode", "raw");
    }
    if params.tls == Tls::Off {
        query.append_pair("tls", "off");
    }
    if params.early_data != 0 {
        query.append_pair("early_data", &params.early_data.to_string());
    }
    if let Some(ping) = params.ping {
        let [least, most] = ping.idle_s;
        query.append_pair("ping", &format!("{least}-{most}"));
    }
    if params.half_close {
        query.append_pair("half_close", "true");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::WsClient;

    const KEY: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

    #[test]
    fn links_round_trip() {
        let links = [
            format!("{SCHEME}://{KEY}@192.0.2.1:443/live/abc?key={KEY}&pin={KEY}#home"),
            format!("{SCHEME}://{KEY}@[2001:db8::1]:8443/a?key={KEY}&pin={KEY}&mode=raw&early_data=2048#"),
            format!(
                "{SCHEME}://{KEY}@cdn.example:443/a?key={KEY}&sni=front.example&host=real.example%3A8443&ping=5-9#x%20y"
            ),
            format!("{SCHEME}://b.example:80/?auth=none&tls=off&half_close=true#n"),
        ];
        for link in links {
            let spec = parse(&link).unwrap_or_else(|error| panic!("{link}: {error:?}"));
            let name = link.split_once('#').unwrap().1.replace("%20", " ");
            let again = write(WsClient::new(&spec).unwrap().config(), &name);
            assert_eq!(again.expose(), link.trim_end_matches('#'));
            let json = serde_json::to_string(&spec).unwrap();
            assert_eq!(serde_json::from_str::<Spec>(&json).unwrap(), spec);
        }
    }

    #[test]
    fn each_mistake_has_its_name() {
        use ConfigProblem as P;
        let base = format!("{SCHEME}://{KEY}@a.example:443/p");
        let cases = [
            (format!("{base}?key={KEY}&colour=red"), P::UnknownField, Some("link")),
            (format!("{base}?key={KEY}&key={KEY}"), P::BadValue, Some("link")),
            (format!("{base}?key=short"), P::BadValue, Some("key")),
            (base.clone(), P::Missing, Some("key")),
            (format!("{SCHEME}://a.example:443/?key={KEY}"), P::Missing, Some("user_key")),
            (format!("{SCHEME}://{KEY}@a.example/?key={KEY}"), P::Missing, Some("port")),
            (format!("{SCHEME}://{KEY}:pw@a.example:1/?key={KEY}"), P::UnknownField, Some("password")),
            (format!("{base}?key={KEY}&early_data=2049"), P::BadValue, Some("early_data")),
            (format!("{base}?key={KEY}&early_data=x"), P::BadValue, Some("early_data")),
            (format!("{base}?key={KEY}&ping=9"), P::BadValue, Some("ping")),
            (format!("{base}?key={KEY}&ping=9-8"), P::BadValue, Some("ping")),
            (format!("{base}?key={KEY}&pin=abc"), P::BadValue, Some("pin")),
            (format!("{base}?key={KEY}&mode=udp"), P::BadValue, Some("params")),
            (format!("{base}?key={KEY}&sni="), P::BadValue, Some("sni")),
            (format!("{base}?key={KEY}&sni=a..example"), P::BadValue, Some("sni")),
            (format!("{base}?key={KEY}&x={}", "y".repeat(MAX_LINK_BYTES)), P::BadValue, Some("link")),
            ("ss://abc".to_owned(), P::UnknownScheme, None),
        ];
        for (link, problem, field) in cases {
            let error = parse(&link).unwrap_err();
            assert_eq!((error.problem(), error.field()), (problem, field), "{link}");
        }
        let error = parse(&format!("{base}?key={KEY}&colour=red")).unwrap_err();
        let source = std::error::Error::source(&error).unwrap().to_string();
        assert!(source.contains("`colour`"), "{source}");
    }
}
