//! The shapes of OpenVPN packets: an opcode in the first byte, and session resets of known lengths with or without the
//! three ways to wrap the control channel. `--tls-auth` and `--tls-crypt` hide contents, not the shape.

use crate::bytes::Reader;

const SESSION_BYTES: usize = 8;
/// Packet id and time that wrapped packets carry.
const REPLAY_BYTES: usize = 8;
const CRYPT_TAG_BYTES: usize = 32;
/// HMAC lengths of `--auth`: MD5, SHA1, SHA224, SHA256, SHA384, SHA512.
const DIGESTS_BYTES: [usize; 6] = [16, 20, 28, 32, 48, 64];
/// What a reset of a client holds after its wrapping: no acknowledgments, packet id 0.
const CLIENT_BODY: [u8; 5] = [0; 5];
/// What a reset of a server holds after its wrapping: one acknowledgment with the client's session, packet id 0.
const SERVER_BODY_BYTES: usize = 1 + 4 + SESSION_BYTES + 4;
/// Packet ids that a session may have used up by the time of its reset: retransmissions count.
const MAX_FIRST_PACKET_ID: u32 = 64;
/// Where 2.6 begins to count when it negotiates early.
const EARLY_PACKET_ID: u32 = 0x0f00_0000;

/// The opcode of a packet: the upper five bits of its first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opcode {
    /// 7, or 10 with a wrapped client key: a client opens a session.
    ClientReset,
    /// 8: a server answers.
    ServerReset,
    /// 3: new keys for a session.
    SoftReset,
    /// 4, or 11 with a wrapped client key: TLS inside.
    Control,
    /// 5.
    Acknowledgment,
    /// 6 and 9.
    Data,
}

/// How the control channel is wrapped, as far as the length tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrapping {
    /// Not at all.
    Plain,
    /// `--tls-auth` with an HMAC of that many bytes.
    Auth(usize),
    /// `--tls-crypt`.
    Crypt,
    /// `--tls-crypt-v2`: the client's key comes along.
    CryptV2,
}

/// A packet that opens a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reset {
    /// Whether it is the server's answer.
    pub server: bool,
    /// The sender's session id.
    pub session: [u8; SESSION_BYTES],
    /// The session id answered, where it is in the clear.
    pub answered: Option<[u8; SESSION_BYTES]>,
    /// How it is wrapped.
    pub wrapping: Wrapping,
}

impl Reset {
    /// Whether this is a server's answer that fits the client's packet: same wrapping, and the session id where it can
    /// be seen.
    pub fn answers(&self, client: &Self) -> bool {
        let wrapping = self.wrapping == client.wrapping
            || (self.wrapping == Wrapping::Crypt && client.wrapping == Wrapping::CryptV2);
        let session = self.answered.is_none_or(|answered| answered == client.session);
        self.server && !client.server && wrapping && session
    }
}

/// The opcode of a UDP payload, or of one packet of a TCP stream. One byte says little: combine it with [`reset`] or
/// with a run of packets.
pub const fn opcode(packet: &[u8]) -> Option<Opcode> {
    let [first, ..] = *packet else { return None };
    match first >> 3 {
        7 | 10 => Some(Opcode::ClientReset),
        8 => Some(Opcode::ServerReset),
        3 => Some(Opcode::SoftReset),
        4 | 11 => Some(Opcode::Control),
        5 => Some(Opcode::Acknowledgment),
        6 | 9 => Some(Opcode::Data),
        _ => None,
    }
}

/// The packets of a TCP stream, each behind its length in two bytes. Ends where one is cut off.
pub fn tcp_packets(stream: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut reader = Reader::new(stream);
    std::iter::from_fn(move || reader.vector16())
}

/// The reset that a packet has the shape of: opcode with key 0, one of the known lengths, and what is in the clear is
/// what a new session holds.
pub fn reset(packet: &[u8]) -> Option<Reset> {
    let mut reader = Reader::new(packet);
    let server = match reader.u8()? {
        0x38 => false,
        0x40 => true,
        0x50 => return crypt_v2(reader),
        _ => return None,
    };
    let session = reader.array()?;
    let body = reader.rest();
    let body_len = if server { SERVER_BODY_BYTES } else { CLIENT_BODY.len() };
    let wrapped = body.len().checked_sub(body_len)?;
    if wrapped == 0 {
        let answered = body_of(body, server)?;
        return Some(Reset { server, session, answered, wrapping: Wrapping::Plain });
    }
    if let Some(digest) = DIGESTS_BYTES.into_iter().find(|digest| digest + REPLAY_BYTES == wrapped) {
        let (head, rest) = body.split_at_checked(wrapped)?;
        let mut replay = Reader::new(head.get(digest..)?);
        if is_first_packet_id(replay.u32()?)
            && let Some(answered) = body_of(rest, server)
        {
            return Some(Reset { server, session, answered, wrapping: Wrapping::Auth(digest) });
        }
    }
    let crypt = wrapped == REPLAY_BYTES + CRYPT_TAG_BYTES && is_first_packet_id(reader.u32()?);
    crypt.then_some(Reset { server, session, answered: None, wrapping: Wrapping::Crypt })
}

/// The session id that an unwrapped body answers; `None` inside when it is a client's. `None` outside when it is no
/// body of a reset.
fn body_of(body: &[u8], server: bool) -> Option<Option<[u8; SESSION_BYTES]>> {
    if !server {
        return (body == CLIENT_BODY).then_some(None);
    }
    let mut reader = Reader::new(body);
    if reader.u8()? != 1 || reader.u32()? != 0 {
        return None;
    }
    let answered = reader.array()?;
    (reader.u32()? == 0).then_some(Some(answered))
}

/// A wrapped client key follows, whose length stands in its last two bytes.
fn crypt_v2(mut reader: Reader<'_>) -> Option<Reset> {
    let session = reader.array()?;
    let first = is_first_packet_id(reader.u32()?);
    let _time = reader.u32()?;
    reader.take(CRYPT_TAG_BYTES + CLIENT_BODY.len())?;
    let key = reader.rest();
    let promised = key.last_chunk::<2>().map(|length| usize::from(u16::from_be_bytes(*length)))?;
    (first && promised == key.len()).then_some(Reset {
        server: false,
        session,
        answered: None,
        wrapping: Wrapping::CryptV2,
    })
}

fn is_first_packet_id(id: u32) -> bool {
    (1..=MAX_FIRST_PACKET_ID).contains(&(id & !EARLY_PACKET_ID))
}
