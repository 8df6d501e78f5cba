//! Which names and addresses the lab's world has, and what stands at each of them.
//!
//! The default is the plan that `commucat_censor::Geography` describes to the judge: the two must say the same.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    ops::RangeInclusive,
};

/// The name that every censor of the lab has on its list.
pub const BLOCKED_NAME: &str = "blocked.example";
/// A name that no censor has on its list, on the same network as [`BLOCKED_NAME`].
pub const INNOCENT_NAME: &str = "innocent.example";
/// The site inside the censor's own country.
pub const DOMESTIC_NAME: &str = "domestic.example";
/// The name of the first control server abroad.
pub const CONTROL_NAME: &str = "control.example";
/// The public name that a large CDN puts outside an encrypted ClientHello (RFC 9849 calls it `public_name`).
pub const ECH_PUBLIC_NAME: &str = "cloudflare-ech.com";

/// The resolver of the network.
pub const RESOLVER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 53);
/// An address of the foreign hosting network where only a bridge listens, when somebody starts one.
pub const BRIDGE: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 10);
/// The first control server abroad.
pub const CONTROL_FOREIGN: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 20);
/// The second control server abroad, on the same network.
pub const CONTROL_SECOND: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 21);
/// The control server inside the country.
pub const CONTROL_DOMESTIC: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 20);
/// The web site inside the country.
pub const DOMESTIC: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 10);

/// Ports on which each control server speaks TCP: HTTP, TLS or a raw echo, whichever the first bytes ask for.
pub const CONTROL_TCP_PORTS: [u16; 6] = [80, 443, 2053, 8080, 8443, 9443];
/// Ports on which each control server echoes datagrams: DNS's, STUN's, OpenVPN's, WireGuard's and one that means nothing.
pub const CONTROL_UDP_PORTS: [u16; 5] = [53, 1194, 3478, 40_000, 51_820];
/// Ports on which each control server speaks QUIC. Two, because some censors look at 443 only.
pub const CONTROL_QUIC_PORTS: [u16; 2] = [443, 8443];
/// Further ports of each control server: a probe wants one of its own for each trial, since a censor may punish a port
/// for minutes.
pub const CONTROL_TCP_RANGE: RangeInclusive<u16> = 20_000..=20_063;
/// The same for datagrams.
pub const CONTROL_UDP_RANGE: RangeInclusive<u16> = 30_000..=30_031;
/// The same for QUIC.
pub const CONTROL_QUIC_RANGE: RangeInclusive<u16> = 31_000..=31_007;
/// Ports on which the SSH-shaped server listens.
pub const SSH_PORT: u16 = 22;

/// Names on the CDN and the last byte of the address that serves them.
const CDN_SITES: [(&str, u8); 8] = [
    (BLOCKED_NAME, 10),
    ("www.blocked.example", 11),
    ("twitter.com", 12),
    ("www.torproject.org", 13),
    (INNOCENT_NAME, 20),
    ("example.com", 21),
    ("www.example.org", 22),
    (ECH_PUBLIC_NAME, 30),
];

/// A web site: one address, one name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Site {
    /// Its name in the zone and in its certificate.
    pub name: String,
    /// Where it speaks HTTP.
    pub http: SocketAddr,
    /// Where it speaks HTTPS.
    pub https: SocketAddr,
}

/// A control server: one address, several ports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ControlSite {
    /// Its name in the zone, if it has one.
    pub name: Option<String>,
    /// Where it speaks TCP.
    pub tcp: Vec<SocketAddr>,
    /// Where it echoes datagrams.
    pub udp: Vec<SocketAddr>,
    /// Where it speaks QUIC.
    pub quic: Vec<SocketAddr>,
}

/// What stands where. Port 0 means any free port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorldPlan {
    /// Where the resolver answers, over UDP and TCP.
    pub resolver: SocketAddr,
    /// The web sites.
    pub sites: Vec<Site>,
    /// Where the SSH-shaped server listens.
    pub ssh: Vec<SocketAddr>,
    /// The control servers, the first one abroad first.
    pub controls: Vec<ControlSite>,
}

impl Default for WorldPlan {
    fn default() -> Self {
        let cdn = CDN_SITES.iter().map(|&(name, host)| Site::at(name, Ipv4Addr::new(198, 51, 100, host)));
        Self {
            resolver: (RESOLVER, 53).into(),
            sites: cdn.chain([Site::at(DOMESTIC_NAME, DOMESTIC)]).collect(),
            ssh: [DOMESTIC, CONTROL_FOREIGN, CONTROL_SECOND].map(|at| (at, SSH_PORT).into()).to_vec(),
            controls: vec![
                ControlSite::at(Some(CONTROL_NAME), CONTROL_FOREIGN),
                ControlSite::at(None, CONTROL_SECOND),
                ControlSite::at(None, CONTROL_DOMESTIC),
            ],
        }
    }
}

