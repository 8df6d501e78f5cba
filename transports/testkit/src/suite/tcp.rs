//! Exact TCP semantics, as rules about two connected streams: for transports, and as well for relays, simulated and
//! real networks, and whatever else promises to behave like a socket.

use std::{
    fmt, io,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::Duration,
};

use commucat_transport_api::{BoxStream, Net};
use tokio::io::{AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use super::{
    CheckError, Fixture, Outcome,
    pattern::{self, Digest},
    report::ensure,
    services::Service,
    session::Session,
};

/// Bytes that may pile up between two ends of which one does not read.
const UNREAD_BYTES_MAX: u64 = 64 << 20;
/// How long a writer must be held up before it counts as held up.
const HELD_UP: Duration = Duration::from_millis(500);
/// How long to wait for what must come to an end.
const PATIENCE: Duration = Duration::from_secs(60);

/// The two ends of one connection.
#[derive(Debug)]
pub struct StreamPair {
    /// The end that connected.
    pub near: BoxStream,
    /// The end that accepted.
    pub far: BoxStream,
}

/// One rule of TCP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TcpRule {
    /// Bytes arrive in order in both directions at once.
    BothWays,
    /// After one end closes its direction, the other direction still carries bytes; the end of stream stays.
    HalfClose,
    /// A write after the own end of stream is an error, and a second shutdown does not hang.
    WriteAfterEnd,
    /// An end of stream without a byte before it arrives.
    EmptyStream,
    /// A writer whose peer does not read is held up, and nothing is lost when the peer reads at last.
    BackPressure,
    /// A dropped end is an end of stream or an error for a reader, soon.
    DropEndsReader,
    /// A dropped end becomes an error for a writer.
    DropEndsWriter,
}

/// All rules of [`tcp_semantics`].
pub const TCP_SEMANTICS: &[TcpRule] = &[
    TcpRule::BothWays,
    TcpRule::HalfClose,
    TcpRule::WriteAfterEnd,
    TcpRule::EmptyStream,
    TcpRule::BackPressure,
    TcpRule::DropEndsReader,
    TcpRule::DropEndsWriter,
];

impl fmt::Display for TcpRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// Checks one rule on a fresh pair of streams. `clock` tells the time, for what must be waited for.
///
/// # Errors
/// How the pair breaks the rule.
pub async fn tcp_semantics(rule: TcpRule, pair: StreamPair, clock: &dyn Net) -> Result<(), CheckError> {
    let StreamPair { near, far } = pair;
    let deadline = clock.sleep_until(clock.now() + PATIENCE);
    let checking = async {
        match rule {
            TcpRule::BothWays => both_ways(near, far).await,
            TcpRule::HalfClose => half_close(near, far).await,
            TcpRule::WriteAfterEnd => write_after_end(near, far).await,
            TcpRule::EmptyStream => empty_stream(near, far).await,
            TcpRule::BackPressure => back_pressure(near, far, clock).await,
            TcpRule::DropEndsReader => drop_ends_reader(near, far).await,
            TcpRule::DropEndsWriter => drop_ends_writer(near, far).await,
        }
    };
    tokio::select! {
        biased;
        outcome = Box::pin(checking) => outcome.map_err(|error| {
            CheckError::Broken(format!("{rule}: {error}{}", Source(&error)))
        }),
        () = deadline => Err(CheckError::Broken(format!("{rule}: it did not end within {PATIENCE:?}"))),
    }
}

/// Checks every rule on channels of a transport, in both directions.
pub(super) async fn over_a_transport(fixture: &Fixture) -> Result<Outcome, CheckError> {
    let session = Session::start(fixture).await?;
    for rule in TCP_SEMANTICS {
        for turned in [false, true] {
            let (near, far) = pair(&session).await?;
            let pair = if turned { StreamPair { near: far, far: near } } else { StreamPair { near, far } };
            tcp_semantics(*rule, pair, fixture.client_net.as_ref()).await?;
        }
    }
    session.finish().await?;
    Ok(Outcome::Passed)
}

async fn pair(session: &Session<'_>) -> Result<(BoxStream, BoxStream), CheckError> {
    let mut near = session.dial(Service::HandOver).await?;
    // Some transports open the channel at the bridge only with the first byte.
    near.write_all(b"!").await.map_err(CheckError::io("writing"))?;
    near.flush().await.map_err(CheckError::io("flushing"))?;
    let handed =
        session.fixture.within("the channel at the bridge", session.bridge.log.handed_over()).await?;
    let mut far = handed.ok_or_else(|| CheckError::broken("the bridge got no stream"))?;
    far.read_exact(&mut [0; 1]).await.map_err(CheckError::io("reading"))?;
    Ok((near, far))
}

async fn both_ways(near: BoxStream, far: BoxStream) -> Result<(), CheckError> {
    let (mut near_reader, mut near_writer) = tokio::io::split(near);
    let (mut far_reader, mut far_writer) = tokio::io::split(far);
    let (there, got_there, back, got_back) = tokio::join!(
        send_and_end(&mut near_writer, "there", 300_000),
        pattern::receive(&mut far_reader),
        send_and_end(&mut far_writer, "back", 200_000),
        pattern::receive(&mut near_reader),
    );
    let read = CheckError::io("reading");
    ensure(there? == got_there.map_err(read)?, || "bytes changed on their way there".into())?;
    ensure(back? == got_back.map_err(CheckError::io("reading"))?, || "bytes changed on their way back".into())
}

