//! Frames on the wire: their head, what writes them, and what reads them from any cut of the bytes. No state but that of
//! one half-read frame.
//!
//! A frame is `kind u8 ‖ stream u32 ‖ length u16 ‖ body`, all big-endian. With the bit [`PADDED`] in the kind the body is
//! `padding u16 ‖ content ‖ padding` zeros. The head's page in `lib.rs` lists the kinds.

use commucat_transport_api::{HostPort, MAX_ADDRESS_BYTES, Target, TargetError};

use crate::error::Violation;

/// A frame and its head, in bytes: as much as one TLS record holds (RFC 8446 §5.1).
pub(crate) const MAX_FRAME_BYTES: usize = 16_384;
/// Kind, stream, length.
pub(crate) const HEAD_BYTES: usize = 1 + 4 + 2;
/// The longest body.
pub(crate) const MAX_BODY_BYTES: usize = MAX_FRAME_BYTES - HEAD_BYTES;
/// The field that says how long the padding is.
pub(crate) const PAD_FIELD_BYTES: usize = 2;
/// Set in the kind of a frame that is padded.
pub(crate) const PADDED: u8 = 0x80;
/// Longest content of a frame that is no data: the kind of a target and its address.
const MAX_CONTROL_BYTES: usize = 1 + MAX_ADDRESS_BYTES;

const OPEN: u8 = 1;
const DATA: u8 = 2;
const WINDOW: u8 = 3;
const END: u8 = 4;
const RESET: u8 = 5;
const PING: u8 = 6;
const PONG: u8 = 7;
const GO_AWAY: u8 = 8;
const PADDING: u8 = 9;

const TARGET_STREAM: u8 = 0;
const TARGET_DATAGRAMS: u8 = 1;

/// Why a stream ends early, as a reset says it. Codes that are not known here mean [`Self::CANCELLED`].
pub(crate) mod reset {
    /// Its owner dropped it.
    pub(crate) const CANCELLED: u8 = 0;
    /// It was never taken up: too many streams, or the session takes no more.
    pub(crate) const REFUSED: u8 = 1;
}

/// Why a session ends, as a go-away says it. Every code but the first ends it at once.
pub(crate) mod go_away {
    /// No new streams; those that are open go on.
    pub(crate) const DRAIN: u8 = 0;
    /// The peer broke the protocol.
    pub(crate) const VIOLATION: u8 = 1;
}

/// A frame that is no data, read whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Frame {
    Open { stream: u32, target: Target },
    Window { stream: u32, credit: u32 },
    End { stream: u32 },
    Reset { stream: u32, code: u8 },
    Ping(u64),
    Pong(u64),
    GoAway(u8),
    Padding,
}

/// What the reader found next.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Piece<'a> {
    /// A data frame begins; its content follows in as many pieces as it takes.
    Head { stream: u32, content: usize },
    /// Content of a data frame.
    Content { stream: u32, bytes: &'a [u8] },
    /// Another frame.
    Frame(Frame),
}

/// Writes a head.
fn put_head(out: &mut Vec<u8>, kind: u8, stream: u32, length: usize) {
    // Every caller keeps to `MAX_BODY_BYTES`, which fits.
    let length = u16::try_from(length).unwrap_or(u16::MAX);
    out.push(kind);
    out.extend_from_slice(&stream.to_be_bytes());
    out.extend_from_slice(&length.to_be_bytes());
}

/// Writes a data frame with that much padding, none when `None`. Content and padding fit one frame.
pub(crate) fn put_data(out: &mut Vec<u8>, stream: u32, content: &[u8], padding: Option<usize>) {
    put_padded(out, DATA, stream, padding, content.len(), |out| out.extend_from_slice(content));
}

/// Writes the frame that opens a stream, when there is a way to say its target.
pub(crate) fn put_open(out: &mut Vec<u8>, stream: u32, target: &OpenTarget, padding: Option<usize>) {
    put_padded(out, OPEN, stream, padding, target.len(), |out| target.put(out));
}

fn put_padded(
    out: &mut Vec<u8>,
    kind: u8,
    stream: u32,
    padding: Option<usize>,
    content: usize,
    put: impl FnOnce(&mut Vec<u8>),
) {
    let Some(padding) = padding else {
        put_head(out, kind, stream, content);
        put(out);
        return;
    };
    let field = u16::try_from(padding).unwrap_or(u16::MAX);
    put_head(out, kind | PADDED, stream, PAD_FIELD_BYTES + content + usize::from(field));
    out.extend_from_slice(&field.to_be_bytes());
    put(out);
    out.resize(out.len() + usize::from(field), 0);
}

