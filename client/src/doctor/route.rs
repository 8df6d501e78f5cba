//! Whether this machine has a way out, as its routing table says.

use std::{fs, path::Path};

use commucat_verdict::LocalNetwork;

const V4_ROUTES: &str = "/proc/net/route";
const V6_ROUTES: &str = "/proc/net/ipv6_route";
/// `RTF_REJECT` (linux/route.h): the route leads nowhere.
const REJECT: u32 = 0x0200;

/// What the kernel says; unknown where it keeps no such file.
pub(crate) fn local_network() -> LocalNetwork {
    let read = |path: &str| fs::read_to_string(Path::new(path));
    match (read(V4_ROUTES), read(V6_ROUTES)) {
        (Err(_), Err(_)) => LocalNetwork::Unknown,
        (v4, v6) => from_tables(&v4.unwrap_or_default(), &v6.unwrap_or_default()),
    }
}

fn from_tables(v4: &str, v6: &str) -> LocalNetwork {
    // A route over any device but the loopback one leads out, be it to the next machine only.
    let v4_out = v4
        .lines()
        .skip(1)
        .filter_map(|line| line.split_ascii_whitespace().next())
        .any(|device| device != "lo");
    let v6_default = v6.lines().any(|line| {
        let mut fields = line.split_ascii_whitespace();
        let everything = fields.next().is_some_and(|prefix| prefix.bytes().all(|byte| byte == b'0'))
            && fields.next() == Some("00");
        let flags = fields.nth(6).and_then(|flags| u32::from_str_radix(flags, 16).ok()).unwrap_or(REJECT);
        everything && flags & REJECT == 0 && fields.next() != Some("lo")
    });
    if v4_out || v6_default { LocalNetwork::Routed } else { LocalNetwork::NoRoute }
}

#[cfg(test)]
mod tests {
    use super::*;

    const V4_HEAD: &str = "Iface\tDestination\tGateway \tFlags\n";
    const V6_LOOPBACK: &str = "00000000000000000000000000000000 00 00000000000000000000000000000000 00 \
                               00000000000000000000000000000000 ffffffff 00000001 00000000 00200200       lo\n";
    const V6_DEFAULT: &str = "00000000000000000000000000000000 00 00000000000000000000000000000000 00 \
                              fe800000000000000000000000000001 00000400 00000001 00000000 00000003     eth0\n";

    #[test]
    fn a_route_out_is_found() {
        assert_eq!(from_tables(V4_HEAD, V6_LOOPBACK), LocalNetwork::NoRoute);
        assert_eq!(from_tables("", ""), LocalNetwork::NoRoute);
        let v4 = format!("{V4_HEAD}eth0\t00000000\t0101A8C0\t0003\n");
        assert_eq!(from_tables(&v4, ""), LocalNetwork::Routed);
        assert_eq!(from_tables(&format!("{V4_HEAD}lo\t0000007F\n"), V6_DEFAULT), LocalNetwork::Routed);
    }
}
