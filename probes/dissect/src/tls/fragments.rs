//! Finds the ClientHello at the beginning of a TCP stream: in one record, or spread over several.

use super::{
    CLIENT_HELLO,
    hello::{ClientHello, HANDSHAKE_HEADER_BYTES},
    record::{ContentType, HEADER_BYTES, records},
};

/// Length of the longest ClientHello message read, with its header.
pub const MAX_HELLO_BYTES: usize = 1 << 16;

/// [`MAX_RECORD_BYTES`](super::MAX_RECORD_BYTES) as it stands in a header.
const MAX_LENGTH_FIELD: u16 = 0x4800;

/// How a censor collects a hello.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Defragment {
    /// It reads one record.
    None,
    /// It joins the fragments of handshake records.
    Records,
}

/// What a stream prefix holds.
#[derive(Clone, Debug)]
pub enum Hello {
    /// It cannot become a ClientHello.
    NotTls,
    /// It may become one when more bytes come.
    Incomplete,
    /// It begins like one that is spread over several records, and [`Defragment::None`] does not join them. More bytes
    /// change nothing.
    Fragmented,
    /// Here it is.
    Complete(Box<ClientHello>),
}

impl Hello {
    /// The hello when it is complete.
    pub fn complete(self) -> Option<Box<ClientHello>> {
        match self {
            Self::Complete(hello) => Some(hello),
            Self::NotTls | Self::Incomplete | Self::Fragmented => None,
        }
    }
}

/// Reads the ClientHello at the beginning of a stream. What follows it is ignored. Anything but TLS is refused at the
/// first byte that cannot be TLS.
pub fn client_hello(stream: &[u8], defragment: Defragment) -> Hello {
    if !may_be_hello(stream) {
        return Hello::NotTls;
    }
    let mut records = records(stream);
    let Some(first) = records.next() else { return Hello::Incomplete };
    match message_len(first.fragment) {
        Some(length) if length > MAX_HELLO_BYTES => Hello::NotTls,
        Some(length) if length <= first.length => parse(first.fragment.get(..length)),
        None if first.length >= HANDSHAKE_HEADER_BYTES => Hello::Incomplete,
        Some(_) | None if defragment == Defragment::None => Hello::Fragmented,
        Some(_) | None => join(stream),
    }
}

/// What can be read of a ClientHello whose end may be missing: the first segment of a stream, seen by a censor that
/// joins nothing. [`ClientHello::is_whole`] tells whether all of it was there.
pub fn client_hello_prefix(segment: &[u8]) -> Option<ClientHello> {
    if !may_be_hello(segment) {
        return None;
    }
    ClientHello::parse_prefix(records(segment).next()?.fragment)
}

/// Joins the fragments of the handshake records as long as the message goes on.
fn join(stream: &[u8]) -> Hello {
    let mut message = Vec::new();
    let mut records = records(stream);
    for record in records.by_ref() {
        if record.content_type != ContentType::Handshake || record.length == 0 {
            return Hello::NotTls;
        }
        message.extend_from_slice(record.fragment);
        match message_len(&message) {
            Some(length) if length > MAX_HELLO_BYTES => return Hello::NotTls,
            Some(length) if message.len() >= length => return parse(message.get(..length)),
            Some(_) | None => {}
        }
    }
    // A header that is cut off may go on; anything else that stopped the reading is no TLS.
    if records.rest().len() < HEADER_BYTES { Hello::Incomplete } else { Hello::NotTls }
}

fn parse(message: Option<&[u8]>) -> Hello {
    let Some(message) = message else { return Hello::Incomplete };
    ClientHello::parse(message).map_or(Hello::NotTls, |hello| Hello::Complete(Box::new(hello)))
}

/// Length of the handshake message with its header, once the header is there.
fn message_len(message: &[u8]) -> Option<usize> {
    let [_, high, middle, low, ..] = *message else { return None };
    let body = u32::from_be_bytes([0, high, middle, low]);
    Some(usize::try_from(body).unwrap_or(usize::MAX).saturating_add(HANDSHAKE_HEADER_BYTES))
}

/// The quick look: a handshake record of SSL 3.0 to TLS 1.3 with a fragment, whose first byte says ClientHello.
const fn may_be_hello(stream: &[u8]) -> bool {
    match *stream {
        [] | [22] | [22, 3] | [22, 3, 0..=4] | [22, 3, 0..=4, _] => true,
        [22, 3, 0..=4, high, low] | [22, 3, 0..=4, high, low, CLIENT_HELLO, ..] => {
            let length = u16::from_be_bytes([high, low]);
            length > 0 && length <= MAX_LENGTH_FIELD
        }
        _ => false,
    }
}
