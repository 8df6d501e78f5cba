//! Either end of TLS, without a socket.

use std::{fmt, time::Duration};

use commucat_mimic::{Client, Error, Opened, Responder, Sealed};

/// A connection whose handshake is done.
pub(crate) trait Engine: fmt::Debug + Send + Unpin + 'static {
    /// Opens the first record of `wire` into `out`, or in place where `out` is too short; `None` when it is not whole.
    fn open(&mut self, wire: &mut [u8], out: &mut [u8]) -> Result<Option<Opened>, Error>;
    /// Seals a beginning of `bytes` into `out`.
    fn seal(&mut self, bytes: &[u8], out: &mut [u8]) -> Result<Sealed, Error>;
    /// What is to be sent on its own account, as far as it fits.
    fn transmit(&mut self, out: &mut [u8]) -> usize;
    /// Forgets what is to be sent on its own account.
    fn forget(&mut self);
    /// Ends our direction.
    fn close(&mut self) -> Result<(), Error>;
    /// Whether the peer ended its direction.
    fn peer_closed(&self) -> bool;
    /// What came with the end of the handshake: opened bytes, and those that were not opened. The rest of it is let go of.
    fn take_arrived(&mut self) -> (Vec<u8>, Vec<u8>);
}

/// A client engine, with the time that tickets of a tunnel do not need.
#[derive(Debug)]
pub(crate) struct ClientEngine {
    client: Box<Client>,
}

impl ClientEngine {
    pub(crate) fn new(client: Client) -> Self {
        Self { client: Box::new(client) }
    }
}

impl Engine for ClientEngine {
    fn open(&mut self, wire: &mut [u8], out: &mut [u8]) -> Result<Option<Opened>, Error> {
        let opened = self.client.open_record(Duration::ZERO, wire, out);
        // Tickets are of no use here: every connection hides a claim of its own in its hello.
        while self.client.poll_event().is_some() {}
        opened
    }

    fn seal(&mut self, bytes: &[u8], out: &mut [u8]) -> Result<Sealed, Error> {
        self.client.seal_into(bytes, out)
    }

    fn transmit(&mut self, out: &mut [u8]) -> usize {
        self.client.transmit_into(out)
    }

    fn forget(&mut self) {
        self.client.poll_transmit(&mut Vec::new());
    }

    fn close(&mut self) -> Result<(), Error> {
        self.client.close()
    }

    fn peer_closed(&self) -> bool {
        self.client.is_closed()
    }

    fn take_arrived(&mut self) -> (Vec<u8>, Vec<u8>) {
        self.client.forget_handshake();
        (std::mem::take(self.client.plaintext()), self.client.take_undecrypted())
    }
}

impl Engine for Responder {
    fn open(&mut self, wire: &mut [u8], out: &mut [u8]) -> Result<Option<Opened>, Error> {
        self.open_record(wire, out)
    }

    fn seal(&mut self, bytes: &[u8], out: &mut [u8]) -> Result<Sealed, Error> {
        self.seal_into(bytes, out)
    }

    fn transmit(&mut self, out: &mut [u8]) -> usize {
        self.transmit_into(out)
    }

    fn forget(&mut self) {
        self.poll_transmit(&mut Vec::new());
    }

    fn close(&mut self) -> Result<(), Error> {
        Self::close(self)
    }

    fn peer_closed(&self) -> bool {
        self.is_closed()
    }

    fn take_arrived(&mut self) -> (Vec<u8>, Vec<u8>) {
        self.forget_handshake();
        (std::mem::take(self.plaintext()), self.take_undecrypted())
    }
}
