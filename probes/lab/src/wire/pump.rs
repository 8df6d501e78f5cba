//! The loop itself: waits for packets and timers, moves packets.

use std::{io, net::IpAddr, os::unix::net::UnixStream};

use commucat_dissect::ip;
use nix::poll::{PollFd, PollFlags, ppoll};

use crate::{
    Layout,
    tun::{MTU, Tun},
};

/// Packets read from one device before the others have their turn.
const BATCH_PACKETS: usize = 64;

pub(super) fn run(tuns: &[Tun; 3], woken: &UnixStream, layout: &Layout) -> io::Result<()> {
    use std::os::fd::AsFd as _;
    let mut buffer = [0_u8; MTU as usize];
    let [client, world, prober] = tuns;
    loop {
        let mut fds = [
            PollFd::new(woken.as_fd(), PollFlags::POLLIN),
            PollFd::new(client.as_fd(), PollFlags::POLLIN),
            PollFd::new(world.as_fd(), PollFlags::POLLIN),
            PollFd::new(prober.as_fd(), PollFlags::POLLIN),
        ];
        ppoll(&mut fds, None, None)?;
        if fds.first().is_some_and(|fd| fd.any().unwrap_or(true)) {
            return Ok(());
        }
        for from in [client, world, prober] {
            for _packet in 0..BATCH_PACKETS {
                let length = match from.receive(&mut buffer) {
                    Ok(length) => length,
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    Err(error) => return Err(error),
                };
                let packet = buffer.get(..length).unwrap_or_default();
                let to_prober = || destination(packet).is_some_and(|to| layout.prober_net.contains(to));
                let to =
                    if std::ptr::eq(from, world) { if to_prober() { prober } else { client } } else { world };
                let _lost = to.send(packet);
            }
        }
    }
}

fn destination(packet: &[u8]) -> Option<IpAddr> {
    Some(ip::parse(packet).ok()?.destination)
}