impl WorldPlan {
    /// The site of that name.
    pub fn site(&self, name: &str) -> Option<&Site> {
        self.sites.iter().find(|site| site.name.eq_ignore_ascii_case(name))
    }

    /// The same without the ranges of further ports: a quarter of the sockets, for many labs at a time.
    #[must_use]
    pub fn lean(mut self) -> Self {
        for control in &mut self.controls {
            control.tcp.retain(|at| !CONTROL_TCP_RANGE.contains(&at.port()));
            control.udp.retain(|at| !CONTROL_UDP_RANGE.contains(&at.port()));
            control.quic.retain(|at| !CONTROL_QUIC_RANGE.contains(&at.port()));
        }
        self
    }

    /// What a targets file of `commucat probe` says of this world, as TOML: the control servers, a resolver, names that
    /// censors of the lab have on their lists and names that none has, and consent to asking for them.
    pub fn probe_targets(&self) -> String {
        let mut text = "lab = true\n".to_owned();
        for (kind, site) in ["foreign", "foreign_other", "domestic"].into_iter().zip(&self.controls) {
            let ports =
                |of: &[SocketAddr]| of.iter().map(|at| at.port().to_string()).collect::<Vec<_>>().join(",");
            let address = site.tcp.first().map(|at| at.ip().to_string()).unwrap_or_default();
            text.push_str(&format!(
                "\n[[server]]\nkind = \"{kind}\"\naddress = \"{address}\"\ntcp = [{}]\nudp = [{}]\nquic = [{}]\n",
                ports(&site.tcp),
                ports(&site.udp),
                ports(&site.quic)
            ));
        }
        if let Some(cdn) = self.site("example.com") {
            text.push_str(&format!("\n[[cdn]]\naddress = \"{}\"\nname = \"{}\"\n", cdn.https, cdn.name));
        }
        // Nothing listens at the bridge's port 53.
        text.push_str(&format!(
            "\n[dns]\nsystem = \"{}\"\nno_resolver = [\"{BRIDGE}:53\"]\n\n[names]\ninnocent = [\"{INNOCENT_NAME}\", \
             \"example.com\", \"www.example.org\"]\nblocked = [\"{BLOCKED_NAME}\"]\n\n[consent]\nmedium = true\n\n\
             [timing]\ntimeout_min_ms = 700\ndns_window_ms = 1000\n",
            self.resolver
        ));
        text
    }

    /// Every name and where the resolver says it is.
    pub fn zone(&self) -> Vec<(String, IpAddr)> {
        let sites = self.sites.iter().map(|site| (site.name.clone(), site.https.ip()));
        let controls = self
            .controls
            .iter()
            .filter_map(|control| Some((control.name.clone()?, control.tcp.first()?.ip())));
        sites.chain(controls).collect()
    }
}

impl Site {
    fn at(name: &str, address: Ipv4Addr) -> Self {
        Self { name: name.to_owned(), http: (address, 80).into(), https: (address, 443).into() }
    }
}

impl ControlSite {
    fn at(name: Option<&str>, address: Ipv4Addr) -> Self {
        let each = |ports: &[u16], more: RangeInclusive<u16>| {
            ports.iter().copied().chain(more).map(|port| (address, port).into()).collect()
        };
        Self {
            name: name.map(str::to_owned),
            tcp: each(&CONTROL_TCP_PORTS, CONTROL_TCP_RANGE),
            udp: each(&CONTROL_UDP_PORTS, CONTROL_UDP_RANGE),
            quic: each(&CONTROL_QUIC_PORTS, CONTROL_QUIC_RANGE),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_name_has_one_address_and_no_socket_is_asked_for_twice() {
        let plan = WorldPlan::default();
        assert!(
            plan.clone().lean().controls.iter().all(|control| control.tcp.len() == CONTROL_TCP_PORTS.len())
        );
        let zone = plan.zone();
        let names: BTreeSet<_> = zone.iter().map(|(name, _)| name).collect();
        assert_eq!(names.len(), zone.len());

        let web = plan.sites.iter().flat_map(|site| [site.http, site.https]);
        let tcp = plan.controls.iter().flat_map(|control| control.tcp.clone());
        let all: Vec<_> = web.chain(tcp).chain(plan.ssh.clone()).collect();
        assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len());
        for control in &plan.controls {
            let udp: Vec<_> = control.udp.iter().chain(&control.quic).collect();
            assert_eq!(udp.iter().collect::<BTreeSet<_>>().len(), udp.len());
        }
    }
}
