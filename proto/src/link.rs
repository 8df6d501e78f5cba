//! The `commucat://` share link: everything a client needs to reach one bridge, as one line of text.
//!
//! ```text
//! commucat://BASE64URL( {"v":1,"name":"home","endpoints":[{"transport":"websocket","endpoint":"192.0.2.7:443","params":{…}}],"assist":true} )
//! ```
//!
//! Base64 is URL-safe without padding. A link holds the user's keys: it is a [`Secret`], and nothing here logs it.
//! Unknown fields are errors that name the field, except those that begin with `x-`, which are ignored; a link of a
//! newer version says so instead of failing on its fields.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use commucat_transport_api::{Secret, Spec};
use serde::Serialize;
use serde_json::{Map, Value};

/// The scheme, with its separator.
pub const SCHEME: &str = "commucat://";
/// The link version this code writes, and the newest it reads.
pub const LINK_VERSION: u64 = 1;
/// Longest link that is read, in bytes.
pub const MAX_LINK_BYTES: usize = 32 * 1024;
/// Most endpoints in one link.
pub const MAX_ENDPOINTS: usize = 32;
/// Longest bridge name, in bytes.
pub const MAX_NAME_BYTES: usize = 64;

const FIELDS: [&str; 4] = ["v", "name", "endpoints", "assist"];

/// One bridge, as a client sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Link {
    /// What the operator calls the bridge; empty when he gave it no name.
    pub name: String,
    /// The ways to reach it, best first.
    pub endpoints: Vec<Spec>,
    /// Whether the bridge answers `POST /api/p2p/assist` through its transports.
    pub assist: bool,
}

/// Why a text is no link.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LinkError {
    /// It does not begin with [`SCHEME`].
    #[error("this is no commucat link: it must begin with {SCHEME}")]
    Scheme,
    /// It is longer than [`MAX_LINK_BYTES`].
    #[error("the link is longer than {MAX_LINK_BYTES} bytes")]
    TooLong,
    /// The payload is no base64url: usually a link that was cut or wrapped while copying.
    #[error("the link is damaged (was it cut or wrapped while copying?)")]
    Base64(#[source] base64::DecodeError),
    /// The payload is no JSON object.
    #[error("the link is damaged: its content is no JSON object")]
    Json(#[source] Option<serde_json::Error>),
    /// It was made for a newer program.
    #[error("the link has version {found}, this program reads up to {LINK_VERSION}: update commucat")]
    Version {
        /// The version it says.
        found: u64,
    },
    /// A field that no version up to ours has.
    #[error("the link has an unknown field `{field}`")]
    UnknownField {
        /// Its name.
        field: String,
    },
    /// A field that must be there is not.
    #[error("the link has no field `{field}`")]
    Missing {
        /// Its name.
        field: &'static str,
    },
    /// A field's value cannot be used.
    #[error("the field `{field}` of the link has a bad value")]
    BadValue {
        /// Its path, such as `endpoints[1]`.
        field: String,
        /// What the parser said.
        #[source]
        source: Option<serde_json::Error>,
    },
}

#[derive(Serialize)]
struct Form<'a> {
    v: u64,
    #[serde(skip_serializing_if = "str::is_empty")]
    name: &'a str,
    endpoints: &'a [Spec],
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    assist: bool,
}

impl Link {
    /// A link to these endpoints. The name is cut to [`MAX_NAME_BYTES`].
    pub fn new(name: &str, endpoints: Vec<Spec>, assist: bool) -> Self {
        let mut cut = name.len().min(MAX_NAME_BYTES);
        while !name.is_char_boundary(cut) {
            cut -= 1;
        }
        Self { name: name.get(..cut).unwrap_or_default().to_owned(), endpoints, assist }
    }

    /// Whether this text claims to be a link of ours; it may still be a broken one.
    pub fn has_scheme(text: &str) -> bool {
        text.trim_start().starts_with(SCHEME)
    }

    /// Reads a link. White space around it and a `#fragment` behind it are ignored.
    ///
    /// # Errors
    /// [`LinkError`] says which part cannot be used.
    pub fn parse(text: &str) -> Result<Self, LinkError> {
        let text = text.trim();
        if text.len() > MAX_LINK_BYTES {
            return Err(LinkError::TooLong);
        }
        let payload = text.strip_prefix(SCHEME).ok_or(LinkError::Scheme)?;
        let payload = payload.split_once('#').map_or(payload, |(payload, _fragment)| payload);
        let json = URL_SAFE_NO_PAD.decode(payload).map_err(LinkError::Base64)?;
        let value = serde_json::from_slice(&json).map_err(|error| LinkError::Json(Some(error)))?;
        let Value::Object(fields) = value else { return Err(LinkError::Json(None)) };
        Self::from_fields(fields)
    }

