//! A rig: one product started as a pair of processes, with a target of its own behind it.

use std::{
    net::SocketAddr,
    thread,
    time::{Duration, Instant},
};

use anyhow::Context;

use crate::{
    cells::{Inside, Row},
    load::{
        connect::{Entry, ping},
        target::Target,
    },
    peers::{Credentials, Ends, Plan, Product},
    process::free_address,
};

/// How long a product may take until its first byte comes through.
const START_LIMIT: Duration = Duration::from_secs(15);

/// A running product.
#[derive(Debug)]
#[non_exhaustive]
pub struct Rig {
    /// The port-forward inbound.
    pub forward: SocketAddr,
    /// The SOCKS5 inbound, where the product has one.
    pub socks: Option<SocketAddr>,
    /// What stands behind it.
    pub target: Target,
    /// What its bulk loads carry.
    pub inside: Inside,
    ends: Ends,
}

impl Rig {
    /// Starts both ends and waits until a byte went through. `site` is what a server imitates, where it does.
    ///
    /// # Errors
    /// When an end dies or nothing comes through; the message holds the last output of both.
    pub fn start(
        product: &dyn Product,
        credentials: &Credentials,
        site: SocketAddr,
        row: Row,
    ) -> anyhow::Result<Self> {
        let target = Target::start()?;
        let dir = tempfile::Builder::new().prefix("commucat-bench-").tempdir()?;
        let plan = Plan {
            row,
            bridge: free_address()?,
            forward: free_address()?,
            socks: free_address()?,
            target: target.address(),
            site,
            credentials,
            dir: dir.path(),
        };
        let mut ends = product.start(&plan)?;
        let socks = product.has_socks().then_some(plan.socks);
        let forward = plan.forward;
        ends.dir = Some(dir);
        let mut rig = Self { forward, socks, target, inside: row.inside(), ends };
        rig.wait_ready()?;
        Ok(rig)
    }

    /// The client's process id.
    #[must_use]
    pub fn client_pid(&self) -> u32 {
        self.ends.client.pid()
    }

    /// The server's process id.
    #[must_use]
    pub fn server_pid(&self) -> u32 {
        self.ends.server.pid()
    }

    fn wait_ready(&mut self) -> anyhow::Result<()> {
        let start = Instant::now();
        loop {
            self.ends.server.check()?;
            self.ends.client.check()?;
            match ping(Entry::Forward(self.forward)) {
                Ok(_) => return Ok(()),
                Err(error) if start.elapsed() > START_LIMIT => {
                    return Err(error).with_context(|| {
                        format!(
                            "nothing comes through; client: {}; server: {}",
                            self.ends.client.tail(),
                            self.ends.server.tail()
                        )
                    });
                }
                Err(_) => thread::sleep(Duration::from_millis(50)),
            }
        }
    }
}
