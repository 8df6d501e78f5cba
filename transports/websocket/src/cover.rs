//! What strangers see: a folder, an origin, or a small site of our own. Whoever is not let in is answered by exactly
//! the code that answers a wrong path, so there is nothing to compare.

mod folder;
pub(crate) mod local;
mod origin;
mod site;
pub(crate) mod visit;

use commucat_transport_api::ConfigError;

use self::{folder::Folder, origin::Origin, site::Site, visit::Visit};
use crate::{config::CoverParams, wire::head::RequestHead};

/// The cover service.
#[derive(Debug)]
pub(crate) enum Cover {
    Site(Site),
    Folder(Folder),
    Origin(Origin),
}

impl Cover {
    /// Sets the service up. `seed` makes the built-in site of each bridge another one.
    pub(crate) fn new(params: Option<&CoverParams>, seed: &[u8; 32]) -> Result<Self, ConfigError> {
        Ok(match params {
            None => Self::Site(Site::new(seed)),
            Some(CoverParams::Folder(path)) => Self::Folder(Folder::open(path)?),
            Some(CoverParams::Origin(url)) => Self::Origin(Origin::parse(url)?),
        })
    }

    /// Answers one request; `false` when the connection ends with it.
    ///
    /// # Errors
    /// The stranger's connection failed.
    pub(crate) async fn answer(
        &self,
        visit: &mut Visit,
        head: &RequestHead,
        id: &str,
    ) -> std::io::Result<bool> {
        match self {
            Self::Origin(origin) => origin.answer(visit, head, id).await,
            Self::Site(site) => local::answer(visit, head, id, site.page(head.path())).await,
            Self::Folder(folder) => {
                let page = folder.page(head.path()).await;
                local::answer(visit, head, id, page).await
            }
        }
    }
}
