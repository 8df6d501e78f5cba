//! The packet loop: one thread between the TUN devices of the places.

mod pump;

use std::{
    io::{self, Write as _},
    os::unix::net::UnixStream,
    thread::{self, JoinHandle},
};

use crate::{LabError, Layout, tun::Tun};

/// The running packet loop.
#[derive(Debug)]
pub(crate) struct Wire {
    wake: UnixStream,
    thread: Option<JoinHandle<io::Result<()>>>,
}

impl Wire {
    pub(crate) fn start(tuns: [Tun; 3], layout: Layout) -> Result<Self, LabError> {
        let (wake, woken) = UnixStream::pair().map_err(LabError::Loop)?;
        woken.set_nonblocking(true).map_err(LabError::Loop)?;
        let thread = thread::Builder::new()
            .name("lab-wire".to_owned())
            .spawn(move || pump::run(&tuns, &woken, &layout))
            .map_err(|source| LabError::Thread { name: "wire", source })?;
        Ok(Self { wake, thread: Some(thread) })
    }

    pub(crate) fn stop(mut self) -> Result<(), LabError> {
        self.end().map_err(LabError::Loop)
    }

    fn end(&mut self) -> io::Result<()> {
        let Some(thread) = self.thread.take() else { return Ok(()) };
        let _already_ended = self.wake.write_all(&[0]);
        thread.join().unwrap_or_else(|_panic| Err(io::Error::other("it panicked")))
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        let _already_said = self.end();
    }
}
