//! Bulk to move: bytes that look random, made and checked without being kept.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

/// Bytes moved at once.
const CHUNK_BYTES: usize = 64 * 1024;

/// How much came, and its digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Digest {
    pub(super) bytes: u64,
    pub(super) hash: [u8; 32],
}

/// Encoded length of a [`Digest`], in bytes.
pub(super) const DIGEST_BYTES: usize = 8 + 32;

impl Digest {
    pub(super) fn encode(&self) -> Vec<u8> {
        [&self.bytes.to_be_bytes()[..], &self.hash].concat()
    }

    pub(super) fn of(bytes: &[u8]) -> Self {
        Self { bytes: bytes.len() as u64, hash: *blake3::hash(bytes).as_bytes() }
    }
}

/// Bytes that follow from a name.
pub(super) fn pattern(name: &str, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    source(name).fill(&mut bytes);
    bytes
}

/// Sends this many bytes that follow from the name.
pub(super) async fn send(to: &mut (impl AsyncWrite + Unpin), name: &str, total: u64) -> io::Result<Digest> {
    let (mut source, mut hasher, mut left) = (source(name), blake3::Hasher::new(), total);
    let mut chunk = vec![0; CHUNK_BYTES];
    while left > 0 {
        let length = usize::try_from(left).unwrap_or(CHUNK_BYTES).min(CHUNK_BYTES);
        let chunk = chunk.get_mut(..length).unwrap_or_default();
        source.fill(chunk);
        hasher.update(chunk);
        to.write_all(chunk).await?;
        left -= length as u64;
    }
    to.flush().await?;
    Ok(Digest { bytes: total, hash: *hasher.finalize().as_bytes() })
}

/// Reads to the end of stream.
pub(super) async fn receive(from: &mut (impl AsyncRead + Unpin)) -> io::Result<Digest> {
    let (mut hasher, mut bytes) = (blake3::Hasher::new(), 0);
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        let length = from.read(&mut chunk).await?;
        if length == 0 {
            return Ok(Digest { bytes, hash: *hasher.finalize().as_bytes() });
        }
        hasher.update(chunk.get(..length).unwrap_or_default());
        bytes += length as u64;
    }
}

fn source(name: &str) -> blake3::OutputReader {
    blake3::Hasher::new_derive_key("commucat testkit pattern v1").update(name.as_bytes()).finalize_xof()
}
