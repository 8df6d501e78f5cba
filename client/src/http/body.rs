//! Where a body ends. Bodies are passed on byte by byte as they came; only their end has to be found.

/// Longest chunk-size line with its extensions, in bytes.
const MAX_CHUNK_LINE_BYTES: u32 = 4 * 1024;
/// Longest trailer section, in bytes.
const MAX_TRAILER_BYTES: u32 = 16 * 1024;
/// Most digits of a chunk size: more do not fit into 64 bits.
const MAX_SIZE_DIGITS: u8 = 16;

/// How a body is delimited (RFC 9112 §6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// There is none.
    Empty,
    /// This many bytes.
    Length(u64),
    /// Chunks.
    Chunked,
    /// All bytes up to the end of the stream.
    UntilClose,
}

/// A chunked body that breaks the grammar or a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the chunked body is malformed")]
pub(crate) struct BodyError;

/// Follows one body.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Body(State);

#[derive(Clone, Copy, Debug)]
enum State {
    Left(u64),
    UntilClose,
    /// In a chunk-size line.
    Size {
        value: u64,
        digits: u8,
        line: u32,
        extension: bool,
    },
    /// After the CR of a chunk-size line.
    SizeLf {
        value: u64,
    },
    Data {
        left: u64,
    },
    DataCr,
    DataLf,
    /// In the trailer section; `line` counts the bytes of the current line.
    Trailer {
        line: u32,
        total: u32,
    },
    TrailerLf {
        line: u32,
        total: u32,
    },
    Done,
}

impl Body {
    pub(crate) const fn new(framing: Framing) -> Self {
        Self(match framing {
            Framing::Empty | Framing::Length(0) => State::Done,
            Framing::Length(length) => State::Left(length),
            Framing::Chunked => State::Size { value: 0, digits: 0, line: 0, extension: false },
            Framing::UntilClose => State::UntilClose,
        })
    }

    /// Whether all of it went by.
    pub(crate) const fn is_done(&self) -> bool {
        matches!(self.0, State::Done)
    }

    /// Whether an end of stream now is the end of the body.
    pub(crate) const fn may_end_here(&self) -> bool {
        matches!(self.0, State::Done | State::UntilClose)
    }

    /// How many bytes from the front of `input` belong to the body.
    pub(crate) fn advance(&mut self, input: &[u8]) -> Result<usize, BodyError> {
        let mut used = 0;
        while let Some(rest) = input.get(used..).filter(|rest| !rest.is_empty()) {
            let available = rest.len() as u64;
            match &mut self.0 {
                State::Done => break,
                State::UntilClose => return Ok(input.len()),
                State::Left(left) | State::Data { left } => {
                    let taken = available.min(*left);
                    *left -= taken;
                    used += usize::try_from(taken).unwrap_or(rest.len());
                    if *left == 0 {
                        self.0 = if matches!(self.0, State::Left(_)) { State::Done } else { State::DataCr };
                    }
                }
                state => {
                    let Some(byte) = rest.first() else { break };
                    *state = state.after(*byte)?;
                    used += 1;
                }
            }
        }
        Ok(used)
    }
}

impl State {
    /// One byte of a chunk's frame.
    fn after(self, byte: u8) -> Result<Self, BodyError> {
        match (self, byte) {
            (Self::Size { value, digits: 1.., .. }, b'\r') => Ok(Self::SizeLf { value }),
            (Self::Size { value, digits, line, extension }, byte) => {
                size_byte(value, digits, line, extension, byte)
            }
            (Self::SizeLf { value: 0 }, b'\n') => Ok(Self::Trailer { line: 0, total: 0 }),
            (Self::SizeLf { value }, b'\n') => Ok(Self::Data { left: value }),
            (Self::DataCr, b'\r') => Ok(Self::DataLf),
            (Self::DataLf, b'\n') => Ok(Self::Size { value: 0, digits: 0, line: 0, extension: false }),
            (Self::Trailer { line, total }, b'\r') => Ok(Self::TrailerLf { line, total }),
            (Self::Trailer { line, total }, byte) if byte != b'\n' && total < MAX_TRAILER_BYTES => {
                Ok(Self::Trailer { line: line + 1, total: total + 1 })
            }
            (Self::TrailerLf { line: 0, .. }, b'\n') => Ok(Self::Done),
            (Self::TrailerLf { total, .. }, b'\n') => Ok(Self::Trailer { line: 0, total }),
            _ => Err(BodyError),
        }
    }
}

