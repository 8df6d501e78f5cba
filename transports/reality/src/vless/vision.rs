//! `xtls-rprx-vision`: blocks with padding while the inner handshake lasts, then the inner TLS itself without the outer one.
//!
//! A block is a command, two bytes of content length, two of padding length, content, padding. The first of a direction
//! stands behind the user's id. The last one says how the direction goes on: as plain bytes inside the outer TLS, or,
//! when inner records are TLS 1.3 already, below it. Pure: no socket, no clock, random numbers come in.

mod detector;
mod records;
mod shaper;
pub(crate) mod stream;
#[cfg(test)]
mod tests;

use super::UUID_BYTES;

/// Bytes before content: command and two lengths.
const HEAD_BYTES: usize = 5;
/// Longest block with its user id: a buffer of Xray's.
const MAX_BLOCK_BYTES: usize = 8192;
/// Most content of a block.
const MAX_CONTENT_BYTES: usize = MAX_BLOCK_BYTES - UUID_BYTES - HEAD_BYTES;
/// Content shorter than this is filled up to it and more, while it may be a handshake's.
const LONG_PADDING_BELOW: usize = 900;
/// What is drawn on top of a long padding: fewer bytes than this.
const LONG_PADDING_RANGE: u32 = 500;
/// Any other padding is shorter than this.
const SHORT_PADDING_RANGE: u32 = 256;

/// How a direction goes on behind a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Command {
    /// Another block.
    Continue = 0,
    /// Plain bytes inside the outer TLS.
    End = 1,
    /// Bytes on the carrier itself.
    Direct = 2,
}

/// Why bytes are no blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum VisionError {
    #[error("the first block is not of this user: the peer does not speak xtls-rprx-vision")]
    User,
    #[error("there is no command {0} in xtls-rprx-vision")]
    Command(u8),
}

/// Bytes of padding for content of that length. `long` while it may be a handshake's.
fn padding_bytes(content: usize, long: bool, random: u32) -> usize {
    let padding = if long && content < LONG_PADDING_BELOW {
        (random % LONG_PADDING_RANGE) as usize + LONG_PADDING_BELOW - content
    } else {
        (random % SHORT_PADDING_RANGE) as usize
    };
    padding.min(MAX_CONTENT_BYTES.saturating_sub(content))
}

/// Appends a block; content is at most [`MAX_CONTENT_BYTES`].
fn put_block(
    out: &mut Vec<u8>,
    user: Option<[u8; UUID_BYTES]>,
    command: Command,
    content: &[u8],
    padding: usize,
) {
    let length = |bytes: usize| u16::try_from(bytes).unwrap_or(u16::MAX).to_be_bytes();
    out.reserve(UUID_BYTES + HEAD_BYTES + content.len() + padding);
    out.extend_from_slice(user.as_ref().map_or(&[][..], |user| user));
    out.push(command as u8);
    out.extend_from_slice(&length(content.len()));
    out.extend_from_slice(&length(padding));
    out.extend_from_slice(content);
    // Zeros: the outer TLS hides them.
    out.resize(out.len() + padding, 0);
}

/// Reads the blocks of a direction, however they are cut.
#[derive(Debug)]
pub(crate) struct Unpadder {
    user: [u8; UUID_BYTES],
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// So many bytes of the user's id were read.
    User(usize),
    /// So many bytes of a head were read into it.
    Head([u8; HEAD_BYTES], usize),
    Content(Rest),
    Padding(Rest),
    /// The last block is over.
    Done(Command),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Rest {
    command: Command,
    content: usize,
    padding: usize,
}

impl Unpadder {
    /// For a direction whose first block is of this user.
    pub(crate) const fn new(user: [u8; UUID_BYTES]) -> Self {
        Self { user, state: State::User(0) }
    }

    /// Moves the content of `input` into `out`. What is left of `input` stands behind the last block.
    ///
    /// # Errors
    /// The bytes are no blocks of this user.
    pub(crate) fn take(
        &mut self,
        input: &mut &[u8],
        out: &mut Vec<u8>,
    ) -> Result<Option<Command>, VisionError> {
        loop {
            self.state = match self.state {
                State::Done(command) => return Ok(Some(command)),
                State::User(read) => self.read_user(read, input)?,
                State::Head(head, read) => read_head(head, read, input)?,
                State::Content(rest) => {
                    let part = split(input, rest.content);
                    out.extend_from_slice(part);
                    State::Content(Rest { content: rest.content - part.len(), ..rest })
                }
                State::Padding(rest) => {
                    let part = split(input, rest.padding);
                    State::Padding(Rest { padding: rest.padding - part.len(), ..rest })
                }
            };
            self.state = match self.state {
                State::Content(rest) if rest.content == 0 => State::Padding(rest),
                other => other,
            };
            self.state = match self.state {
                State::Padding(rest) if rest.padding == 0 => match rest.command {
                    Command::Continue => State::Head([0; HEAD_BYTES], 0),
                    last @ (Command::End | Command::Direct) => State::Done(last),
                },
                other => other,
            };
            if input.is_empty() && !matches!(self.state, State::Done(_)) {
                return Ok(None);
            }
        }
    }

