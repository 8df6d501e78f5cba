//! `vless://` links, as Xray and its clients share them.

use commucat_transport_api::{ConfigError, ConfigProblem, HostPort, Secret, Spec};
use url::{Url, form_urlencoded};

use crate::{
    ID,
    config::{ClientConfig, ClientFields, Fingerprint, encode_key, render_uuid},
    hellos::Browsers,
    vless::Flow,
};

/// The scheme, without `://`.
pub(crate) const SCHEME: &str = "vless";
/// Longest link, in bytes. An ML-DSA key has 2,603 of them.
const MAX_LINK_BYTES: usize = 8 << 10;

/// Reads a link.
///
/// # Errors
/// [`ConfigProblem::UnknownScheme`] when it is none of ours; otherwise the part that is wrong.
pub(crate) fn parse(link: &str) -> Result<Spec, ConfigError> {
    let link = link.trim();
    if !link.starts_with("vless://") {
        return Err(ConfigError::new(None, ConfigProblem::UnknownScheme));
    }
    if link.len() > MAX_LINK_BYTES {
        return Err(bad("link", "the link is longer than 8 KiB"));
    }
    let url = Url::parse(link)
        .map_err(|error| ConfigError::with_source(Some("link"), ConfigProblem::BadValue, error))?;
    let host = url.host_str().ok_or_else(|| bad("server", "there is no server"))?;
    let port = url.port().filter(|port| *port != 0).ok_or_else(|| bad("server", "there is no port"))?;
    let endpoint: HostPort = format!("{host}:{port}")
        .parse()
        .map_err(|error| ConfigError::with_source(Some("server"), ConfigProblem::BadValue, error))?;
    let fields = Fields::read(&url)?;
    let fingerprint = match fields.fingerprint.as_str() {
        "firefox" => Fingerprint::Firefox,
        // Of what other clients can be, we are the browser that most people use.
        _ => Fingerprint::Chromium,
    };
    let verify = (!fields.verify.is_empty()).then_some(fields.verify.as_str());
    let params = ClientFields {
        server_name: &fields.server_name,
        public_key: &fields.public_key,
        short_id: &fields.short_id,
        user: url.username(),
        fingerprint,
        mldsa65_verify: verify,
        spider: &fields.spider,
        flow: fields.flow,
        carriers: fields.carriers,
    };
    let spec = Spec::new(ID, endpoint, params.params())?;
    // Whatever is wrong with a key is said now, not at the first dial.
    ClientConfig::from_spec(&spec, &Browsers::default())?;
    Ok(spec)
}

#[derive(Debug, Default)]
struct Fields {
    server_name: String,
    public_key: String,
    short_id: String,
    fingerprint: String,
    verify: String,
    spider: String,
    flow: Flow,
    carriers: u8,
}

impl Fields {
    fn read(url: &Url) -> Result<Self, ConfigError> {
        let mut fields = Self::default();
        let (mut reality, mut tcp) = (false, true);
        for (key, value) in url.query_pairs() {
            match key.as_ref() {
                "security" => reality = value == "reality",
                "type" => tcp = matches!(&*value, "tcp" | "raw" | ""),
                "encryption" if !matches!(&*value, "none" | "") => {
                    return Err(bad("encryption", "VLESS encryption is not spoken here"));
                }
                "flow" => {
                    fields.flow = Flow::of(&value)
                        .ok_or_else(|| bad("flow", "of all flows only xtls-rprx-vision is spoken here"))?;
                }
                "sni" => fields.server_name = value.into_owned(),
                "pbk" => fields.public_key = value.into_owned(),
                "sid" => fields.short_id = value.into_owned(),
                "fp" => fields.fingerprint = value.into_owned(),
                "pqv" => fields.verify = value.into_owned(),
                "spx" => fields.spider = value.into_owned(),
                // Ours: clients of others pass it over, and open a connection a stream.
                "carriers" => {
                    fields.carriers =
                        value.parse().map_err(|_error| bad("carriers", "a small number is expected"))?;
                }
                // Others say nothing that a dial needs: headerType, …
                _ => {}
            }
        }
        match (reality, tcp) {
            (false, _) => Err(bad("security", "only security=reality is spoken here")),
            (_, false) => Err(bad("type", "only type=tcp is spoken here")),
            (true, true) => Ok(fields),
        }
    }
}

/// Writes a link. Holds secrets.
pub(crate) fn render(config: &ClientConfig, server: &HostPort, name: &str) -> Secret<String> {
    let short_id: String = config.short_id.iter().map(|byte| format!("{byte:02x}")).collect();
    let mut query = form_urlencoded::Serializer::new(String::new());
    query
        .append_pair("type", "tcp")
        .append_pair("encryption", "none")
        .append_pair("security", "reality")
        .append_pair("sni", &config.server_name)
        .append_pair("fp", config.fingerprint.name())
        .append_pair("pbk", &encode_key(&config.public_key))
        .append_pair("sid", &short_id);
    if config.flow != Flow::Plain {
        query.append_pair("flow", config.flow.name());
    }
    if let Some(verify) = &config.ml_dsa_65 {
        query.append_pair("pqv", &encode_key(verify));
    }
    if !config.spider.text().is_empty() {
        query.append_pair("spx", config.spider.text());
    }
    if config.carriers > 0 {
        query.append_pair("carriers", &config.carriers.to_string());
    }
    let mut link = format!("{SCHEME}://{}@{server}?{}", render_uuid(config.user.expose()), query.finish());
    if !name.is_empty() {
        let encoded: String = form_urlencoded::byte_serialize(name.as_bytes()).collect();
        link.push('#');
        link.push_str(&encoded.replace('+', "%20"));
    }
    Secret::new(link)
}

fn bad(field: &'static str, why: &'static str) -> ConfigError {
    ConfigError::with_source(Some(field), ConfigProblem::BadValue, why)
}
