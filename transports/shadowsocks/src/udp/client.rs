//! The dialling end of a datagram channel.

use std::{
    io,
    net::SocketAddr,
    num::NonZeroUsize,
    sync::Arc,
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use aws_lc_rs::aead::LessSafeKey;
use chacha20poly1305::XChaCha20Poly1305;
use commucat_transport_api::{DatagramChannel, HostPort, Net, UdpPort};
use tokio::io::ReadBuf;

use super::{
    MAX_DATAGRAM_BYTES, MAX_UDP_PAYLOAD_BYTES,
    opener::{self, AesPacket, PacketId},
    padding,
    sealer::{PacketSealer, x_chacha},
    window::Window,
};
use crate::{
    buffer::Lent,
    cipher::BlockCipher,
    credentials::ClientKeys,
    error::CryptoError,
    method::Edition,
    wire::{self, WireError},
};

/// A server session that was heard within this time is not replaced by a second new one (SIP022 §3.2.4).
const SESSION_HOLD: Duration = Duration::from_secs(60);

/// Datagrams through a Shadowsocks server.
#[derive(Debug)]
pub(crate) struct ClientDatagrams {
    port: Box<dyn UdpPort>,
    server: SocketAddr,
    keys: Arc<ClientKeys>,
    net: Arc<dyn Net>,
    session: [u8; 8],
    sealer: PacketSealer,
    opener: Opener,
    sessions: ServerSessions,
    scratch: Vec<u8>,
}

enum Opener {
    Aes(Box<BlockCipher>),
    XChaCha(Box<XChaCha20Poly1305>),
    Legacy,
}

impl std::fmt::Debug for Opener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Opener")
    }
}

/// The sessions under which the server answers: it may have been restarted, and old packets may still be on the way.
#[derive(Debug, Default)]
struct ServerSessions {
    current: Option<ServerSession>,
    previous: Option<ServerSession>,
}

#[derive(Debug)]
struct ServerSession {
    id: [u8; 8],
    body: Option<LessSafeKey>,
    window: Window,
    last: Instant,
}