fn size_byte(value: u64, digits: u8, line: u32, extension: bool, byte: u8) -> Result<State, BodyError> {
    if line >= MAX_CHUNK_LINE_BYTES || byte == b'\n' {
        return Err(BodyError);
    }
    let line = line + 1;
    let digit = char::from(byte).to_digit(16).filter(|_| !extension);
    match digit {
        Some(digit) if digits < MAX_SIZE_DIGITS => {
            Ok(State::Size { value: value << 4 | u64::from(digit), digits: digits + 1, line, extension })
        }
        None if digits > 0 && (extension || matches!(byte, b';' | b' ' | b'\t')) => {
            Ok(State::Size { value, digits, line, extension: true })
        }
        _ => Err(BodyError),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const CHUNKED: &[u8] = b"5;a=\"b\"\r\nhello\r\n00A \r\n0123456789\r\n0\r\nX: y\r\n\r\nNEXT";

    #[test]
    fn the_end_is_found_however_the_bytes_come() {
        for piece in 1..CHUNKED.len() {
            let mut body = Body::new(Framing::Chunked);
            let mut taken = 0;
            for bytes in CHUNKED.chunks(piece) {
                let used = body.advance(bytes).unwrap();
                taken += used;
                if used < bytes.len() {
                    break;
                }
            }
            assert!(body.is_done());
            assert_eq!(&CHUNKED[taken..], b"NEXT");
        }
        let mut body = Body::new(Framing::Length(3));
        assert_eq!(body.advance(b"ab"), Ok(2));
        assert!(!body.is_done() && !body.may_end_here());
        assert_eq!(body.advance(b"cd"), Ok(1));
        assert!(body.is_done());
        let mut body = Body::new(Framing::UntilClose);
        assert_eq!(body.advance(b"abc"), Ok(3));
        assert!(!body.is_done() && body.may_end_here());
    }

    #[test]
    fn broken_chunks_are_errors() {
        for bad in [
            &b"\r\n"[..],
            b"g\r\n",
            b"5\nhello",
            b"5\r\nhelloX",
            b"1\r\na\n",
            b"0\r\n\n",
            b"11111111111111111\r\n",
            b";a\r\n",
        ] {
            assert_eq!(Body::new(Framing::Chunked).advance(bad), Err(BodyError), "{bad:?}");
        }
        let mut long = b"5;".to_vec();
        long.extend([b'a'; 5000]);
        assert_eq!(Body::new(Framing::Chunked).advance(&long), Err(BodyError));
        let mut long = b"0\r\n".to_vec();
        long.extend([b'a'; 20_000]);
        assert_eq!(Body::new(Framing::Chunked).advance(&long), Err(BodyError));
    }

    proptest! {
        #[test]
        fn any_cut_gives_the_same_end(bytes in proptest::collection::vec(any::<u8>(), 0..300), cut in 0..300_usize) {
            let mut input = b"3\r\nabc\r\n".to_vec();
            input.extend(&bytes);
            let mut whole = Body::new(Framing::Chunked);
            let whole_result = whole.advance(&input);
            let (first, second) = input.split_at(cut.min(input.len()));
            let mut parts = Body::new(Framing::Chunked);
            let parts_result = parts.advance(first).and_then(|used| {
                if used < first.len() { Ok(used) } else { parts.advance(second).map(|more| used + more) }
            });
            prop_assert_eq!(whole_result, parts_result);
        }
    }
}
