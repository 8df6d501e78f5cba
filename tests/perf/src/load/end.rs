//! Ends of streams: how late they arrive, and what happens to the answer of a half-closed upload.

use std::{
    io::{Read, Write},
    net::{Shutdown, SocketAddr},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};

use super::{
    STEP_LIMIT,
    connect::{Entry, open},
    mode,
    target::Target,
};

/// The rest after opening, so that only the end is under way when the clock starts.
const SETTLE: Duration = Duration::from_millis(20);

/// How one half-closed upload went.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct HalfClose {
    /// From the client's half-close to the target's end of stream; `None` when it never came.
    pub delay: Option<Duration>,
    /// Whether the target's answer still came back.
    pub answered: bool,
}

/// From the target's close to the client's end of stream.
///
/// # Errors
/// When the end does not come within [`STEP_LIMIT`] or the connection breaks.
pub fn target_closes(entry: SocketAddr, target: &Target) -> anyhow::Result<Duration> {
    target.marks().reset();
    let mut stream = open(Entry::Forward(entry))?;
    stream.write_all(&[mode::CLOSE])?;
    let mut byte = [0];
    stream.read_exact(&mut byte).context("waiting for the first byte")?;
    if stream.read(&mut byte).context("waiting for the end of the stream")? != 0 {
        bail!("a byte came instead of the end of the stream");
    }
    let seen = Instant::now();
    let closed = target.marks().closed().context("the stream ended before the target closed it")?;
    Ok(seen.saturating_duration_since(closed))
}

/// Half-closes an upload and waits for the target's answer.
///
/// # Errors
/// When the connection cannot be opened.
pub fn client_half_closes(entry: SocketAddr, target: &Target) -> anyhow::Result<HalfClose> {
    target.marks().reset();
    let mut stream = open(Entry::Forward(entry))?;
    stream.write_all(&[mode::ANSWER_AT_END])?;
    thread::sleep(SETTLE);
    let closed = Instant::now();
    stream.shutdown(Shutdown::Write)?;
    let mut byte = [0];
    let answered = stream.read_exact(&mut byte).is_ok() && byte == [mode::ANSWER_AT_END];
    while target.marks().ended().is_none() && closed.elapsed() < STEP_LIMIT {
        thread::sleep(Duration::from_millis(1));
    }
    let delay = target.marks().ended().map(|ended| ended.saturating_duration_since(closed));
    Ok(HalfClose { delay, answered })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_target_itself_ends_streams_rightly() {
        let target = Target::start().unwrap();
        target_closes(target.address(), &target).unwrap();
        let half = client_half_closes(target.address(), &target).unwrap();
        assert!(half.answered);
        assert!(half.delay.is_some());
    }
}
