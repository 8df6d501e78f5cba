//! How far a TCP connection is, as a box on the way tells it from the flags alone.

use commucat_dissect::ip::TcpFlags;

use super::{Flow, Protocol};
use crate::event::{PerSide, Side};

/// The state of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum TcpState {
    /// UDP: there is no connection.
    Datagrams,
    /// SYN seen.
    SynSent,
    /// SYN and SYN-ACK seen.
    SynAnswered,
    /// The handshake is complete.
    Established,
    /// The beginning was not seen.
    Midstream,
    /// One side sent FIN.
    Closing,
    /// RST, or FIN from both sides.
    Closed,
}

impl TcpState {
    pub(crate) const fn first(protocol: Protocol) -> Self {
        match protocol {
            Protocol::Tcp => Self::Midstream,
            Protocol::Udp => Self::Datagrams,
        }
    }
}

/// Who sent FIN already.
pub(crate) type Closing = PerSide<bool>;

impl Flow {
    /// Moves the state by the flags of one segment.
    pub(crate) const fn follow(&mut self, from: Side, flags: TcpFlags) {
        if flags.rst {
            self.state = TcpState::Closed;
            return;
        }
        if flags.syn {
            let answered = flags.ack && matches!(self.state, TcpState::SynSent);
            self.state = match (flags.ack, self.state) {
                (_, TcpState::SynSent) if answered => TcpState::SynAnswered,
                (false, TcpState::Midstream) => TcpState::SynSent,
                (true, TcpState::Midstream) => TcpState::SynAnswered,
                (_, state) => state,
            };
            return;
        }
        if flags.ack && matches!(self.state, TcpState::SynAnswered) {
            self.state = TcpState::Established;
        }
        if flags.fin {
            *self.closing.get_mut(from) = true;
            self.state =
                if self.closing.client && self.closing.world { TcpState::Closed } else { TcpState::Closing };
        }
    }
}