    /// Whether a block is read only in part: the direction may not end here.
    pub(super) const fn is_inside(&self) -> bool {
        match self.state {
            State::User(read) | State::Head(_, read) => read > 0,
            State::Content(_) | State::Padding(_) => true,
            State::Done(_) => false,
        }
    }

    fn read_user(&self, read: usize, input: &mut &[u8]) -> Result<State, VisionError> {
        let part = split(input, UUID_BYTES - read);
        // The id came inside TLS from somebody who knows it: nothing is learnt by how long this takes.
        if self.user.get(read..read + part.len()) != Some(part) {
            return Err(VisionError::User);
        }
        let read = read + part.len();
        Ok(if read == UUID_BYTES { State::Head([0; HEAD_BYTES], 0) } else { State::User(read) })
    }
}

fn read_head(mut head: [u8; HEAD_BYTES], read: usize, input: &mut &[u8]) -> Result<State, VisionError> {
    let part = split(input, HEAD_BYTES - read);
    for (slot, byte) in head.iter_mut().skip(read).zip(part) {
        *slot = *byte;
    }
    let read = read + part.len();
    let [command, content @ .., high, low] = head;
    if read < HEAD_BYTES {
        return Ok(State::Head(head, read));
    }
    let command = match command {
        0 => Command::Continue,
        1 => Command::End,
        2 => Command::Direct,
        other => return Err(VisionError::Command(other)),
    };
    let content = u16::from_be_bytes(content).into();
    Ok(State::Content(Rest { command, content, padding: u16::from_be_bytes([high, low]).into() }))
}

/// Takes up to that many bytes off the front.
fn split<'a>(input: &mut &'a [u8], bytes: usize) -> &'a [u8] {
    let (part, rest) = input.split_at(bytes.min(input.len()));
    *input = rest;
    part
}

#[cfg(test)]
mod block_tests {
    use proptest::prelude::*;

    use super::*;

    const USER: [u8; UUID_BYTES] = [7; UUID_BYTES];

    fn blocks() -> impl Strategy<Value = Vec<(Vec<u8>, usize)>> {
        proptest::collection::vec((proptest::collection::vec(any::<u8>(), 0..60), 0_usize..40), 1..5)
    }

    proptest! {
        /// However the bytes are cut, the content is the same and what follows the last block stays behind.
        #[test]
        fn blocks_survive_every_cut(blocks in blocks(), direct: bool, tail in any::<[u8; 9]>()) {
            let last = if direct { Command::Direct } else { Command::End };
            let (mut wire, mut content) = (Vec::new(), Vec::new());
            for (at, (body, padding)) in blocks.iter().enumerate() {
                let command = if at + 1 == blocks.len() { last } else { Command::Continue };
                put_block(&mut wire, (at == 0).then_some(USER), command, body, *padding);
                content.extend_from_slice(body);
            }
            let end = wire.len();
            wire.extend_from_slice(&tail);
            for cut in 0..=wire.len() {
                let mut unpadder = Unpadder::new(USER);
                let (mut first, mut second) = wire.split_at(cut);
                let mut out = Vec::new();
                let early = unpadder.take(&mut first, &mut out).unwrap();
                prop_assert_eq!(early.is_some(), cut >= end);
                prop_assert!(early.is_some() || unpadder.is_inside() || cut == 0 || boundary(&blocks, cut));
                let late = unpadder.take(&mut second, &mut out).unwrap();
                prop_assert_eq!(late, Some(last));
                prop_assert_eq!([first, second].concat(), &tail[..]);
                prop_assert_eq!(&out, &content);
            }
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300), known: bool) {
            let wire = if known { [&USER[..], &bytes].concat() } else { bytes };
            let mut out = Vec::new();
            Unpadder::new(USER).take(&mut wire.as_slice(), &mut out).ok();
            prop_assert!(out.len() <= wire.len());
        }
    }

    fn boundary(blocks: &[(Vec<u8>, usize)], cut: usize) -> bool {
        let mut end = UUID_BYTES;
        cut == end
            || blocks.iter().any(|(body, padding)| {
                end += HEAD_BYTES + body.len() + padding;
                cut == end
            })
    }

    #[test]
    fn padding_is_as_the_rule_says() {
        assert_eq!(padding_bytes(0, true, 0), 900);
        assert_eq!(padding_bytes(100, true, 499), 1299);
        assert_eq!(padding_bytes(100, true, 500), 800);
        assert_eq!(padding_bytes(900, true, 255), 255);
        assert_eq!(padding_bytes(100, false, 256), 0);
        assert_eq!(padding_bytes(MAX_CONTENT_BYTES - 3, false, 200), 3);
        assert_eq!(padding_bytes(MAX_CONTENT_BYTES, true, 200), 0);
    }

    #[test]
    fn strangers_are_refused() {
        let mut out = Vec::new();
        assert_eq!(Unpadder::new(USER).take(&mut &[8][..], &mut out), Err(VisionError::User));
        let mut wire = USER.to_vec();
        wire.extend_from_slice(&[3, 0, 0, 0, 0]);
        assert_eq!(Unpadder::new(USER).take(&mut &*wire, &mut out), Err(VisionError::Command(3)));
    }
}
