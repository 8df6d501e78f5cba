//! Frames on their way in. Payload is read into the caller's buffer and unmasked there; only headers and control
//! frames are held.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead as _, ReadBuf};

use crate::{
    carrier::Carrier,
    wire::{
        frame::{
            self, FrameError, Header, MAX_CONTROL_BYTES, MAX_HEADER_BYTES, MAX_MESSAGE_BYTES, Opcode, Parsed,
            Role,
        },
        mask,
    },
};

/// What came.
#[derive(Debug)]
pub(super) enum Event {
    /// Payload was put into the buffer.
    Payload,
    /// A message is whole.
    MessageEnd { empty: bool },
    /// A ping, with the body that its pong must repeat.
    Ping(Control),
    /// A pong, asked for or not.
    Pong,
    /// A close frame.
    Close,
    /// The carrier ended between frames.
    Eof,
}

/// Why nothing more can come.
#[derive(Debug)]
pub(super) enum InboundError {
    Io(io::Error),
    Frame(FrameError),
}

impl From<io::Error> for InboundError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<FrameError> for InboundError {
    fn from(error: FrameError) -> Self {
        Self::Frame(error)
    }
}

/// Up to [`MAX_CONTROL_BYTES`], collected as they come.
#[derive(Debug)]
pub(super) struct Control {
    bytes: [u8; MAX_CONTROL_BYTES],
    have: usize,
}

impl Control {
    const EMPTY: Self = Self { bytes: [0; MAX_CONTROL_BYTES], have: 0 };

    pub(super) fn as_slice(&self) -> &[u8] {
        self.bytes.get(..self.have).unwrap_or_default()
    }
}

#[derive(Debug)]
enum State {
    Header { bytes: [u8; MAX_HEADER_BYTES], have: usize },
    Payload { header: Header, done: u64 },
    Control { header: Header, body: Box<Control> },
}

impl State {
    const START: Self = Self::Header { bytes: [0; MAX_HEADER_BYTES], have: 0 };
}

/// The incoming half.
#[derive(Debug)]
pub(super) struct Inbound {
    us: Role,
    state: State,
    /// Bytes of the message that is open between fragments.
    message: Option<u64>,
}

impl Inbound {
    pub(super) const fn new(us: Role) -> Self {
        Self { us, state: State::START, message: None }
    }

    /// Reads on until there is something to tell. `out` must have room.
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        carrier: &mut Carrier,
        out: &mut ReadBuf<'_>,
    ) -> Poll<Result<Event, InboundError>> {
        loop {
            match &mut self.state {
                State::Header { bytes, have } => {
                    let Some(header) = ready!(poll_header(cx, carrier, self.us, bytes, have))? else {
                        return Poll::Ready(Ok(Event::Eof));
                    };
                    self.state = self.begin(header)?;
                }
                State::Payload { header, done } if *done == header.length => {
                    let fin = header.fin;
                    self.state = State::START;
                    if fin {
                        let empty = self.message.take() == Some(0);
                        return Poll::Ready(Ok(Event::MessageEnd { empty }));
                    }
                }
                State::Payload { header, done } => {
                    let left = usize::try_from(header.length - *done).unwrap_or(usize::MAX);
                    let got = ready!(poll_into(cx, carrier, header, *done, left, out))?;
                    *done += got as u64;
                    return Poll::Ready(Ok(Event::Payload));
                }
                State::Control { header, body } => {
                    let Header { opcode, mask, length, .. } = *header;
                    let length = usize::try_from(length).unwrap_or(MAX_CONTROL_BYTES);
                    let Control { bytes, have } = &mut **body;
                    if !ready!(poll_exact(cx, carrier, bytes.get_mut(..length).unwrap_or_default(), have))? {
                        return Poll::Ready(Err(InboundError::Io(io::ErrorKind::UnexpectedEof.into())));
                    }
                    mask::apply(mask.unwrap_or_default(), 0, bytes);
                    let body = std::mem::replace(&mut **body, Control::EMPTY);
                    self.state = State::START;
                    return Poll::Ready(finish_control(opcode, body).map_err(InboundError::Frame));
                }
            }
        }
    }

    /// Judges a header in the light of what came before it.
    fn begin(&mut self, header: Header) -> Result<State, FrameError> {
        if header.opcode.is_control() {
            return Ok(State::Control { header, body: Box::new(Control::EMPTY) });
        }
        let before = match (header.opcode, self.message) {
            (Opcode::Text, _) => return Err(FrameError::Text),
            (Opcode::Continuation, Some(before)) => before,
            (Opcode::Binary, None) => 0,
            _ => return Err(FrameError::Fragment),
        };
        let message = before + header.length;
        if message > MAX_MESSAGE_BYTES {
            return Err(FrameError::TooBig);
        }
        self.message = Some(message);
        Ok(State::Payload { header, done: 0 })
    }
}

