//! The TUN device of a place: whole IP packets in and out of its namespace.

use std::{
    fmt, io,
    os::fd::{AsFd, BorrowedFd},
};

use tun_rs::{DeviceBuilder, SyncDevice};

use crate::LabError;

/// Its name in each place. Namespaces are apart, so one name serves all.
pub(crate) const DEVICE_NAME: &str = "lab0";
/// Largest packet on the lab's links, in bytes.
pub(crate) const MTU: u16 = 1500;
/// Packets that the kernel keeps for us. A burst of a sender must fit while this process is not scheduled: the queue
/// that a link emulates is ours, this one must never be the one that drops. It is set over
/// netlink: the ioctl for it asks for rights in the first user namespace.
pub(crate) const QUEUE_PACKETS: u32 = 10_000;

/// A TUN device that never blocks.
pub(crate) struct Tun(SyncDevice);

impl Tun {
    /// Makes the device in the namespace of the calling thread.
    pub(crate) fn make(place: &'static str) -> Result<Self, LabError> {
        let failed = |source| LabError::Tun { place, source };
        let device =
            DeviceBuilder::new().name(DEVICE_NAME).mtu(MTU).enable(false).build_sync().map_err(failed)?;
        device.set_nonblocking(true).map_err(failed)?;
        Ok(Self(device))
    }

    /// The next packet that its namespace sent, or [`io::ErrorKind::WouldBlock`].
    pub(crate) fn receive(&self, into: &mut [u8]) -> io::Result<usize> {
        self.0.recv(into)
    }

    /// Gives its namespace a packet.
    pub(crate) fn send(&self, packet: &[u8]) -> io::Result<()> {
        self.0.send(packet).map(drop)
    }
}

impl AsFd for Tun {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl fmt::Debug for Tun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Tun").finish()
    }
}
