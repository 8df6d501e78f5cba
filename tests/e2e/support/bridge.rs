//! `commucat up` on loopback.

use std::{
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::Command,
};

use commucat_proto::link::Link;
use commucat_transport_api::Spec;
use serde_json::Value;
use tempfile::TempDir;

use super::{Process, commucat, run};

/// What differs between the bridges of the tests.
#[derive(Default)]
pub(crate) struct BridgeOptions {
    /// Let the egress policy refuse private addresses, as it does outside of tests.
    pub(crate) public_egress_only: bool,
    /// Most connections at once.
    pub(crate) max_connections: Option<u32>,
}

/// A running bridge with one user.
pub(crate) struct Bridge {
    pub(crate) state: TempDir,
    pub(crate) process: Process,
    pub(crate) link: String,
    pub(crate) admin: Option<SocketAddr>,
}

impl Bridge {
    pub(crate) fn start() -> Self {
        Self::start_with(&BridgeOptions::default())
    }

    pub(crate) fn start_with(options: &BridgeOptions) -> Self {
        let state = tempfile::tempdir().unwrap();
        let (process, ready) = start(&state.path().join("state"), options);
        let link = ready["link"].as_str().unwrap().to_owned();
        let admin = ready["admin"].as_str().map(|address| address.parse().unwrap());
        Self { state, process, link, admin }
    }

    /// Starts again on the same state, as after a crash or a reboot.
    pub(crate) fn restart(&mut self) {
        self.process.signal("KILL");
        self.process.wait();
        let (process, ready) = start(&self.state_dir(), &BridgeOptions::default());
        assert_eq!(ready["link"], self.link.as_str(), "a second start keeps keys and ports");
        self.process = process;
    }

    /// The state directory, which the bridge made itself.
    pub(crate) fn state_dir(&self) -> PathBuf {
        self.state.path().join("state")
    }

    pub(crate) fn parsed_link(&self) -> Link {
        Link::parse(&self.link).unwrap()
    }

    /// The link's endpoint of that transport.
    pub(crate) fn endpoint(&self, transport: &str) -> Spec {
        let endpoints = self.parsed_link().endpoints;
        endpoints.into_iter().find(|spec| spec.transport.as_str() == transport).unwrap()
    }

    /// A link with only this endpoint.
    pub(crate) fn link_to(spec: Spec) -> String {
        Link::new("test", vec![spec], false).to_text().expose().clone()
    }

    /// The link, with each endpoint changed.
    pub(crate) fn link_with(&self, change: impl Fn(&mut Spec)) -> String {
        let mut link = self.parsed_link();
        link.endpoints.iter_mut().for_each(change);
        link.to_text().expose().clone()
    }

    /// `commucat user …` on this bridge's state.
    pub(crate) fn user(&self, args: &[&str]) -> super::Output {
        run(commucat().arg("user").args(args).arg("--state").arg(self.state_dir()))
    }
}

/// `commucat up` on loopback, with free ports.
pub(crate) fn up(state: &Path) -> Command {
    let mut command = commucat();
    command.args(["up", "--listen", "127.0.0.1", "--public", "127.0.0.1", "--web-port", "0"]);
    command.args(["--admin", "127.0.0.1:0", "--state"]).arg(state);
    command
}

/// Runs it until it is ready.
fn start(state: &Path, options: &BridgeOptions) -> (Process, Value) {
    let mut command = up(state);
    command.arg("--json");
    if !options.public_egress_only {
        command.arg("--allow-private");
    }
    if let Some(most) = options.max_connections {
        command.args(["--max-connections", &most.to_string()]);
    }
    let mut process = Process::start(&mut command);
    let ready = process.wait_for_event("ready");
    (process, ready)
}

/// A port on loopback on which nobody listens.
pub(crate) fn closed_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