/// Grants the peer that many bytes more on a stream.
pub(crate) fn put_window(out: &mut Vec<u8>, stream: u32, credit: u32) {
    put_head(out, WINDOW, stream, 4);
    out.extend_from_slice(&credit.to_be_bytes());
}

/// Half-closes a stream.
pub(crate) fn put_end(out: &mut Vec<u8>, stream: u32) {
    put_head(out, END, stream, 0);
}

/// Ends both directions of a stream at once.
pub(crate) fn put_reset(out: &mut Vec<u8>, stream: u32, code: u8) {
    put_head(out, RESET, stream, 1);
    out.push(code);
}

/// Asks for a sign of life.
pub(crate) fn put_ping(out: &mut Vec<u8>, id: u64) {
    put_head(out, PING, 0, 8);
    out.extend_from_slice(&id.to_be_bytes());
}

/// Answers a ping.
pub(crate) fn put_pong(out: &mut Vec<u8>, id: u64) {
    put_head(out, PONG, 0, 8);
    out.extend_from_slice(&id.to_be_bytes());
}

/// Says that the session ends.
pub(crate) fn put_go_away(out: &mut Vec<u8>, code: u8) {
    put_head(out, GO_AWAY, 0, 1);
    out.push(code);
}

/// Says nothing, in no bytes: a sign of life.
pub(crate) fn put_sign(out: &mut Vec<u8>) {
    put_head(out, PADDING, 0, 0);
}

/// A target that an open frame can say.
#[derive(Clone, Debug)]
pub(crate) enum OpenTarget {
    Stream(HostPort),
    Datagrams,
}

impl OpenTarget {
    /// `None` for a target that no stream of a session can have.
    pub(crate) fn new(target: &Target) -> Option<Self> {
        match target {
            Target::Datagrams => Some(Self::Datagrams),
            Target::Bridge | Target::Stream(_) => target.to_address().map(Self::Stream),
            _ => None,
        }
    }

    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Stream(address) => 1 + address.encoded_len(),
            Self::Datagrams => 1,
        }
    }

    fn put(&self, out: &mut Vec<u8>) {
        match self {
            Self::Stream(address) => {
                out.push(TARGET_STREAM);
                address.encode(out);
            }
            Self::Datagrams => out.push(TARGET_DATAGRAMS),
        }
    }

    fn read(bytes: &[u8]) -> Result<Target, Violation> {
        match bytes.split_first() {
            Some((&TARGET_DATAGRAMS, [])) => Ok(Target::Datagrams),
            Some((&TARGET_STREAM, mut rest)) => {
                let address =
                    HostPort::decode(&mut rest).map_err(|_bad: TargetError| Violation::BadTarget)?;
                if rest.is_empty() { Ok(Target::from_address(address)) } else { Err(Violation::BadTarget) }
            }
            _ => Err(Violation::BadTarget),
        }
    }
}

/// Reads frames from any cut of the bytes. Data passes through without a copy; the rest is gathered first.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    /// Bytes of a head, of a padding field, or of a frame that is no data.
    held: Vec<u8>,
    at: At,
}

#[derive(Clone, Copy, Debug, Default)]
enum At {
    #[default]
    Head,
    PadField(Head),
    Body {
        head: Head,
        content: usize,
        padding: usize,
    },
    Padding(usize),
}

#[derive(Clone, Copy, Debug)]
struct Head {
    kind: u8,
    stream: u32,
    length: usize,
}

