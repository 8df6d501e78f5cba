//! What a run sends through a channel, and the proof that it arrived: a request of three numbers, that many bytes up,
//! their digest back, that many bytes down. The bytes follow from the seed, so either end knows what it must get.

use std::{
    io,
    time::{Duration, Instant},
};

use fastrand::Rng;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

/// Bytes of a request: up, down, seed.
const REQUEST_BYTES: usize = 24;
const DIGEST_BYTES: usize = 32;
const CHUNK_BYTES: usize = 16 * 1024;
/// Most bytes that a bridge of the lab takes or gives for one request.
const REQUEST_MAX: u64 = 64 * 1024 * 1024;
/// Makes the bytes down other ones than those up.
const DOWN: u64 = 0x5bd1_e995_97f4_a7c1;

/// One request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Request {
    pub(crate) up: u64,
    pub(crate) down: u64,
    pub(crate) seed: u64,
}

/// How long an exchange took.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Exchanged {
    pub(crate) up_took: Duration,
    pub(crate) down_took: Duration,
}

/// Where an exchange stood when it failed.
#[derive(Debug)]
pub(crate) struct Broken {
    /// Sending, or receiving.
    pub(crate) sending: bool,
    /// Bytes of ours that the carrier took, and bytes that arrived.
    pub(crate) moved: (u64, u64),
    /// What the stream said; nothing when what arrived was wrong.
    pub(crate) error: Option<io::Error>,
}

/// The client's part. `moved` is kept up to date, so that whoever gives up knows how far it came.
pub(crate) async fn ask(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    request: Request,
    moved: &mut (u64, u64),
) -> Result<Exchanged, Broken> {
    let began = Instant::now();
    let sent = send_request(stream, request, moved).await;
    let digest = sent.map_err(|error| Broken { sending: true, moved: *moved, error: Some(error) })?;
    let mut theirs = [0; DIGEST_BYTES];
    let receiving = |moved: (u64, u64), error| Broken { sending: false, moved, error };
    stream.read_exact(&mut theirs).await.map_err(|error| receiving(*moved, Some(error)))?;
    if theirs != digest {
        return Err(receiving(*moved, None));
    }
    let up_took = began.elapsed();
    let mut expected = Pattern::new(request.seed ^ DOWN, request.down);
    let mut buffer = vec![0; CHUNK_BYTES];
    while !expected.is_done() {
        let wanted = usize::try_from(expected.left).unwrap_or(CHUNK_BYTES).min(CHUNK_BYTES);
        let into = buffer.get_mut(..wanted).unwrap_or_default();
        let count = match stream.read(into).await {
            Ok(0) => return Err(receiving(*moved, Some(io::ErrorKind::UnexpectedEof.into()))),
            Ok(count) => count,
            Err(error) => return Err(receiving(*moved, Some(error))),
        };
        moved.1 += to_u64(count);
        if !expected.begins(buffer.get(..count).unwrap_or_default()) {
            return Err(receiving(*moved, None));
        }
    }
    Ok(Exchanged { up_took, down_took: began.elapsed().saturating_sub(up_took) })
}

async fn send_request(
    stream: &mut (impl AsyncWrite + Unpin),
    request: Request,
    moved: &mut (u64, u64),
) -> io::Result<[u8; DIGEST_BYTES]> {
    let mut head = Vec::with_capacity(REQUEST_BYTES);
    for number in [request.up, request.down, request.seed] {
        head.extend_from_slice(&number.to_be_bytes());
    }
    stream.write_all(&head).await?;
    let (mut pattern, mut digest) = (Pattern::new(request.seed, request.up), blake3::Hasher::new());
    while !pattern.is_done() {
        let chunk = pattern.take(CHUNK_BYTES);
        digest.update(chunk);
        stream.write_all(chunk).await?;
        moved.0 += to_u64(chunk.len());
    }
    stream.flush().await?;
    Ok(*digest.finalize().as_bytes())
}

