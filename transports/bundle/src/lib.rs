//! The transports of this build, in one value.
//!
//! This is the only crate that names concrete transports. Everybody above works with [`Bundle`] and the contract.
//! A transport is a cargo feature here; one that was left out answers `NotBuilt`, by name.
//!
//! The bundle also gives a meaning to [`Spec::via`]: a transport with a carrier runs over a [`Net`] whose streams are
//! the carrier's channels, so any transport runs over any other without knowing it.
//!
//! [`Net`]: commucat_transport_api::Net
#![forbid(unsafe_code)]

mod carried;
mod documents;
mod via_net;

use std::{path::Path, sync::Arc};

use commucat_transport_api::{
    Client, ConfigError, ConfigProblem, Descriptor, Registry, Secret, Server, Spec, TransportId, UserTable,
};

use crate::carried::{CarriedClient, CarriedServer};

/// Most carriers below one transport.
pub const MAX_CARRIERS: usize = 4;

/// The transports of a program.
#[derive(Clone, Debug, Default)]
pub struct Bundle {
    registry: Registry,
}

impl Bundle {
    /// Every transport that this build contains.
    pub fn standard() -> Self {
        Self::with(
            #[cfg(feature = "reality")]
            commucat_reality::Reality::new(),
        )
    }

    /// The same, with hellos of browsers from a pack that this key signed (`commucat reality pack`).
    ///
    /// # Errors
    /// What is wrong with the pack or the key; [`ConfigProblem::NotBuilt`] where no transport of this build has hellos.
    pub fn with_hello_pack(pack: &Path, key: &str) -> Result<Self, ConfigError> {
        #[cfg(feature = "reality")]
        return Ok(Self::with(commucat_reality::Reality::new().with_hello_pack(pack, key)?));
        #[cfg(not(feature = "reality"))]
        {
            let _ = (pack, key);
            Err(ConfigError::new(Some("hello_pack"), ConfigProblem::NotBuilt))
        }
    }

    fn with(#[cfg(feature = "reality")] reality: commucat_reality::Reality) -> Self {
        let mut registry = Registry::default();
        let add = |added: Result<(), ConfigError>| {
            debug_assert!(added.is_ok(), "the transports of this crate have different ids");
        };
        #[cfg(feature = "reality")]
        add(registry.register(reality));
        #[cfg(feature = "shadowsocks")]
        add(registry.register(commucat_shadowsocks::Shadowsocks::new()));
        #[cfg(feature = "websocket")]
        add(registry.register(commucat_websocket::WebSocket::new()));
        add(Ok(()));
        Self { registry }
    }

    /// A bundle of other transports (a plug-in author's, a test's).
    pub const fn new(registry: Registry) -> Self {
        Self { registry }
    }

    /// What each transport says about itself, by id.
    pub fn descriptors(&self) -> impl Iterator<Item = &Descriptor> {
        self.registry.iter().map(|transport| transport.descriptor())
    }

    /// What the transport of that id says about itself.
    ///
    /// # Errors
    /// [`ConfigProblem::NotBuilt`].
    pub fn descriptor(&self, id: &TransportId) -> Result<&Descriptor, ConfigError> {
        Ok(self.registry.get(id)?.descriptor())
    }

    /// Reads a link in a transport's own scheme.
    ///
    /// # Errors
    /// [`ConfigProblem::UnknownScheme`] when nobody reads it; otherwise what is wrong with it.
    pub fn parse_link(&self, link: &str) -> Result<Spec, ConfigError> {
        self.registry.parse_link(link.trim())
    }

    /// Reads a document that lists servers: SIP008, or Outline's JSON of one server. Gives each with its name.
    ///
    /// # Errors
    /// [`ConfigProblem::NotBuilt`] without Shadowsocks; otherwise what is wrong with the document.
    pub fn parse_document(&self, text: &str) -> Result<Vec<(String, Spec)>, ConfigError> {
        documents::parse(text)
    }

    /// Writes the Shadowsocks endpoints among these as a SIP008 document. Holds secrets.
    ///
    /// # Errors
    /// [`ConfigProblem::NotBuilt`] without Shadowsocks; [`ConfigProblem::Missing`] when none of them is one.
    pub fn render_sip008(&self, name: &str, endpoints: &[Spec]) -> Result<Secret<String>, ConfigError> {
        documents::render(name, endpoints)
    }

    /// Server parameters with fresh keys.
    ///
    /// # Errors
    /// [`ConfigProblem::NotBuilt`], or the transport has no listening end.
    pub fn generate_server_params(&self, id: &TransportId) -> Result<serde_json::Value, ConfigError> {
        self.registry.get(id)?.generate_server_params()
    }

    /// The dialling end of a spec and of its carriers.
    ///
    /// # Errors
    /// What is wrong with the spec or with a carrier's.
    pub fn client(&self, spec: &Spec) -> Result<Arc<dyn Client>, ConfigError> {
        check_depth(spec)?;
        let client = self.registry.client(spec)?;
        let Some(via) = &spec.via else { return Ok(client) };
        let carrier = self.client(via)?;
        Ok(Arc::new(CarriedClient { client, carrier }))
    }

    /// The listening end of a spec and of its carriers.
    ///
    /// # Errors
    /// What is wrong with the spec or with a carrier's.
    pub fn server(&self, spec: &Spec, users: &Arc<UserTable>) -> Result<Arc<dyn Server>, ConfigError> {
        check_depth(spec)?;
        let server = self.registry.server(spec, users)?;
        let Some(via) = &spec.via else { return Ok(server) };
        let carrier = self.server(via, users)?;
        Ok(Arc::new(CarriedServer { server, carrier }))
    }
}

fn check_depth(spec: &Spec) -> Result<(), ConfigError> {
    let carriers = std::iter::successors(spec.via.as_deref(), |via| via.via.as_deref()).count();
    if carriers > MAX_CARRIERS {
        return Err(ConfigError::new(Some("via"), ConfigProblem::BadValue));
    }
    Ok(())
}
