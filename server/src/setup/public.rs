//! Under which address others reach this machine, as far as the machine itself can know.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};

use commucat_transport_api::Host;

use super::SetupWarning;
use crate::{config::EgressConfig, egress::Policy};

/// Addresses of documentation (RFC 5737, RFC 3849): the default route leads there, and nothing is ever sent.
const ROUTED: [&str; 2] = ["192.0.2.1:9", "[2001:db8::1]:9"];

/// The address of the interface that has the default route.
pub(super) fn guess(warnings: &mut Vec<SetupWarning>) -> Option<Host> {
    let found = ROUTED.iter().find_map(|to| to.parse().ok().and_then(source_address));
    let Some(ip) = found else {
        warnings.push(SetupWarning::NoAddress);
        return Some(Host::Ip(Ipv4Addr::LOCALHOST.into()));
    };
    if !is_public(ip) {
        warnings.push(SetupWarning::PrivateAddress(Host::Ip(ip)));
    }
    Some(Host::Ip(ip))
}

/// Connecting a datagram socket only asks the routing table.
fn source_address(to: SocketAddr) -> Option<IpAddr> {
    let any: IpAddr = if to.is_ipv6() { IpAddr::from([0_u16; 8]) } else { IpAddr::from([0_u8; 4]) };
    let socket = UdpSocket::bind((any, 0)).ok()?;
    socket.connect(to).ok()?;
    let ip = socket.local_addr().ok()?.ip();
    (!ip.is_unspecified() && !ip.is_loopback()).then_some(ip)
}

fn is_public(ip: IpAddr) -> bool {
    let policy = Policy::new(&EgressConfig { allow_private: false, blocked_ports: Vec::new() });
    policy.check(SocketAddr::new(ip, 443)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guess_is_an_address_and_a_private_one_is_told() {
        let mut warnings = Vec::new();
        let host = guess(&mut warnings).unwrap();
        let ip = host.ip().unwrap();
        assert_eq!(is_public(ip), warnings.is_empty(), "{ip} {warnings:?}");
    }
}
