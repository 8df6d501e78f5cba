//! Which resolver this network gave us, and which addresses no public name can have.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Port of DNS.
const DNS_PORT: u16 = 53;
/// 100.64.0.0/10, shared by providers (RFC 6598).
const SHARED: (Ipv4Addr, u32) = (Ipv4Addr::new(100, 64, 0, 0), 10);
/// 240.0.0.0/4, reserved (RFC 1112 §4).
const RESERVED: (Ipv4Addr, u32) = (Ipv4Addr::new(240, 0, 0, 0), 4);
/// 0.0.0.0/8, this network (RFC 1122 §3.2.1.3).
const THIS: (Ipv4Addr, u32) = (Ipv4Addr::new(0, 0, 0, 0), 8);

/// The first resolver of `/etc/resolv.conf`.
pub(super) fn system() -> Option<SocketAddr> {
    first(&std::fs::read_to_string("/etc/resolv.conf").ok()?)
}

fn first(text: &str) -> Option<SocketAddr> {
    let mut servers = text.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        (words.next()? == "nameserver").then(|| words.next()?.parse::<IpAddr>().ok()).flatten()
    });
    servers.next().map(|ip| SocketAddr::new(ip, DNS_PORT))
}

/// Whether no public name can have this address: a private or reserved range (Iran answers 10.10.34.34 to .36), or
/// Teredo's, from which China forges AAAA.
pub(super) fn is_bogon(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(ip) => {
            ip.is_private()
                || ip.is_loopback()
                || ip.is_link_local()
                || ip.is_multicast()
                || [SHARED, RESERVED, THIS].into_iter().any(|(net, prefix)| within(ip, net, prefix))
        }
        IpAddr::V6(ip) => {
            ip.is_loopback()
                || ip.is_unspecified()
                || ip.is_multicast()
                || ip.is_unique_local()
                || ip.is_unicast_link_local()
                || is_teredo(ip)
                || ip.to_ipv4_mapped().is_some()
        }
    }
}

fn within(ip: Ipv4Addr, net: Ipv4Addr, prefix: u32) -> bool {
    (ip.to_bits() ^ net.to_bits()) >> (u32::BITS - prefix) == 0
}

fn is_teredo(ip: Ipv6Addr) -> bool {
    matches!(ip.segments(), [0x2001, 0, ..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_resolver_is_read() {
        let text =
            "# comment\nsearch example\nnameserver bad\nnameserver 192.0.2.53\nnameserver 192.0.2.54\n";
        assert_eq!(first(text), Some("192.0.2.53:53".parse().unwrap()));
        assert_eq!(first("nameserver ::1"), Some("[::1]:53".parse().unwrap()));
        assert_eq!(first("options edns0"), None);
    }

    #[test]
    fn bogons_are_known() {
        for bogon in [
            "10.10.34.34",
            "10.10.34.36",
            "127.0.0.1",
            "0.0.0.0",
            "192.168.1.1",
            "100.64.0.1",
            "240.0.0.1",
            "::",
            "2001::1",
            "fd00::1",
            "fe80::1",
        ] {
            assert!(is_bogon(bogon.parse().unwrap()), "{bogon}");
        }
        for real in
            ["93.184.216.34", "198.51.100.7", "100.128.0.1", "2001:4860:4860::8888", "2606:4700::1111"]
        {
            assert!(!is_bogon(real.parse().unwrap()), "{real}");
        }
    }
}