impl Reader {
    /// The next piece; `None` when more bytes are needed. What was understood is taken from the front of `input`.
    pub(crate) fn next<'a>(&mut self, input: &mut &'a [u8]) -> Result<Option<Piece<'a>>, Violation> {
        loop {
            match self.at {
                At::Head => {
                    let Some(head) = self.gather::<HEAD_BYTES>(input) else { return Ok(None) };
                    if let Some(piece) = self.begin(Head::read(head)?)? {
                        return Ok(Some(piece));
                    }
                }
                At::PadField(head) => {
                    let Some(field) = self.gather::<PAD_FIELD_BYTES>(input) else { return Ok(None) };
                    let padding = usize::from(u16::from_be_bytes(field));
                    let content = (head.length - PAD_FIELD_BYTES).checked_sub(padding);
                    let content = content.ok_or(Violation::BadLength)?;
                    if let Some(piece) = self.begin_body(head, content, padding)? {
                        return Ok(Some(piece));
                    }
                }
                At::Body { head, content, padding } if head.kind == DATA => {
                    if content == 0 {
                        self.at = At::Padding(padding);
                        continue;
                    }
                    let Some(bytes) = take(input, content) else { return Ok(None) };
                    self.at = At::Body { head, content: content - bytes.len(), padding };
                    return Ok(Some(Piece::Content { stream: head.stream, bytes }));
                }
                At::Body { head, content, padding } => {
                    if content > self.held.len() {
                        let Some(bytes) = take(input, content - self.held.len()) else { return Ok(None) };
                        self.held.extend_from_slice(bytes);
                        continue;
                    }
                    let frame = head.frame(&self.held)?;
                    self.held.clear();
                    self.at = At::Padding(padding);
                    return Ok(Some(Piece::Frame(frame)));
                }
                At::Padding(0) => self.at = At::Head,
                At::Padding(left) => {
                    let Some(bytes) = take(input, left) else { return Ok(None) };
                    self.at = At::Padding(left - bytes.len());
                }
            }
        }
    }

    fn begin<'a>(&mut self, head: Head) -> Result<Option<Piece<'a>>, Violation> {
        if head.kind & PADDED == 0 {
            let (content, padding) = if head.kind == PADDING { (0, head.length) } else { (head.length, 0) };
            return self.begin_body(head, content, padding);
        }
        self.at = At::PadField(Head { kind: head.kind & !PADDED, ..head });
        Ok(None)
    }

    fn begin_body<'a>(
        &mut self,
        head: Head,
        content: usize,
        padding: usize,
    ) -> Result<Option<Piece<'a>>, Violation> {
        self.at = At::Body { head, content, padding };
        if head.kind == DATA {
            return Ok(Some(Piece::Head { stream: head.stream, content }));
        }
        if content > MAX_CONTROL_BYTES { Err(Violation::BadLength) } else { Ok(None) }
    }

    /// Exactly that many bytes, over as many calls as it takes.
    fn gather<const N: usize>(&mut self, input: &mut &[u8]) -> Option<[u8; N]> {
        if self.held.is_empty()
            && let Some((whole, rest)) = input.split_first_chunk::<N>()
        {
            *input = rest;
            return Some(*whole);
        }
        let bytes = take(input, N.saturating_sub(self.held.len()))?;
        self.held.extend_from_slice(bytes);
        let whole = self.held.first_chunk::<N>().copied()?;
        self.held.clear();
        Some(whole)
    }
}

impl Head {
    fn read(bytes: [u8; HEAD_BYTES]) -> Result<Self, Violation> {
        let [kind, a, b, c, d, e, f] = bytes;
        let head = Self {
            kind,
            stream: u32::from_be_bytes([a, b, c, d]),
            length: usize::from(u16::from_be_bytes([e, f])),
        };
        let plain = kind & !PADDED;
        if !(OPEN..=PADDING).contains(&plain) {
            return Err(Violation::UnknownFrame(plain));
        }
        if (plain >= PING) != (head.stream == 0) {
            return Err(Violation::BadStream);
        }
        let least = if kind == plain { 0 } else { PAD_FIELD_BYTES };
        if !(least..=MAX_BODY_BYTES).contains(&head.length) {
            return Err(Violation::BadLength);
        }
        Ok(head)
    }

    fn frame(self, content: &[u8]) -> Result<Frame, Violation> {
        let stream = self.stream;
        let byte = || <[u8; 1]>::try_from(content).map(|[byte]| byte).map_err(bad_length);
        let number = || <[u8; 8]>::try_from(content).map(u64::from_be_bytes).map_err(bad_length);
        Ok(match self.kind {
            OPEN => Frame::Open { stream, target: OpenTarget::read(content)? },
            WINDOW => {
                let credit = <[u8; 4]>::try_from(content).map(u32::from_be_bytes).map_err(bad_length)?;
                Frame::Window { stream, credit }
            }
            END if content.is_empty() => Frame::End { stream },
            END => return Err(Violation::BadLength),
            RESET => Frame::Reset { stream, code: byte()? },
            PING => Frame::Ping(number()?),
            PONG => Frame::Pong(number()?),
            GO_AWAY => Frame::GoAway(byte()?),
            // A padded frame of padding may hold content too: it means nothing.
            PADDING => Frame::Padding,
            other => return Err(Violation::UnknownFrame(other)),
        })
    }
}

const fn bad_length(_other: std::array::TryFromSliceError) -> Violation {
    Violation::BadLength
}

