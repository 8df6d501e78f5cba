//! `commucat connect` on loopback.

use std::{net::SocketAddr, process::Command};

use super::{Process, commucat};

/// A running client.
pub(crate) struct Client {
    pub(crate) process: Process,
    pub(crate) proxy: SocketAddr,
}

impl Client {
    pub(crate) fn start(link: &str) -> Self {
        Self::start_with(link, &[])
    }

    pub(crate) fn start_with(link: &str, args: &[&str]) -> Self {
        Self::start_as(commucat(), link, args)
    }

    /// The same by another command that ends in this program.
    pub(crate) fn start_as(mut command: Command, link: &str, args: &[&str]) -> Self {
        command.args(["connect", "--json", "--no-state", "--listen", "127.0.0.1:0", link]).args(args);
        let mut process = Process::start(&mut command);
        let event = process.wait_for_event("listening");
        let proxy = event["address"].as_str().unwrap().parse().unwrap();
        Self { process, proxy }
    }

    pub(crate) fn socks(&self) -> String {
        format!("socks5h://{}", self.proxy)
    }

    pub(crate) fn http(&self) -> String {
        format!("http://{}", self.proxy)
    }
}
