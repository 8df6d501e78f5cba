//! The limit as a product: two plain relays in a row, like a client and a server that neither encrypt nor frame.

use std::{net::SocketAddr, path::PathBuf, process::Command};

use anyhow::Context;

use super::{Ends, Plan, Product};
use crate::{cells::Row, process::Process, sample::LIMIT};

/// The hidden subcommand of the harness that is one relay.
pub const SUBCOMMAND: &str = "relay";

/// Two relays; their program is the harness itself.
#[derive(Debug)]
pub struct Relays {
    program: PathBuf,
}

impl Relays {
    /// # Errors
    /// When the harness does not know where it is.
    pub fn new() -> anyhow::Result<Self> {
        Ok(Self::of(std::env::current_exe().context("where is the harness?")?))
    }

    /// Relays by the harness at this path.
    #[must_use]
    pub const fn of(program: PathBuf) -> Self {
        Self { program }
    }

    fn relay(
        &self,
        plan: &Plan<'_>,
        name: &str,
        listen: SocketAddr,
        target: SocketAddr,
    ) -> anyhow::Result<Process> {
        let mut command = Command::new(&self.program);
        command.arg(SUBCOMMAND).arg(listen.to_string()).arg(target.to_string());
        Process::start(name, &command, plan.dir)
    }
}

impl Product for Relays {
    fn id(&self) -> &str {
        LIMIT
    }

    fn version(&self) -> &str {
        "two plain relays"
    }

    fn speaks(&self, _row: Row) -> bool {
        true
    }

    fn has_socks(&self) -> bool {
        false
    }

    fn start(&self, plan: &Plan<'_>) -> anyhow::Result<Ends> {
        let server = self.relay(plan, "server", plan.bridge, plan.target)?;
        Ok(Ends::new(self.relay(plan, "client", plan.forward, plan.bridge)?, server))
    }
}