/// Up to `most` bytes from the front of `input`; `None` when it is empty.
fn take<'a>(input: &mut &'a [u8], most: usize) -> Option<&'a [u8]> {
    if input.is_empty() {
        return None;
    }
    let (taken, rest) = input.split_at(most.min(input.len()));
    *input = rest;
    Some(taken)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A frame that is no data, or the content of one that is.
    type Found = (Option<Frame>, Vec<u8>);

    /// Frames with their contents whole, whatever the cut was.
    fn read_all(bytes: &[u8], cut: usize) -> Result<Vec<Found>, Violation> {
        let mut reader = Reader::default();
        let mut found: Vec<Found> = Vec::new();
        for mut part in bytes.chunks(cut.max(1)) {
            while let Some(piece) = reader.next(&mut part)? {
                match piece {
                    Piece::Head { .. } => found.push((None, Vec::new())),
                    Piece::Content { bytes, .. } => found.last_mut().unwrap().1.extend_from_slice(bytes),
                    Piece::Frame(frame) => found.push((Some(frame), Vec::new())),
                }
            }
        }
        Ok(found)
    }

    #[test]
    fn each_frame_round_trips_at_every_cut() {
        let target = Target::Stream("example.org:443".parse().unwrap());
        let mut bytes = Vec::new();
        put_open(&mut bytes, 1, &OpenTarget::new(&target).unwrap(), Some(900));
        put_open(&mut bytes, 3, &OpenTarget::new(&Target::Datagrams).unwrap(), None);
        put_data(&mut bytes, 1, b"hello", Some(0));
        put_data(&mut bytes, 1, &[7; MAX_BODY_BYTES], None);
        put_window(&mut bytes, 1, 70_000);
        put_end(&mut bytes, 1);
        put_reset(&mut bytes, 3, reset::REFUSED);
        put_ping(&mut bytes, 5);
        put_pong(&mut bytes, 6);
        put_sign(&mut bytes);
        put_go_away(&mut bytes, go_away::DRAIN);
        let expected = vec![
            (Some(Frame::Open { stream: 1, target }), vec![]),
            (Some(Frame::Open { stream: 3, target: Target::Datagrams }), vec![]),
            (None, b"hello".to_vec()),
            (None, vec![7; MAX_BODY_BYTES]),
            (Some(Frame::Window { stream: 1, credit: 70_000 }), vec![]),
            (Some(Frame::End { stream: 1 }), vec![]),
            (Some(Frame::Reset { stream: 3, code: reset::REFUSED }), vec![]),
            (Some(Frame::Ping(5)), vec![]),
            (Some(Frame::Pong(6)), vec![]),
            (Some(Frame::Padding), vec![]),
            (Some(Frame::GoAway(go_away::DRAIN)), vec![]),
        ];
        for cut in [1, 2, 3, 7, 8, 9, 100, 16_383, 16_384, bytes.len()] {
            assert_eq!(read_all(&bytes, cut).unwrap(), expected, "cut {cut}");
        }
    }

    #[test]
    fn the_wire_is_as_written_down() {
        let mut bytes = Vec::new();
        put_open(
            &mut bytes,
            1,
            &OpenTarget::new(&Target::Stream("192.0.2.1:80".parse().unwrap())).unwrap(),
            Some(1),
        );
        put_data(&mut bytes, 1, b"hi", None);
        let expected = [
            &[0x81, 0, 0, 0, 1, 0, 11, 0, 1, 0, 1, 192, 0, 2, 1, 0, 80, 0][..],
            &[2, 0, 0, 0, 1, 0, 2, b'h', b'i'],
        ];
        assert_eq!(bytes, expected.concat());
    }

    #[test]
    fn what_breaks_the_format_is_named() {
        let cases: [(&[u8], Violation); 8] = [
            (&[0, 0, 0, 0, 1, 0, 0], Violation::UnknownFrame(0)),
            (&[10, 0, 0, 0, 1, 0, 0], Violation::UnknownFrame(10)),
            (&[DATA, 0, 0, 0, 0, 0, 0], Violation::BadStream),
            (&[PING, 0, 0, 0, 1, 0, 8], Violation::BadStream),
            (&[DATA, 0, 0, 0, 1, 0xff, 0xff], Violation::BadLength),
            (&[DATA | PADDED, 0, 0, 0, 1, 0, 1], Violation::BadLength),
            (&[DATA | PADDED, 0, 0, 0, 1, 0, 4, 0, 3], Violation::BadLength),
            (&[OPEN, 0, 0, 0, 1, 0, 1, 9], Violation::BadTarget),
        ];
        for (bytes, violation) in cases {
            assert_eq!(read_all(bytes, 3), Err(violation), "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_read_the_same_at_any_cut(bytes in prop::collection::vec(0u8..12, 0..400), cut in 1usize..40) {
            prop_assert_eq!(read_all(&bytes, bytes.len()), read_all(&bytes, cut));
        }
    }
}
