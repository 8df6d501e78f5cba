//! Control servers on loopback and targets that name them.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use commucat_control::{Control, ControlConfig, Listen, RunningControl};
use commucat_measure::{Cdn, Consent, Names, Ports, ProbeConfig, Risk, Run, Server, Targets, Timing};
use commucat_verdict::observations::{ServerKind, Subtest};

/// TCP ports of each server.
const TCP_PORTS: usize = 12;
/// UDP and QUIC ports of each server.
const UDP_PORTS: usize = 8;

/// Three servers, as a user would have them.
pub(crate) struct World {
    pub(crate) foreign: RunningControl,
    pub(crate) other: RunningControl,
    pub(crate) domestic: RunningControl,
}

impl World {
    pub(crate) async fn start() -> Self {
        Self {
            foreign: server([127, 0, 0, 1]).await,
            other: server([127, 0, 0, 2]).await,
            domestic: server([127, 0, 0, 3]).await,
        }
    }

    pub(crate) fn targets(&self) -> Targets {
        let servers = [
            entry(ServerKind::Foreign, &self.foreign),
            entry(ServerKind::ForeignOther, &self.other),
            entry(ServerKind::Domestic, &self.domestic),
        ];
        Targets {
            lab: true,
            servers: servers.to_vec(),
            names: Names {
                innocent: vec!["innocent.example".to_owned(), "example.com".to_owned()],
                blocked: vec!["blocked.example".to_owned()],
                ..Names::default()
            },
            cdns: vec![Cdn { address: self.other.addresses().tcp[0], name: "example.com".to_owned() }],
            consent: Consent::up_to(Risk::Medium),
            timing: Timing { timeout_min_ms: 400, dns_window_ms: 200 },
            ..Targets::default()
        }
    }
}

pub(crate) async fn server(ip: [u8; 4]) -> RunningControl {
    let any = Listen::from(SocketAddr::new(IpAddr::V4(Ipv4Addr::from(ip)), 0));
    let config = ControlConfig {
        tcp: vec![any; TCP_PORTS],
        udp: vec![any; UDP_PORTS],
        quic: vec![any; UDP_PORTS],
        ..ControlConfig::default()
    };
    Control::start(config).await.unwrap()
}

pub(crate) fn entry(kind: ServerKind, server: &RunningControl) -> Server {
    let at = server.addresses();
    let ports = |addresses: &[SocketAddr]| Ports::new(addresses.iter().map(SocketAddr::port)).unwrap();
    Server {
        kind,
        address: at.tcp[0].ip(),
        tcp: ports(&at.tcp),
        udp: ports(&at.udp),
        quic: ports(&at.quic),
        pin: Some(server.certificate_pin()),
        token: None,
    }
}

pub(crate) async fn quick(targets: Targets, seed: u64) -> Run {
    let config = ProbeConfig::new(targets, seed).with_budget(Duration::from_secs(120));
    commucat_measure::quick(config, Arc::new(())).await.unwrap()
}

pub(crate) async fn single(subtest: Subtest, targets: Targets, seed: u64) -> Run {
    let config = ProbeConfig::new(targets, seed).with_budget(Duration::from_secs(120));
    commucat_measure::single(subtest, config, Arc::new(())).await.unwrap()
}

pub(crate) fn found(run: &Run) -> Vec<&str> {
    run.findings.iter().map(|finding| &*finding.verdict_id).collect()
}