    /// The link as text.
    pub fn to_text(&self) -> Secret<String> {
        let form =
            Form { v: LINK_VERSION, name: &self.name, endpoints: &self.endpoints, assist: self.assist };
        // A `Spec` is made of strings, numbers and JSON values, which always serialize.
        let json = Secret::new(serde_json::to_vec(&form).unwrap_or_default());
        Secret::new(format!("{SCHEME}{}", URL_SAFE_NO_PAD.encode(json.expose())))
    }

    fn from_fields(mut fields: Map<String, Value>) -> Result<Self, LinkError> {
        let version = fields.get("v").ok_or(LinkError::Missing { field: "v" })?;
        let version = version.as_u64().ok_or_else(|| bad("v", None))?;
        if version != LINK_VERSION {
            return Err(LinkError::Version { found: version });
        }
        if let Some(field) =
            fields.keys().find(|key| !FIELDS.contains(&key.as_str()) && !key.starts_with("x-"))
        {
            return Err(LinkError::UnknownField { field: field.clone() });
        }
        let name = match fields.remove("name") {
            None => String::new(),
            Some(Value::String(name)) if name.len() <= MAX_NAME_BYTES => name,
            Some(_) => return Err(bad("name", None)),
        };
        let assist = match fields.remove("assist") {
            None => false,
            Some(value) => value.as_bool().ok_or_else(|| bad("assist", None))?,
        };
        let endpoints = fields.remove("endpoints").ok_or(LinkError::Missing { field: "endpoints" })?;
        let Value::Array(endpoints) = endpoints else { return Err(bad("endpoints", None)) };
        if endpoints.is_empty() || endpoints.len() > MAX_ENDPOINTS {
            return Err(bad("endpoints", None));
        }
        let endpoints = endpoints.into_iter().enumerate().map(|(at, value)| endpoint(at, value));
        Ok(Self { name, endpoints: endpoints.collect::<Result<_, _>>()?, assist })
    }
}

fn endpoint(at: usize, value: Value) -> Result<Spec, LinkError> {
    let known = ["transport", "endpoint", "params", "via"];
    if let Some(field) =
        value.as_object().and_then(|fields| fields.keys().find(|key| !known.contains(&key.as_str())))
    {
        return Err(LinkError::UnknownField { field: format!("endpoints[{at}].{field}") });
    }
    serde_json::from_value(value).map_err(|error| bad(&format!("endpoints[{at}]"), Some(error)))
}

fn bad(field: &str, source: Option<serde_json::Error>) -> LinkError {
    LinkError::BadValue { field: field.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use commucat_transport_api::TransportId;

    use super::*;

    fn link() -> Link {
        let params = serde_json::json!({"key": "abc"});
        let id = TransportId::from_static("websocket");
        let spec = Spec::new(id, "192.0.2.7:443".parse().unwrap(), params).unwrap();
        Link::new("home", vec![spec], true)
    }

    fn text_of(json: &Value) -> String {
        format!("{SCHEME}{}", URL_SAFE_NO_PAD.encode(json.to_string()))
    }

    #[test]
    fn text_round_trips() {
        let text = link().to_text();
        assert_eq!(Link::parse(text.expose()).unwrap(), link());
        assert_eq!(Link::parse(&format!("  {}#home\n", text.expose())).unwrap(), link());
    }

    #[test]
    fn an_unknown_field_is_named() {
        let json = serde_json::json!({"v": 1, "endpoints": [], "colour": 1});
        assert!(
            matches!(Link::parse(&text_of(&json)), Err(LinkError::UnknownField { field }) if field == "colour")
        );
        let json =
            serde_json::json!({"v": 1, "endpoints": [{"transport": "a", "endpoint": "b:1", "sni": 1}]});
        let error = Link::parse(&text_of(&json)).unwrap_err();
        assert!(matches!(error, LinkError::UnknownField { field } if field == "endpoints[0].sni"));
    }

    #[test]
    fn extension_fields_are_ignored() {
        let json =
            serde_json::json!({"v": 1, "endpoints": [{"transport": "a", "endpoint": "b:1"}], "x-colour": 1});
        assert!(Link::parse(&text_of(&json)).is_ok());
    }

    #[test]
    fn a_newer_version_says_so_before_its_fields_are_read() {
        let json = serde_json::json!({"v": 2, "colour": 1});
        assert!(matches!(Link::parse(&text_of(&json)), Err(LinkError::Version { found: 2 })));
    }

    #[test]
    fn damaged_links_are_errors() {
        let text = link().to_text().expose().clone();
        for cut in SCHEME.len()..text.len() {
            assert!(Link::parse(text.get(..cut).unwrap()).is_err(), "cut at {cut}");
        }
        assert!(matches!(Link::parse("https://example.org"), Err(LinkError::Scheme)));
        assert!(matches!(
            Link::parse(&format!("{SCHEME}{}", "A".repeat(MAX_LINK_BYTES))),
            Err(LinkError::TooLong)
        ));
    }
}
