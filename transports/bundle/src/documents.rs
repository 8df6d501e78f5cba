//! Documents that list servers. Today there is one kind, and Shadowsocks reads and writes it.

#[cfg(feature = "shadowsocks")]
mod with {
    use commucat_shadowsocks::sip008::{self, Entry};
    use commucat_transport_api::{ConfigError, ConfigProblem, Secret, Spec};

    pub(crate) fn parse(text: &str) -> Result<Vec<(String, Spec)>, ConfigError> {
        let one_server = |document: &serde_json::Value| document.get("servers").is_none();
        let entries = match serde_json::from_str(text) {
            Ok(document) if one_server(&document) => vec![sip008::parse_outline(text)?],
            _ => sip008::parse(text)?,
        };
        Ok(entries.into_iter().map(|entry| (entry.name, entry.spec)).collect())
    }

    pub(crate) fn render(name: &str, endpoints: &[Spec]) -> Result<Secret<String>, ConfigError> {
        let ours = endpoints.iter().filter(|spec| spec.transport == commucat_shadowsocks::ID);
        let entries: Vec<_> = ours.map(|spec| Entry::new(name, spec.clone())).collect();
        if entries.is_empty() {
            return Err(ConfigError::new(Some("endpoints"), ConfigProblem::Missing));
        }
        sip008::render(&entries).map(Secret::new)
    }
}

#[cfg(not(feature = "shadowsocks"))]
mod with {
    use commucat_transport_api::{ConfigError, ConfigProblem, Secret, Spec};

    pub(crate) fn parse(_text: &str) -> Result<Vec<(String, Spec)>, ConfigError> {
        Err(ConfigError::new(Some("transport"), ConfigProblem::NotBuilt))
    }

    pub(crate) fn render(_name: &str, _endpoints: &[Spec]) -> Result<Secret<String>, ConfigError> {
        Err(ConfigError::new(Some("transport"), ConfigProblem::NotBuilt))
    }
}

pub(crate) use with::{parse, render};
