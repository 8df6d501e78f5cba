//! Which addresses users may reach through the bridge. A pure function of the address: names are resolved first, and
//! the connection goes to the very address that was looked at, so a name that changes its mind in between (DNS
//! rebinding) gains nothing.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::config::EgressConfig;

/// What a target is refused for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Denied {
    /// This machine, a private network, a link-local or otherwise not public address.
    #[error("the address is not a public one")]
    NotPublic,
    /// Many receivers, or nobody: never a target, whatever the configuration.
    #[error("the address is no single host")]
    NotUnicast,
    /// A port from `egress.blocked_ports`, or 0.
    #[error("the port is blocked")]
    Port,
}

/// The rules of `[egress]`.
#[derive(Clone, Debug)]
pub struct Policy {
    allow_private: bool,
    blocked_ports: Vec<u16>,
}

impl Policy {
    /// The rules that a configuration says.
    pub fn new(config: &EgressConfig) -> Self {
        Self { allow_private: config.allow_private, blocked_ports: config.blocked_ports.clone() }
    }

    /// Whether a port may be reached on any host; asked before a name is looked up.
    ///
    /// # Errors
    /// [`Denied::Port`].
    pub fn check_port(&self, port: u16) -> Result<(), Denied> {
        if port == 0 || self.blocked_ports.contains(&port) { Err(Denied::Port) } else { Ok(()) }
    }

