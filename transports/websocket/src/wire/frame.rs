//! Frame headers of RFC 6455 §5.2, strictly: no reserved bits, shortest length form, masks exactly where they must
//! be, control frames whole and short.
//!
//! The data path uses this instead of a message library: a stream needs no message in one piece, so payloads go
//! between the caller's buffer and TLS without a buffer or an allocation of their own.

/// Longest frame header: two bytes, eight of length, four of mask.
pub(crate) const MAX_HEADER_BYTES: usize = 14;
/// Longest payload of a control frame, in bytes (RFC 6455 §5.5).
pub(crate) const MAX_CONTROL_BYTES: usize = 125;
/// Longest data frame taken from a peer, in bytes. Ours have at most 64 KiB; others send a message in one frame.
pub(crate) const MAX_FRAME_BYTES: u64 = 1 << 20;
/// Longest message taken from a peer, in bytes, over all its fragments.
pub(crate) const MAX_MESSAGE_BYTES: u64 = 1 << 20;

const FIN: u8 = 0x80;
const RESERVED: u8 = 0x70;
const OPCODE: u8 = 0x0f;
const MASKED: u8 = 0x80;
const LENGTH: u8 = 0x7f;
const LENGTH_16: u8 = 126;
const LENGTH_64: u8 = 127;

/// Which end we are: clients mask what they send, servers do not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Client,
    Server,
}

/// The opcodes of RFC 6455 §11.8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Opcode {
    Continuation,
    Text,
    Binary,
    Close,
    Ping,
    Pong,
}

impl Opcode {
    const fn from_bits(bits: u8) -> Option<Self> {
        Some(match bits {
            0x0 => Self::Continuation,
            0x1 => Self::Text,
            0x2 => Self::Binary,
            0x8 => Self::Close,
            0x9 => Self::Ping,
            0xa => Self::Pong,
            _ => return None,
        })
    }

    const fn bits(self) -> u8 {
        match self {
            Self::Continuation => 0x0,
            Self::Text => 0x1,
            Self::Binary => 0x2,
            Self::Close => 0x8,
            Self::Ping => 0x9,
            Self::Pong => 0xa,
        }
    }

    pub(crate) const fn is_control(self) -> bool {
        matches!(self, Self::Close | Self::Ping | Self::Pong)
    }
}

/// One frame header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) fin: bool,
    pub(crate) opcode: Opcode,
    pub(crate) mask: Option<[u8; 4]>,
    pub(crate) length: u64,
}

/// What [`parse`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Parsed {
    /// The header needs this many bytes in all; call again with them.
    Need(usize),
    /// A whole header.
    Done(Header),
}

/// How a peer broke the framing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FrameError {
    #[error("a frame has reserved bits or an unknown opcode")]
    Reserved,
    #[error("a frame has a mask where none may be, or lacks one")]
    Mask,
    #[error("a frame length is not in its shortest form")]
    LengthForm,
    #[error("a control frame is fragmented or longer than 125 bytes")]
    Control,
    #[error("a fragment without a beginning, or a message inside a message")]
    Fragment,
    #[error("a close frame has a body of one byte or a code that may not be sent")]
    CloseBody,
    #[error("a frame or message is over the size limit")]
    TooBig,
    #[error("a text message where only binary ones are spoken")]
    Text,
}

impl FrameError {
    /// The close code that tells the peer (RFC 6455 §7.4.1).
    pub(crate) const fn close_code(self) -> u16 {
        match self {
            Self::TooBig => 1009,
            Self::Text => 1003,
            Self::Reserved
            | Self::Mask
            | Self::LengthForm
            | Self::Control
            | Self::Fragment
            | Self::CloseBody => 1002,
        }
    }
}

