//! Which transports there are: a value, filled by whoever composes the program.

use std::{collections::BTreeMap, sync::Arc};

use crate::{Client, ConfigError, ConfigProblem, PluggableTransport, Server, Spec, TransportId, UserTable};

/// Transports by id, and the names of those that this build left out.
#[derive(Clone, Debug, Default)]
pub struct Registry {
    by_id: BTreeMap<TransportId, Arc<dyn PluggableTransport>>,
}

impl Registry {
    /// Adds a transport.
    ///
    /// # Errors
    /// [`ConfigProblem::Duplicate`] when its id is taken.
    pub fn register(&mut self, transport: impl PluggableTransport) -> Result<(), ConfigError> {
        let id = transport.descriptor().id.clone();
        if self.by_id.contains_key(&id) {
            return Err(ConfigError::new(Some("transport"), ConfigProblem::Duplicate));
        }
        self.by_id.insert(id, Arc::new(transport));
        Ok(())
    }

    /// The transport of that id.
    ///
    /// # Errors
    /// [`ConfigProblem::NotBuilt`], with the id in the source.
    pub fn get(&self, id: &TransportId) -> Result<&Arc<dyn PluggableTransport>, ConfigError> {
        self.by_id.get(id).ok_or_else(|| {
            ConfigError::with_source(
                Some("transport"),
                ConfigProblem::NotBuilt,
                format!("no transport named `{id}`"),
            )
        })
    }

    /// The dialling end of a spec. A carrier ([`Spec::via`]) is the bundle's to set up.
    ///
    /// # Errors
    /// As [`Self::get`] and [`PluggableTransport::client`].
    pub fn client(&self, spec: &Spec) -> Result<Arc<dyn Client>, ConfigError> {
        self.get(&spec.transport)?.client(spec)
    }

    /// The listening end of a spec.
    ///
    /// # Errors
    /// As [`Self::get`] and [`PluggableTransport::server`].
    pub fn server(&self, spec: &Spec, users: &Arc<UserTable>) -> Result<Arc<dyn Server>, ConfigError> {
        self.get(&spec.transport)?.server(spec, users)
    }

    /// Reads a link of any transport here.
    ///
    /// # Errors
    /// [`ConfigProblem::UnknownScheme`] when nobody reads its scheme; otherwise what is wrong with it.
    pub fn parse_link(&self, link: &str) -> Result<Spec, ConfigError> {
        let scheme = link.split_once("://").map_or("", |(scheme, _rest)| scheme);
        self.iter()
            .find(|transport| transport.descriptor().schemes.contains(&scheme))
            .ok_or_else(|| ConfigError::new(None, ConfigProblem::UnknownScheme))?
            .parse_link(link)
    }

    /// All of them, by id.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<dyn PluggableTransport>> {
        self.by_id.values()
    }
}