    /// Whether this address may be reached.
    ///
    /// # Errors
    /// Why it may not.
    pub fn check(&self, address: SocketAddr) -> Result<(), Denied> {
        self.check_port(address.port())?;
        match reach(address.ip()) {
            Reach::Public => Ok(()),
            Reach::Private if self.allow_private => Ok(()),
            Reach::Private => Err(Denied::NotPublic),
            Reach::Never => Err(Denied::NotUnicast),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reach {
    Public,
    Private,
    Never,
}

fn reach(ip: IpAddr) -> Reach {
    match ip {
        IpAddr::V4(ip) => reach_v4(ip),
        IpAddr::V6(ip) => reach_v6(ip),
    }
}

/// The IANA special-purpose registry for IPv4 (RFC 6890 and its updates): what is not globally reachable.
const fn reach_v4(ip: Ipv4Addr) -> Reach {
    match ip.octets() {
        [0, ..] | [224..=255, ..] => Reach::Never,
        [10 | 127, ..]
        | [100, 64..=127, ..]
        | [169, 254, ..]
        | [172, 16..=31, ..]
        | [192, 168, ..]
        | [192, 0, 0 | 2, _]
        | [192, 88, 99, _]
        | [198, 18 | 19, ..]
        | [198, 51, 100, _]
        | [203, 0, 113, _] => Reach::Private,
        _ => Reach::Public,
    }
}

/// For IPv6 the other way round: only global unicast (2000::/3) is public, less what is special in it. An address
/// that has an IPv4 address inside, and so ends at it, is judged by that one.
fn reach_v6(ip: Ipv6Addr) -> Reach {
    if ip.is_unspecified() || ip.is_multicast() {
        return Reach::Never;
    }
    let [a, b, ..] = ip.segments();
    if let Some(inner) = embedded_v4(ip) {
        return reach_v4(inner);
    }
    let special = matches!((a, b), (0x2001, 0..=0x1ff) | (0x2001, 0xdb8) | (0x3fff, 0..=0xfff));
    if (0x2000..=0x3fff).contains(&a) && !special { Reach::Public } else { Reach::Private }
}

/// Mapped (RFC 4291 §2.5.5.2), NAT64 (RFC 6052) and 6to4 (RFC 3056). Teredo is inside 2001::/23, which is refused.
fn embedded_v4(ip: Ipv6Addr) -> Option<Ipv4Addr> {
    let join = |high: u16, low: u16| Ipv4Addr::from(u32::from(high) << 16 | u32::from(low));
    match ip.segments() {
        [0, 0, 0, 0, 0, 0xffff, high, low]
        | [0x64, 0xff9b, 0, 0, 0, 0, high, low]
        | [0x2002, high, low, ..] => Some(join(high, low)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn policy(allow_private: bool) -> Policy {
        Policy { allow_private, blocked_ports: vec![25] }
    }

    fn allowed(ip: impl Into<IpAddr>) -> bool {
        policy(false).check(SocketAddr::new(ip.into(), 443)).is_ok()
    }

    #[test]
    fn the_special_ranges_are_refused_and_their_neighbours_are_not() {
        let refused = [
            "0.0.0.0",
            "10.0.0.1",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.255.254",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.8",
            "192.0.2.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::127.0.0.1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "64:ff9b::10.0.0.1",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:db8::1",
            "2002:7f00:1::1",
            "2002:c0a8:101::1",
            "3fff::1",
            "5f00::1",
            "fc00::1",
            "fdff::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ];
        for text in refused {
            assert!(!allowed(text.parse::<IpAddr>().unwrap()), "{text} must be refused");
        }
        let open = [
            "1.1.1.1",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.1",
            "172.15.255.255",
            "172.32.0.0",
            "192.167.255.255",
            "198.17.255.255",
            "198.20.0.0",
            "223.255.255.255",
            "::ffff:1.1.1.1",
            "64:ff9b::1.1.1.1",
            "2001:200::1",
            "2002:101:101::1",
            "2606:4700::1111",
            "2a00::1",
        ];
        for text in open {
            assert!(allowed(text.parse::<IpAddr>().unwrap()), "{text} must be allowed");
        }
    }

    #[test]
    fn ports_are_blocked_everywhere() {
        let to = |port| policy(true).check(SocketAddr::new(Ipv4Addr::new(1, 1, 1, 1).into(), port));
        assert_eq!(to(25), Err(Denied::Port));
        assert_eq!(to(0), Err(Denied::Port));
        assert_eq!(to(26), Ok(()));
    }

    #[test]
    fn no_group_is_ever_a_target() {
        for text in
            ["224.0.0.1:9", "255.255.255.255:9", "0.0.0.0:9", "[::]:9", "[ff02::1]:9", "[::ffff:0.0.0.0]:9"]
        {
            assert_eq!(policy(true).check(text.parse().unwrap()), Err(Denied::NotUnicast), "{text}");
        }
        assert_eq!(policy(true).check("127.0.0.1:9".parse().unwrap()), Ok(()));
    }

    proptest! {
        #[test]
        fn every_disguise_of_an_ipv4_address_is_judged_as_the_address(bits in any::<u32>()) {
            let plain = Ipv4Addr::from(bits);
            let [a, b, c, d] = plain.octets();
            let [high, low] = [u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])];
            let expected = allowed(plain);
            prop_assert_eq!(allowed(plain.to_ipv6_mapped()), expected);
            prop_assert_eq!(allowed(Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, high, low)), expected);
            prop_assert_eq!(allowed(Ipv6Addr::new(0x2002, high, low, 0, 0, 0, 0, 1)), expected);
            prop_assert!(!allowed(Ipv6Addr::new(0, 0, 0, 0, 0, 0, high, low)), "v4-compatible");
        }

        #[test]
        fn what_the_standard_library_calls_local_is_never_allowed(bits in any::<u32>(), wide in any::<u128>()) {
            let v4 = Ipv4Addr::from(bits);
            if v4.is_private() || v4.is_loopback() || v4.is_link_local() || v4.is_multicast() || v4.is_broadcast()
                || v4.is_documentation() || v4.is_unspecified() {
                prop_assert!(!allowed(v4));
            }
            let v6 = Ipv6Addr::from(wide);
            if v6.is_loopback() || v6.is_multicast() || v6.is_unicast_link_local() || v6.is_unique_local() {
                prop_assert!(!allowed(v6));
            }
        }
    }
}