async fn half_close(mut near: BoxStream, mut far: BoxStream) -> Result<(), CheckError> {
    let sent = send_and_end(&mut near, "upload", 50_000);
    let (sent, got) = tokio::join!(sent, pattern::receive(&mut far));
    ensure(sent? == got.map_err(CheckError::io("reading the upload"))?, || "the upload came changed".into())?;
    let again = far.read(&mut [0; 8]).await.map_err(CheckError::io("reading after the end"))?;
    ensure(again == 0, || "bytes came after the end of stream".into())?;
    let sent = send_and_end(&mut far, "answer", 50_000);
    let (sent, got) = tokio::join!(sent, pattern::receive(&mut near));
    ensure(sent? == got.map_err(CheckError::io("reading the answer"))?, || "the answer came changed".into())
}

async fn write_after_end(mut near: BoxStream, mut far: BoxStream) -> Result<(), CheckError> {
    near.shutdown().await.map_err(CheckError::io("ending"))?;
    let wrote = near.write(b"too late").await;
    ensure(wrote.is_err(), || format!("a write after the own end of stream gave {wrote:?}"))?;
    // The kernel allows a second shutdown or says that there is nothing to shut; it must only come back.
    drop(near.shutdown().await);
    let length = far.read(&mut [0; 8]).await.map_err(CheckError::io("reading"))?;
    ensure(length == 0, || "what was written after the end arrived".into())
}

async fn empty_stream(mut near: BoxStream, mut far: BoxStream) -> Result<(), CheckError> {
    near.shutdown().await.map_err(CheckError::io("ending"))?;
    let got = pattern::receive(&mut far).await.map_err(CheckError::io("reading"))?;
    ensure(got.bytes == 0, || "bytes came on an empty stream".into())
}

async fn back_pressure(mut near: BoxStream, mut far: BoxStream, clock: &dyn Net) -> Result<(), CheckError> {
    let chunk = pattern::pattern("pressure", 32 * 1024);
    let (written, enough) = (AtomicU64::new(0), AtomicBool::new(false));
    // The write that is held up goes on when the reader begins: it is not dropped half done.
    let writing = async {
        let mut hasher = blake3::Hasher::new();
        while !enough.load(Ordering::Relaxed) {
            near.write_all(&chunk).await.map_err(CheckError::io("writing what piles up"))?;
            hasher.update(&chunk);
            let so_far = written.fetch_add(chunk.len() as u64, Ordering::Relaxed);
            ensure(so_far < UNREAD_BYTES_MAX, || format!("{so_far} bytes piled up that nobody reads"))?;
        }
        near.shutdown().await.map_err(CheckError::io("ending"))?;
        Ok(Digest { bytes: written.load(Ordering::Relaxed), hash: *hasher.finalize().as_bytes() })
    };
    let reading = async {
        let mut before = None;
        while before != Some(written.load(Ordering::Relaxed)) {
            before = Some(written.load(Ordering::Relaxed));
            clock.sleep_until(clock.now() + HELD_UP).await;
        }
        enough.store(true, Ordering::Relaxed);
        pattern::receive(&mut far).await.map_err(CheckError::io("reading what piled up"))
    };
    let (sent, got) = tokio::try_join!(writing, reading)?;
    ensure(sent == got, || format!("of {} bytes that piled up {} came, or changed", sent.bytes, got.bytes))
}

async fn drop_ends_reader(mut near: BoxStream, far: BoxStream) -> Result<(), CheckError> {
    drop(far);
    let read = near.read(&mut [0; 8]).await;
    ensure(!matches!(read, Ok(1..)), || "bytes came from an end that was dropped".into())
}

async fn drop_ends_writer(mut near: BoxStream, far: BoxStream) -> Result<(), CheckError> {
    drop(far);
    let chunk = vec![0; 32 * 1024];
    let mut written = 0;
    while let Ok(taken) = async {
        let taken = near.write(&chunk).await?;
        near.flush().await?;
        Ok::<_, io::Error>(taken)
    }
    .await
    {
        written += taken as u64;
        ensure(written < UNREAD_BYTES_MAX, || format!("{written} bytes went to an end that was dropped"))?;
    }
    Ok(())
}

async fn send_and_end(
    to: &mut (impl AsyncWrite + Unpin),
    name: &str,
    total: u64,
) -> Result<Digest, CheckError> {
    let sent = pattern::send(to, name, total).await.map_err(CheckError::io("writing"))?;
    to.shutdown().await.map_err(CheckError::io("ending"))?;
    Ok(sent)
}

/// What lies below an error, for a message on one line.
struct Source<'a>(&'a CheckError);

impl fmt::Display for Source<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        std::error::Error::source(self.0).map_or(Ok(()), |source| write!(f, ": {source}"))
    }
}