/// The bridge's part: answers requests until the client ends.
pub(crate) async fn answer(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> io::Result<()> {
    loop {
        let Some(request) = read_request(stream).await? else { return stream.shutdown().await };
        let mut left = request.up;
        let (mut digest, mut buffer) = (blake3::Hasher::new(), vec![0; CHUNK_BYTES]);
        while left > 0 {
            let wanted = usize::try_from(left).unwrap_or(CHUNK_BYTES).min(CHUNK_BYTES);
            let count = stream.read(buffer.get_mut(..wanted).unwrap_or_default()).await?;
            if count == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            digest.update(buffer.get(..count).unwrap_or_default());
            left -= to_u64(count);
        }
        stream.write_all(digest.finalize().as_bytes()).await?;
        let mut pattern = Pattern::new(request.seed ^ DOWN, request.down);
        while !pattern.is_done() {
            stream.write_all(pattern.take(CHUNK_BYTES)).await?;
        }
        stream.flush().await?;
    }
}

async fn read_request(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<Request>> {
    let mut numbers = [0u64; 3];
    for (index, number) in numbers.iter_mut().enumerate() {
        let mut bytes = [0; 8];
        match stream.read_exact(&mut bytes).await {
            Err(error) if index == 0 && error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            read => read?,
        };
        *number = u64::from_be_bytes(bytes);
    }
    let [up, down, seed] = numbers;
    if up.max(down) > REQUEST_MAX {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    Ok(Some(Request { up, down, seed }))
}

/// Bytes that follow from a seed, in pieces of any length.
struct Pattern {
    rng: Rng,
    left: u64,
    ready: Vec<u8>,
    used: usize,
}

impl Pattern {
    fn new(seed: u64, length: u64) -> Self {
        Self { rng: Rng::with_seed(seed), left: length, ready: Vec::new(), used: 0 }
    }

    const fn is_done(&self) -> bool {
        self.left == 0
    }

    /// Whether it goes on with these bytes; they are used up.
    fn begins(&mut self, mut bytes: &[u8]) -> bool {
        while !bytes.is_empty() {
            let piece = self.take(bytes.len());
            let Some(rest) = bytes.strip_prefix(piece).filter(|_| !piece.is_empty()) else { return false };
            bytes = rest;
        }
        true
    }

    /// The next bytes: as many as asked for, fewer at the end of a block or of the whole.
    fn take(&mut self, wanted: usize) -> &[u8] {
        if self.used == self.ready.len() {
            self.ready.resize(CHUNK_BYTES, 0);
            self.rng.fill(&mut self.ready);
            self.used = 0;
        }
        let left = usize::try_from(self.left).unwrap_or(usize::MAX);
        let count = wanted.min(self.ready.len() - self.used).min(left);
        let taken = self.used..self.used + count;
        self.used += count;
        self.left -= to_u64(count);
        self.ready.get(taken).unwrap_or_default()
    }
}

fn to_u64(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_exchange_proves_what_arrived() {
        for (up, down) in [(1, 1), (0, 0), (40_000, 100_001)] {
            let (mut near, mut far) = tokio::io::duplex(1000);
            let answering = tokio::spawn(async move { answer(&mut far).await });
            let mut moved = (0, 0);
            let request = Request { up, down, seed: 9 };
            ask(&mut near, request, &mut moved).await.unwrap();
            assert_eq!(moved, (up, down));
            ask(&mut near, request, &mut moved).await.unwrap();
            near.shutdown().await.unwrap();
            answering.await.unwrap().unwrap();
        }
    }

    #[tokio::test]
    async fn a_wrong_byte_either_way_is_noticed() {
        // Byte 30 is payload going up, or part of the digest coming down; byte 5,000 is payload coming down.
        for (flip_up, at) in [(true, 30), (false, 5), (false, 5_000)] {
            let (mut near, middle) = tokio::io::duplex(100_000);
            let (other, mut far) = tokio::io::duplex(100_000);
            tokio::spawn(async move { answer(&mut far).await });
            let (middle, other) = (tokio::io::split(middle), tokio::io::split(other));
            tokio::spawn(flip(middle.0, other.1, flip_up.then_some(at)));
            tokio::spawn(flip(other.0, middle.1, (!flip_up).then_some(at)));
            let mut moved = (0, 0);
            let broken =
                ask(&mut near, Request { up: 50, down: 9_000, seed: 1 }, &mut moved).await.unwrap_err();
            assert!(broken.error.is_none() && !broken.sending, "{broken:?}");
        }
    }

    async fn flip(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin, at: Option<usize>) {
        let mut count = 0;
        while let Ok(byte) = from.read_u8().await {
            // Who noticed the wrong byte may be gone already.
            if to.write_u8(if at == Some(count) { byte ^ 1 } else { byte }).await.is_err() {
                return;
            }
            count += 1;
        }
    }
}
