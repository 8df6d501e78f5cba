//! The products: how each of them is had, configured and started. Each one's habits are in a file of its own.

pub mod credentials;
pub mod ours;
pub mod relays;
pub mod singbox;
pub mod site;
pub mod ssrust;
pub mod wheels;
pub mod xray;

use std::{net::SocketAddr, path::Path};

use tempfile::TempDir;

pub use self::credentials::Credentials;
use crate::{
    cache::Cache,
    cells::Row,
    options::Options,
    process::Process,
    sample::{LIMIT, Participant},
};

/// What a product has to set up: both ends of one row, and where they listen.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Plan<'a> {
    /// The protocol.
    pub row: Row,
    /// Where the server listens.
    pub bridge: SocketAddr,
    /// Where the client's port forward listens.
    pub forward: SocketAddr,
    /// Where the client's SOCKS5 inbound listens.
    pub socks: SocketAddr,
    /// Where the port forward leads.
    pub target: SocketAddr,
    /// The site that a REALITY server imitates.
    pub site: SocketAddr,
    /// Keys and certificates, the same for every product.
    pub credentials: &'a Credentials,
    /// An empty directory for configurations and logs.
    pub dir: &'a Path,
}

/// Both processes of a product. The client goes first when they are dropped.
#[derive(Debug)]
#[non_exhaustive]
pub struct Ends {
    /// The end with the inbounds.
    pub client: Process,
    /// The end that dials the target.
    pub server: Process,
    /// Their directory, removed last.
    pub dir: Option<TempDir>,
}

impl Ends {
    /// Both ends, the directory not yet handed over.
    #[must_use]
    pub const fn new(client: Process, server: Process) -> Self {
        Self { client, server, dir: None }
    }
}

/// A product that can be started.
pub trait Product: std::fmt::Debug {
    /// The short name in samples and options.
    fn id(&self) -> &str;
    /// What exactly was measured.
    fn version(&self) -> &str;
    /// Whether it speaks the protocol of the row.
    fn speaks(&self, row: Row) -> bool;
    /// Why it does not speak the protocol of a row that it knows; `None` where it has no such protocol at all.
    fn absence(&self, _row: Row) -> Option<String> {
        None
    }
    /// Whether its client has a SOCKS5 inbound.
    fn has_socks(&self) -> bool {
        true
    }
    /// Writes the configurations and starts both processes, without waiting for them.
    ///
    /// # Errors
    /// When a file cannot be written or a program cannot be started.
    fn start(&self, plan: &Plan<'_>) -> anyhow::Result<Ends>;
}

/// The products of a run and those that could not be had.
#[derive(Debug)]
#[non_exhaustive]
pub struct Field {
    /// Ready to start, the subject first and the limit last.
    pub products: Vec<Box<dyn Product>>,
    /// Everybody who was asked for, with a version or the reason of the absence.
    pub participants: Vec<Participant>,
}

/// Ids of all products that can be subject or peer.
pub const IDS: [&str; 4] = [ours::ID, singbox::ID, xray::ID, ssrust::ID];

impl Field {
    /// Makes the products ready: fetches and unpacks what is missing. Whoever cannot be had becomes an absence, not a failure.
    #[must_use]
    pub fn prepare(options: &Options, cache: &Cache) -> Self {
        let mut field = Self { products: Vec::new(), participants: Vec::new() };
        let peers = options.peers.iter().filter(|peer| **peer != options.subject);
        for id in std::iter::once(&options.subject).chain(peers) {
            let product: anyhow::Result<Box<dyn Product>> = match id.as_str() {
                ours::ID => boxed(ours::Ours::find(options.commucat.as_deref(), options.carriers)),
                singbox::ID => boxed(singbox::SingBox::prepare(cache, &options.rows)),
                xray::ID => boxed(xray::Xray::prepare(cache)),
                ssrust::ID => boxed(ssrust::ShadowsocksRust::prepare(cache, options.install_peers)),
                other => Err(anyhow::anyhow!("no such product; known are {}", IDS.join(", "))
                    .context(other.to_owned())),
            };
            field.add(id, product);
        }
        field.add(LIMIT, boxed(relays::Relays::new()));
        field
    }

    /// These products and no others.
    #[must_use]
    pub fn of(products: Vec<Box<dyn Product>>) -> Self {
        let mut field = Self { products: Vec::new(), participants: Vec::new() };
        for product in products {
            let id = product.id().to_owned();
            field.add(&id, Ok(product));
        }
        field
    }

    /// Whether a product takes part.
    #[must_use]
    pub fn has(&self, id: &str) -> bool {
        self.products.iter().any(|product| product.id() == id)
    }

    fn add(&mut self, id: &str, product: anyhow::Result<Box<dyn Product>>) {
        let (version, absent) = match &product {
            Ok(product) => (Some(product.version().to_owned()), None),
            Err(error) => (None, Some(format!("{error:#}"))),
        };
        self.participants.push(Participant { id: id.to_owned(), version, absent });
        self.products.extend(product);
    }
}

fn boxed<P: Product + 'static>(product: anyhow::Result<P>) -> anyhow::Result<Box<dyn Product>> {
    product.map(|product| Box::new(product) as Box<dyn Product>)
}

/// Writes a JSON configuration into the plan's directory and returns its path.
fn write_json(plan: &Plan<'_>, name: &str, value: &serde_json::Value) -> anyhow::Result<std::path::PathBuf> {
    let path = plan.dir.join(name);
    std::fs::write(&path, serde_json::to_vec_pretty(value)?)?;
    Ok(path)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A plan with fixed addresses, for the tests of the rendered configurations.
    pub(crate) fn plan(row: Row, credentials: &Credentials) -> Plan<'_> {
        Plan {
            row,
            bridge: "127.0.0.1:1001".parse().unwrap(),
            forward: "127.0.0.1:1002".parse().unwrap(),
            socks: "127.0.0.1:1003".parse().unwrap(),
            target: "127.0.0.1:1004".parse().unwrap(),
            site: "127.0.0.1:1006".parse().unwrap(),
            credentials,
            dir: Path::new("/nonexistent"),
        }
    }
}