/// Why a packet is dropped.
#[derive(Debug, thiserror::Error)]
enum Dropped {
    #[error("it does not verify")]
    Crypto(#[from] CryptoError),
    #[error("its header cannot be read")]
    Wire(#[from] WireError),
    #[error("it came before, is too old, or belongs to another session")]
    Replayed,
}

impl ClientDatagrams {
    pub(crate) fn new(
        port: Box<dyn UdpPort>,
        server: SocketAddr,
        keys: Arc<ClientKeys>,
        net: Arc<dyn Net>,
    ) -> io::Result<Self> {
        let mut session = [0; 8];
        net.fill_random(&mut session)?;
        let method = keys.method;
        let sealer = PacketSealer::client(&keys, session).map_err(io::Error::other)?;
        let opener = match (method.edition(), method.has_identity_headers()) {
            (Edition::V2017, _) => Opener::Legacy,
            (Edition::V2022, true) => {
                Opener::Aes(Box::new(BlockCipher::new(method, &keys.key).map_err(io::Error::other)?))
            }
            (Edition::V2022, false) => {
                Opener::XChaCha(Box::new(x_chacha(&keys.key).map_err(io::Error::other)?))
            }
        };
        let sessions = ServerSessions::default();
        Ok(Self { port, server, keys, net, session, sealer, opener, sessions, scratch: Vec::new() })
    }

    /// Opens one packet and copies its payload out.
    fn open(&mut self, packet: &mut [u8], out: &mut ReadBuf<'_>) -> Result<HostPort, Dropped> {
        let (method, now) = (self.keys.method, self.net.now());
        let (id, body) = match &self.opener {
            Opener::Legacy => {
                let body = opener::open_legacy(method, &self.keys.key, packet)?;
                let (address, payload_at) = wire::legacy_packet(body)?;
                copy(body.get(payload_at..), out);
                return Ok(address);
            }
            Opener::Aes(block) => {
                let packet = AesPacket::new(block, packet)?;
                let id = packet.id;
                if !self.sessions.admits(id, now) {
                    return Err(Dropped::Replayed);
                }
                let body = match self.sessions.body(id.session) {
                    Some(known) => packet.open(known)?,
                    None => packet.open(&opener::session_key(method, &self.keys.key, id.session)?)?,
                };
                (id, body)
            }
            Opener::XChaCha(cipher) => opener::open_x_chacha(cipher, packet)?,
        };
        let head = wire::decode_server_packet(body)?;
        if head.client_session != self.session || !wire::is_fresh(head.time, self.net.unix_time().as_secs()) {
            return Err(Dropped::Replayed);
        }
        let keys = &self.keys;
        let accepted = self.sessions.accept(id, now, || match self.opener {
            Opener::Aes(_) => opener::session_key(method, &keys.key, id.session).ok(),
            Opener::XChaCha(_) | Opener::Legacy => None,
        });
        if !accepted {
            return Err(Dropped::Replayed);
        }
        copy(body.get(head.payload_at..), out);
        Ok(head.address)
    }
}

impl DatagramChannel for ClientDatagrams {
    fn poll_recv(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<Option<HostPort>>> {
        let mut lent = Lent::take();
        loop {
            let mut packet = ReadBuf::new(lent.bytes().get_mut(..MAX_UDP_PAYLOAD_BYTES).unwrap_or_default());
            let from = match ready!(self.port.poll_recv_from(cx, &mut packet)) {
                Ok(from) => from,
                // An ICMP error of an earlier send; the port is fine.
                Err(error) if is_transient(&error) => continue,
                Err(error) => return Poll::Ready(Err(error)),
            };
            if from != self.server {
                continue;
            }
            match self.open(packet.filled_mut(), buf) {
                Ok(address) => return Poll::Ready(Ok(Some(address))),
                Err(reason) => tracing::trace!(%reason, "a packet was dropped"),
            }
        }
    }

    fn poll_send(&mut self, cx: &mut Context<'_>, datagram: &[u8], peer: &HostPort) -> Poll<io::Result<()>> {
        if datagram.len() > MAX_DATAGRAM_BYTES.get() {
            return Poll::Ready(Err(io::ErrorKind::InvalidInput.into()));
        }
        let edition = self.keys.method.edition();
        let time = self.net.unix_time().as_secs();
        let padding = padding(peer, datagram.len(), &*self.net)?;
        self.sealer.seal(&*self.net, &mut self.scratch, |out| match edition {
            Edition::V2022 => wire::encode_client_packet(time, padding, peer, datagram, out),
            Edition::V2017 => {
                peer.encode(out);
                out.extend_from_slice(datagram);
            }
        })?;
        match ready!(self.port.poll_send_to(cx, &self.scratch, self.server)) {
            Err(error) if is_transient(&error) => Poll::Ready(Ok(())),
            sent => Poll::Ready(sent),
        }
    }

    fn max_datagram(&self) -> NonZeroUsize {
        MAX_DATAGRAM_BYTES
    }
}

/// An error that an ICMP message about one datagram leaves on a port.
pub(super) fn is_transient(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionReset)
}

/// A datagram longer than the reader's buffer is cut, as the system does it.
pub(super) fn copy(payload: Option<&[u8]>, out: &mut ReadBuf<'_>) {
    let payload = payload.unwrap_or_default();
    out.put_slice(payload.get(..payload.len().min(out.remaining())).unwrap_or_default());
}

impl ServerSessions {
    fn find(&self, id: [u8; 8]) -> Option<&ServerSession> {
        self.current.iter().chain(&self.previous).find(|session| session.id == id)
    }

    fn body(&self, id: [u8; 8]) -> Option<&LessSafeKey> {
        self.find(id)?.body.as_ref()
    }

    /// Whether a packet is worth opening.
    fn admits(&self, id: PacketId, now: Instant) -> bool {
        self.find(id.session).map_or_else(|| self.has_room(now), |session| session.window.admits(id.number))
    }

    /// A second change of session within the hold time would let an attacker push out a session that is alive.
    fn has_room(&self, now: Instant) -> bool {
        self.previous.as_ref().is_none_or(|old| now.saturating_duration_since(old.last) >= SESSION_HOLD)
    }

    /// Notes a packet that verified; false when it came before.
    fn accept(&mut self, id: PacketId, now: Instant, body: impl FnOnce() -> Option<LessSafeKey>) -> bool {
        if let Some(session) =
            self.current.iter_mut().chain(&mut self.previous).find(|session| session.id == id.session)
        {
            session.last = now;
            return session.window.accept(id.number);
        }
        if !self.has_room(now) {
            return false;
        }
        let mut window = Window::default();
        window.accept(id.number);
        let fresh = ServerSession { id: id.session, body: body(), window, last: now };
        self.previous = self.current.replace(fresh);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_may_restart_but_not_every_second() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let id = |session: u8, number| PacketId { session: [session; 8], number };
        let mut sessions = ServerSessions::default();
        let mut accept = |session, number, seconds| {
            let (id, now) = (id(session, number), at(seconds));
            let admitted = sessions.admits(id, now);
            assert_eq!(sessions.accept(id, now, || None), admitted);
            admitted
        };
        assert!(accept(1, 0, 0) && !accept(1, 0, 1) && accept(1, 1, 1));
        assert!(accept(2, 0, 2), "the server was restarted");
        assert!(accept(1, 2, 3), "a late packet of the old session");
        assert!(!accept(3, 0, 4), "both sessions are alive");
        assert!(accept(3, 0, 63));
        assert!(accept(2, 1, 64), "the one before is still known");
        assert!(!accept(1, 3, 65), "the oldest is forgotten");
    }
}
