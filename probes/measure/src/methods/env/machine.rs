//! What the machine says of itself (Linux: `/proc` and `/sys`). Elsewhere everything is unknown, and said to be.

mod link;

use std::{
    fs,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    path::Path,
};

use commucat_verdict::observations::Environment;

/// Programs that rewrite packets to get past filters, by the names of their processes.
const REWRITERS: [&str; 8] =
    ["nfqws", "nfqws2", "tpws", "ciadpi", "byedpi", "spoofdpi", "youtubeUnblock", "dpi-tunnel-cli"];
/// Beginnings of names of tunnel interfaces, for systems that do not say what kind of device it is.
const TUNNELS: [&str; 7] = ["tun", "utun", "wg", "ppp", "tailscale", "nordlynx", "proton"];
/// `RTF_UP` and `RTF_REJECT` (linux/route.h).
const RTF_UP: u32 = 1;
const RTF_REJECT: u32 = 0x200;
/// Most processes looked at.
const PROCESSES_MAX: usize = 65_536;

/// Looks at the machine; `target` is whom the route is looked up for.
pub(super) fn look(target: Option<IpAddr>) -> Environment {
    let route = target.map(route_to);
    let interface = route.clone().flatten();
    let network_type = interface.as_deref().map_or("unknown", network_type).to_owned();
    let tunnels = interface.iter().filter(|name| is_tunnel(name)).cloned().collect();
    Environment {
        routed: route.filter(|_| cfg!(target_os = "linux")).map(|route| route.is_some()),
        interface,
        network_type,
        tunnels,
        rewriters: rewriters(),
        ..Environment::default()
    }
}

/// The interface over which this address is reached.
fn route_to(target: IpAddr) -> Option<String> {
    if target.is_loopback() {
        return Some("lo".to_owned());
    }
    match target {
        IpAddr::V4(target) => route4(&fs::read_to_string("/proc/thread-self/net/route").ok()?, target),
        IpAddr::V6(target) => route6(&fs::read_to_string("/proc/thread-self/net/ipv6_route").ok()?, target),
    }
}

fn route4(table: &str, target: Ipv4Addr) -> Option<String> {
    let routes = table.lines().skip(1).filter_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        // The kernel prints words in network order as numbers of this machine.
        let word = |at: usize| u32::from_str_radix(fields.get(at)?, 16).ok().map(u32::from_be);
        let flags = u32::from_str_radix(fields.get(3)?, 16).ok()?;
        let (destination, mask) = (word(1)?, word(7)?);
        let usable = flags & RTF_UP != 0 && flags & RTF_REJECT == 0;
        let interface = *fields.first()?;
        (usable && target.to_bits() & mask == destination).then(|| (mask, interface.to_owned()))
    });
    routes.max_by_key(|(mask, _)| *mask).map(|(_, interface)| interface)
}

fn route6(table: &str, target: Ipv6Addr) -> Option<String> {
    let routes = table.lines().filter_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let destination = u128::from_str_radix(fields.first()?, 16).ok()?;
        let prefix = u32::from_str_radix(fields.get(1)?, 16).ok()?;
        let flags = u32::from_str_radix(fields.get(8)?, 16).ok()?;
        let interface = *fields.get(9)?;
        let mask = u128::MAX.checked_shl(128_u32.checked_sub(prefix)?).unwrap_or(0);
        let usable = flags & RTF_UP != 0 && flags & RTF_REJECT == 0 && interface != "lo";
        (usable && target.to_bits() & mask == destination & mask).then(|| (prefix, interface.to_owned()))
    });
    routes.max_by_key(|(prefix, _)| *prefix).map(|(_, interface)| interface)
}

fn is_tunnel(interface: &str) -> bool {
    let by_name = TUNNELS.iter().any(|prefix| interface.starts_with(prefix));
    // A TAP device looks like Ethernet; only `/sys` knows better, where it shows this network namespace.
    let tap = Path::new("/sys/class/net").join(interface).join("tun_flags").exists();
    by_name || tap || link::is_tunnel(interface).unwrap_or(false)
}

fn network_type(interface: &str) -> &'static str {
    let about = Path::new("/sys/class/net").join(interface);
    let begins = |prefixes: &[&str]| prefixes.iter().any(|prefix| interface.starts_with(prefix));
    if is_tunnel(interface) {
        "tunnel"
    } else if begins(&["wwan", "rmnet", "ccmni"]) {
        "mobile"
    } else if begins(&["wl"]) || about.join("wireless").exists() {
        "wifi"
    } else if begins(&["eth", "en"]) {
        "wired"
    } else {
        "unknown"
    }
}

fn rewriters() -> Vec<String> {
    let mut found = Vec::new();
    // One line a queue that a program has bound (NFQUEUE).
    if fs::read_to_string("/proc/thread-self/net/netfilter/nfnetlink_queue")
        .is_ok_and(|text| !text.trim().is_empty())
    {
        found.push("a program behind NFQUEUE".to_owned());
    }
    let Ok(processes) = fs::read_dir("/proc") else {
        return found;
    };
    for process in processes.flatten().take(PROCESSES_MAX) {
        let Ok(name) = fs::read_to_string(process.path().join("comm")) else {
            continue;
        };
        let name = name.trim();
        if REWRITERS.contains(&name) && !found.iter().any(|known| known == name) {
            found.push(name.to_owned());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const V4: &str = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
eth0\t00000000\t0100A8C0\t0003\t0\t0\t100\t00000000\t0\t0\t0
wg0\t007100CB\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0
eth0\t0000A8C0\t00000000\t0001\t0\t0\t100\t0000FFFF\t0\t0\t0
bad line
";

    #[test]
    fn the_longest_route_wins() {
        let to = |text: &str| route4(V4, text.parse().unwrap());
        assert_eq!(to("203.0.113.9").as_deref(), Some("wg0"));
        assert_eq!(to("192.168.0.7").as_deref(), Some("eth0"));
        assert_eq!(to("8.8.8.8").as_deref(), Some("eth0"));
        assert_eq!(route4("Iface\n", Ipv4Addr::LOCALHOST), None);
    }

    #[test]
    fn ipv6_routes_are_read() {
        let table = "\
00000000000000000000000000000000 00 00000000000000000000000000000000 00 fe800000000000000000000000000001 00000400 00000001 00000000 00000003 eth0
20010db8000000000000000000000000 20 00000000000000000000000000000000 00 00000000000000000000000000000000 00000100 00000001 00000000 00000001 wg0
00000000000000000000000000000000 00 00000000000000000000000000000000 00 00000000000000000000000000000000 ffffffff 00000001 00000000 00200200 lo
";
        assert_eq!(route6(table, "2001:db8::1".parse().unwrap()).as_deref(), Some("wg0"));
        assert_eq!(route6(table, "2606:4700::1".parse().unwrap()).as_deref(), Some("eth0"));
    }

    #[test]
    fn loopback_is_no_tunnel() {
        let seen = look(Some(Ipv4Addr::LOCALHOST.into()));
        assert!(seen.tunnels.is_empty());
        assert_eq!(seen.interface.as_deref(), Some("lo"));
    }
}