fn finish_control(opcode: Opcode, body: Control) -> Result<Event, FrameError> {
    Ok(match opcode {
        Opcode::Ping => Event::Ping(body),
        Opcode::Close => {
            frame::close_code(body.as_slice())?;
            Event::Close
        }
        _ => Event::Pong,
    })
}

/// `None`: the carrier ended before the first byte of a header.
fn poll_header(
    cx: &mut Context<'_>,
    carrier: &mut Carrier,
    us: Role,
    bytes: &mut [u8; MAX_HEADER_BYTES],
    have: &mut usize,
) -> Poll<Result<Option<Header>, InboundError>> {
    // The shortest header of a client's frame has its mask; asking for it at once saves a read.
    let mut need = if us == Role::Server { 6 } else { 2 };
    loop {
        let Poll::Ready(whole) = poll_exact(cx, carrier, bytes.get_mut(..need).unwrap_or_default(), have)
        else {
            // What is wrong already must not wait for the rest.
            frame::parse(bytes.get(..*have).unwrap_or_default(), us)?;
            return Poll::Pending;
        };
        if !whole? {
            return match have {
                0 => Poll::Ready(Ok(None)),
                _ => Poll::Ready(Err(InboundError::Io(io::ErrorKind::UnexpectedEof.into()))),
            };
        }
        match frame::parse(bytes.get(..*have).unwrap_or_default(), us)? {
            Parsed::Done(header) => return Poll::Ready(Ok(Some(header))),
            Parsed::Need(more) => need = more,
        }
    }
}

/// Fills `target` from `have` on; `false` when the carrier ended first.
fn poll_exact(
    cx: &mut Context<'_>,
    carrier: &mut Carrier,
    target: &mut [u8],
    have: &mut usize,
) -> Poll<io::Result<bool>> {
    while let Some(rest) = target.get_mut(*have..).filter(|rest| !rest.is_empty()) {
        let mut buf = ReadBuf::new(rest);
        ready!(Pin::new(&mut *carrier).poll_read(cx, &mut buf))?;
        match buf.filled().len() {
            0 => return Poll::Ready(Ok(false)),
            got => *have += got,
        }
    }
    Poll::Ready(Ok(true))
}

/// Reads payload into `out` and unmasks it there.
fn poll_into(
    cx: &mut Context<'_>,
    carrier: &mut Carrier,
    header: &Header,
    done: u64,
    left: usize,
    out: &mut ReadBuf<'_>,
) -> Poll<io::Result<usize>> {
    let room = out.remaining().min(left);
    let target = out.initialize_unfilled_to(room);
    let mut buf = ReadBuf::new(target);
    ready!(Pin::new(carrier).poll_read(cx, &mut buf))?;
    let filled = buf.filled_mut();
    if let Some(key) = header.mask {
        mask::apply(key, done, filled);
    }
    let got = filled.len();
    if got == 0 {
        return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
    }
    out.advance(got);
    Poll::Ready(Ok(got))
}
