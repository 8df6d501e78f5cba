//! Streams of the simulated network: opening, closing and resetting them as TCP does. The bytes of one direction are
//! in [`crate::sim::pipe`].

mod packets;

use std::{
    io,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use super::{Backlog, Happening, Packet, Wait, World, routed};
use crate::sim::{
    link::SimTime,
    pipe::{Pipe, Read},
};

/// Connections a listener keeps that nobody accepted; further ones are not answered, so they try again.
const BACKLOG_MAX: usize = 1024;

/// Names a stream of the simulation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::sim) struct StreamId(u64);

/// An end of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::sim) enum Side {
    /// The end that connected.
    Near,
    /// The end that accepted.
    Far,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum EndState {
    /// The handshake runs; nobody holds this end as a stream yet.
    Opening,
    Open,
    /// The application let go of it.
    Dropped,
}

#[derive(Debug)]
struct End {
    address: SocketAddr,
    state: EndState,
    failed: Option<io::ErrorKind>,
    /// Towards this end.
    inbound: Pipe,
}

#[derive(Debug)]
pub(super) struct Stream {
    near: End,
    far: End,
}

#[derive(Debug, Default)]
pub(super) struct Listening {
    backlog: Backlog,
}

impl Side {
    const fn other(self) -> Self {
        match self {
            Self::Near => Self::Far,
            Self::Far => Self::Near,
        }
    }
}

impl Stream {
    const fn end(&self, side: Side) -> &End {
        match side {
            Side::Near => &self.near,
            Side::Far => &self.far,
        }
    }

    const fn end_mut(&mut self, side: Side) -> &mut End {
        match side {
            Side::Near => &mut self.near,
            Side::Far => &mut self.far,
        }
    }
}

impl World {
    pub(in crate::sim) fn listen(&mut self, host: IpAddr, local: SocketAddr) -> io::Result<SocketAddr> {
        let address =
            self.bind_address(host, local, |world, address| world.listening.contains_key(&address))?;
        self.listening.insert(address, Listening::default());
        Ok(address)
    }

    /// Stops listening; connections nobody accepted are reset.
    pub(in crate::sim) fn close_listener(&mut self, now: SimTime, address: SocketAddr) {
        let Some(listening) = self.listening.remove(&address) else { return };
        for id in listening.backlog {
            self.abort(now, id, Side::Far, io::ErrorKind::ConnectionReset);
        }
    }

    /// The next connection of a listener: its stream and who it is.
    pub(in crate::sim) fn accept(&mut self, at: SocketAddr) -> Option<(StreamId, SocketAddr)> {
        let listening = self.listening.get_mut(&at)?;
        while let Some(id) = listening.backlog.pop_front() {
            if let Some(stream) = self.streams.get(&id) {
                return Some((id, stream.near.address));
            }
        }
        None
    }

    /// Starts to connect; [`Self::connected`] tells what came of it.
    pub(in crate::sim) fn connect(
        &mut self,
        now: SimTime,
        host: IpAddr,
        to: SocketAddr,
    ) -> io::Result<StreamId> {
        let to = routed(host, to);
        let taken = |world: &Self, address: SocketAddr| {
            world.streams.values().any(|stream| stream.near.address == address)
                || world.listening.contains_key(&address)
        };
        let from = self.free_port(host, taken)?;
        let id = StreamId(self.next_stream);
        self.next_stream += 1;
        let [inbound, outbound] =
            [(to.ip(), host), (host, to.ip())].map(|(from, to)| self.link(from, to).policy().window_bytes);
        let end = |address, window| End {
            address,
            state: EndState::Opening,
            failed: None,
            inbound: Pipe::new(window),
        };
        self.streams.insert(id, Stream { near: end(from, inbound), far: end(to, outbound) });
        self.send_packet(now, id, Side::Far, Packet::Syn, 0);
        Ok(id)
    }

    /// Whether the stream is open, or why it is not; `None` while that is undecided.
    pub(in crate::sim) fn connected(&self, id: StreamId) -> Option<io::Result<()>> {
        let Some(stream) = self.streams.get(&id) else {
            return Some(Err(io::ErrorKind::ConnectionAborted.into()));
        };
        if let Some(kind) = stream.near.failed {
            return Some(Err(kind.into()));
        }
        (stream.near.state == EndState::Open).then_some(Ok(()))
    }

    /// Takes up to `most` bytes that arrived at this side; `None` when there are none yet, empty at the end.
    pub(in crate::sim) fn read(
        &mut self,
        now: SimTime,
        id: StreamId,
        side: Side,
        most: usize,
    ) -> io::Result<Option<bytes::Bytes>> {
        let end = self.end_mut(id, side)?;
        match end.inbound.read(most) {
            Read::Wait => Ok(None),
            Read::End => Ok(Some(bytes::Bytes::new())),
            Read::Bytes(bytes) => {
                let back = self.delay_towards(id, side.other());
                self.at(now + back, Happening::Credit(id, side, bytes.len()));
                Ok(Some(bytes))
            }
        }
    }

    /// Sends bytes from this side; 0 when the window is full.
    pub(in crate::sim) fn write(
        &mut self,
        now: SimTime,
        id: StreamId,
        side: Side,
        data: &[u8],
    ) -> io::Result<usize> {
        let (from, to) = self.ends(id, side)?;
        let segment_bytes = self.link(from.ip(), to.ip()).policy().segment_bytes();
        let pipe = self.outbound(id, side)?;
        if pipe.is_finished() {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let (taken, numbers) = pipe.write(data, segment_bytes);
        for number in numbers {
            self.send_packet(now, id, side.other(), Packet::Segment(number), 0);
        }
        Ok(taken)
    }

    /// Ends what this side sends.
    pub(in crate::sim) fn shutdown(&mut self, now: SimTime, id: StreamId, side: Side) -> io::Result<()> {
        if let Some(number) = self.outbound(id, side)?.finish() {
            self.send_packet(now, id, side.other(), Packet::Segment(number), 0);
        }
        Ok(())
    }

    /// The application lets go of this side: an orderly end when it has read everything, else a reset.
    pub(in crate::sim) fn drop_end(&mut self, now: SimTime, id: StreamId, side: Side) {
        let Some(stream) = self.streams.get_mut(&id) else { return };
        let end = stream.end_mut(side);
        if end.state == EndState::Opening || end.failed.is_some() {
            end.state = EndState::Dropped;
            return self.forget_if_dropped(id);
        }
        end.state = EndState::Dropped;
        if end.inbound.has_unread() {
            self.send_packet(now, id, side.other(), Packet::Reset(io::ErrorKind::ConnectionReset), 0);
        } else if let Some(number) = stream.end_mut(side.other()).inbound.finish() {
            self.send_packet(now, id, side.other(), Packet::Segment(number), 0);
        }
        self.forget_if_dropped(id);
    }

    /// Resets every stream of a host (or of all), at both ends at once.
    pub(in crate::sim) fn reset_streams(&mut self, host: Option<IpAddr>) {
        let hit = |stream: &Stream| {
            host.is_none_or(|host| stream.near.address.ip() == host || stream.far.address.ip() == host)
        };
        let ids: Vec<_> =
            self.streams.iter().filter(|(_id, stream)| hit(stream)).map(|(id, _)| *id).collect();
        for id in ids {
            self.fail(id, Side::Near, io::ErrorKind::ConnectionReset);
            self.fail(id, Side::Far, io::ErrorKind::ConnectionReset);
        }
    }

    fn ends(&self, id: StreamId, from: Side) -> io::Result<(SocketAddr, SocketAddr)> {
        let stream = self.streams.get(&id).ok_or(io::ErrorKind::NotConnected)?;
        Ok((stream.end(from).address, stream.end(from.other()).address))
    }

    fn end_mut(&mut self, id: StreamId, side: Side) -> io::Result<&mut End> {
        let end = self.streams.get_mut(&id).ok_or(io::ErrorKind::NotConnected)?.end_mut(side);
        end.failed.map_or(Ok(end), |kind| Err(kind.into()))
    }

    /// The direction this side writes to.
    fn outbound(&mut self, id: StreamId, side: Side) -> io::Result<&mut Pipe> {
        self.end_mut(id, side)?;
        let stream = self.streams.get_mut(&id).ok_or(io::ErrorKind::NotConnected)?;
        Ok(&mut stream.end_mut(side.other()).inbound)
    }

    fn delay_towards(&mut self, id: StreamId, side: Side) -> Duration {
        self.ends(id, side.other())
            .map_or(Duration::ZERO, |(from, to)| self.link(from.ip(), to.ip()).policy().delay)
    }

    /// One side is gone for a reason; the other hears of it.
    fn abort(&mut self, now: SimTime, id: StreamId, side: Side, reason: io::ErrorKind) {
        if let Some(stream) = self.streams.get_mut(&id) {
            stream.end_mut(side).state = EndState::Dropped;
            self.send_packet(now, id, side.other(), Packet::Reset(reason), 0);
        }
    }

    /// What a side sees from now on is this error.
    fn fail(&mut self, id: StreamId, side: Side, kind: io::ErrorKind) {
        let Some(stream) = self.streams.get_mut(&id) else { return };
        stream.end_mut(side).failed.get_or_insert(kind);
        self.ready.extend([Wait::Read(id, side), Wait::Write(id, side)]);
        if side == Side::Near {
            self.ready.insert(Wait::Connect(id));
        }
    }

    /// Forgets a stream that no end holds any more, or whose connect was given up before the server heard of it.
    fn forget_if_dropped(&mut self, id: StreamId) {
        let Some(stream) = self.streams.get(&id) else { return };
        let never_opened = stream.far.state == EndState::Opening && stream.near.failed.is_some();
        let far_gone = stream.far.state == EndState::Dropped || never_opened;
        if stream.near.state == EndState::Dropped && far_gone {
            self.streams.remove(&id);
        }
    }
}
