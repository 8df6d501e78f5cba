//! What kind of device an interface is, asked of the kernel over netlink (`rtnetlink`, Linux): `/sys` may show another
//! network namespace than the one that this thread is in.

use std::{
    io::{Read as _, Write as _},
    time::Duration,
};

use socket2::{Domain, Protocol, Socket, Type};

const AF_NETLINK: i32 = 16;
const NETLINK_ROUTE: i32 = 0;
const RTM_NEWLINK: u16 = 16;
const RTM_GETLINK: u16 = 18;
const NLM_F_REQUEST: u16 = 1;
const IFLA_IFNAME: u16 = 3;
/// `struct nlmsghdr` and `struct ifinfomsg`.
const HEADER_BYTES: usize = 16;
const INFO_BYTES: usize = 16;
/// Longest name of an interface with its zero (`IFNAMSIZ`).
const NAME_BYTES_MAX: usize = 16;
/// An answer about one interface has some 2 KiB.
const ANSWER_BYTES: usize = 16 * 1024;
/// The kernel answers within the system call.
const ANSWER_TIMEOUT: Duration = Duration::from_millis(200);

/// Hardware types that are tunnels (linux/if_arp.h): PPP, IP in IP, IPv6 in IPv6, SIT, GRE, GRE over IPv6, and NONE,
/// which TUN and WireGuard devices have.
const TUNNELS: [u16; 7] = [512, 768, 769, 776, 778, 823, 65534];

/// Whether the interface is a tunnel; `None` where the system does not say.
pub(super) fn is_tunnel(interface: &str) -> Option<bool> {
    if !cfg!(target_os = "linux") || interface.len() >= NAME_BYTES_MAX {
        return None;
    }
    let socket =
        Socket::new(Domain::from(AF_NETLINK), Type::DGRAM, Some(Protocol::from(NETLINK_ROUTE))).ok()?;
    socket.set_read_timeout(Some(ANSWER_TIMEOUT)).ok()?;
    (&socket).write_all(&request(interface)).ok()?;
    let mut answer = vec![0; ANSWER_BYTES];
    let len = (&socket).read(&mut answer).ok()?;
    hardware_type(answer.get(..len)?).map(|kind| TUNNELS.contains(&kind))
}

fn request(interface: &str) -> Vec<u8> {
    let attribute = 4 + interface.len() + 1;
    let total = HEADER_BYTES + INFO_BYTES + attribute.next_multiple_of(4);
    let mut request = u32::try_from(total).unwrap_or(u32::MAX).to_ne_bytes().to_vec();
    request.extend(RTM_GETLINK.to_ne_bytes());
    request.extend(NLM_F_REQUEST.to_ne_bytes());
    request.extend([0; 8]); // sequence number and port id
    request.extend([0; INFO_BYTES]);
    request.extend(u16::try_from(attribute).unwrap_or(u16::MAX).to_ne_bytes());
    request.extend(IFLA_IFNAME.to_ne_bytes());
    request.extend(interface.as_bytes());
    request.resize(total, 0);
    request
}

fn hardware_type(answer: &[u8]) -> Option<u16> {
    let number = |at: usize| Some(u16::from_ne_bytes(answer.get(at..at + 2)?.try_into().ok()?));
    // The type is the second field of `ifinfomsg`, behind one byte of family and one of padding.
    (number(4)? == RTM_NEWLINK).then(|| number(HEADER_BYTES + 2)).flatten()
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_no_tunnel_and_what_is_not_there_is_unknown() {
        assert_eq!(is_tunnel("lo"), Some(false));
        assert_eq!(is_tunnel("nosuchdevice0"), None);
        assert_eq!(is_tunnel("a-name-that-no-device-has"), None);
    }
}