/// Reads a header from `input`, which begins with one. `us` is our own role.
///
/// # Errors
/// As soon as the bytes seen cannot begin a valid header.
pub(crate) fn parse(input: &[u8], us: Role) -> Result<Parsed, FrameError> {
    let &[first, second, ref rest @ ..] = input else { return Ok(Parsed::Need(2)) };
    let opcode =
        Opcode::from_bits(first & OPCODE).filter(|_| first & RESERVED == 0).ok_or(FrameError::Reserved)?;
    let fin = first & FIN != 0;
    let masked = second & MASKED != 0;
    if masked != (us == Role::Server) {
        return Err(FrameError::Mask);
    }
    let short = second & LENGTH;
    if opcode.is_control() && (!fin || usize::from(short) > MAX_CONTROL_BYTES) {
        return Err(FrameError::Control);
    }
    let (extra, rest) = match short {
        LENGTH_16 => (2, rest),
        LENGTH_64 => (8, rest),
        _ => (0, rest),
    };
    let total = 2 + extra + if masked { 4 } else { 0 };
    let (Some(length), Some(mask)) = (rest.get(..extra), rest.get(extra..total - 2)) else {
        return Ok(Parsed::Need(total));
    };
    let length = long_length(short, length)?;
    if length > MAX_FRAME_BYTES {
        return Err(FrameError::TooBig);
    }
    Ok(Parsed::Done(Header { fin, opcode, mask: mask.first_chunk().copied(), length }))
}

fn long_length(short: u8, bytes: &[u8]) -> Result<u64, FrameError> {
    let length = bytes.iter().fold(0u64, |sum, &byte| sum << 8 | u64::from(byte));
    match short {
        LENGTH_16 if length < u64::from(LENGTH_16) => Err(FrameError::LengthForm),
        LENGTH_64 if length <= u64::from(u16::MAX) || length >> 63 != 0 => Err(FrameError::LengthForm),
        LENGTH_16 | LENGTH_64 => Ok(length),
        _ => Ok(u64::from(short)),
    }
}

/// Bytes of the header of a whole frame with that payload.
pub(crate) const fn header_bytes(payload: usize, us: Role) -> usize {
    let length = if payload < LENGTH_16 as usize {
        0
    } else if payload <= u16::MAX as usize {
        2
    } else {
        8
    };
    2 + length + if matches!(us, Role::Client) { 4 } else { 0 }
}

/// Appends one whole frame: header, then payload, masked when a key is given.
pub(crate) fn push(out: &mut Vec<u8>, opcode: Opcode, mask: Option<[u8; 4]>, parts: &[&[u8]]) {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    let masked = if mask.is_some() { MASKED } else { 0 };
    out.push(FIN | opcode.bits());
    match (u8::try_from(length), u16::try_from(length)) {
        (Ok(short), _) if short < LENGTH_16 => out.push(masked | short),
        (_, Ok(medium)) => {
            out.push(masked | LENGTH_16);
            out.extend_from_slice(&medium.to_be_bytes());
        }
        _ => {
            out.push(masked | LENGTH_64);
            out.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    if let Some(key) = mask {
        out.extend_from_slice(&key);
    }
    let start = out.len();
    for part in parts {
        out.extend_from_slice(part);
    }
    if let (Some(key), Some(payload)) = (mask, out.get_mut(start..)) {
        super::mask::apply(key, 0, payload);
    }
}

/// Checks the body of a close frame and gives its code.
///
/// # Errors
/// [`FrameError::CloseBody`] for one byte, or a code that may not be on the wire.
pub(crate) fn close_code(body: &[u8]) -> Result<Option<u16>, FrameError> {
    match body {
        [] => Ok(None),
        &[high, low, ref reason @ ..] => {
            let code = u16::from_be_bytes([high, low]);
            let known = matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999);
            if known && std::str::from_utf8(reason).is_ok() {
                Ok(Some(code))
            } else {
                Err(FrameError::CloseBody)
            }
        }
        _ => Err(FrameError::CloseBody),
    }
}

#[cfg(test)]
mod tests;
