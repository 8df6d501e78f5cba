//! Bytes arrive whole, in order, on every stream, whatever the others do.

use std::time::Duration;

use commucat_transport_api::BoxStream;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::support::pair;

const MIB: usize = 1 << 20;

/// What went through one end of a direction.
#[derive(Default)]
struct Digest {
    hasher: blake3::Hasher,
    bytes: usize,
}

impl Digest {
    fn add(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len();
        self.hasher.update(bytes);
    }
}

impl PartialEq for Digest {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes && self.hasher.finalize() == other.hasher.finalize()
    }
}

/// Sends that much, in pieces of many sizes, and the end.
async fn send(stream: &mut (impl tokio::io::AsyncWrite + Unpin), total: usize, seed: u64) -> Digest {
    let mut chance = fastrand::Rng::with_seed(seed);
    let mut bytes = vec![0; 300_000];
    chance.fill(&mut bytes);
    let mut digest = Digest::default();
    let mut left = total;
    while left > 0 {
        let piece = chance.usize(1..=bytes.len()).min(left);
        bytes[0] = chance.u8(..);
        stream.write_all(&bytes[..piece]).await.unwrap();
        digest.add(&bytes[..piece]);
        left -= piece;
    }
    stream.shutdown().await.unwrap();
    digest
}

/// Reads to the end.
async fn receive(stream: &mut (impl tokio::io::AsyncRead + Unpin)) -> Digest {
    let mut digest = Digest::default();
    let mut bytes = vec![0; 100_000];
    loop {
        let read = stream.read(&mut bytes).await.unwrap();
        if read == 0 {
            return digest;
        }
        digest.add(&bytes[..read]);
    }
}

async fn both_ways(near: BoxStream, far: BoxStream, total: usize) {
    let (mut near_reads, mut near_writes) = tokio::io::split(near);
    let (mut far_reads, mut far_writes) = tokio::io::split(far);
    let (up, down, there, back) = tokio::join!(
        send(&mut near_writes, total, 1),
        send(&mut far_writes, total, 2),
        receive(&mut far_reads),
        receive(&mut near_reads),
    );
    assert_eq!((up.bytes, down.bytes), (total, total));
    assert!(up == there && down == back);
}

#[tokio::test(start_paused = true)]
async fn sixty_four_mebibytes_both_ways() {
    let pair = pair();
    let (near, far) = pair.stream().await;
    both_ways(near, far, 64 * MIB).await;
    assert_eq!((pair.near.streams(), pair.far.streams()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn one_reader_sleeps_and_the_others_finish() {
    let pair = pair();
    let (mut asleep, sleeping) = pair.stream().await;
    let stuffing = tokio::spawn(async move {
        let bytes = vec![1; MIB];
        while asleep.write_all(&bytes).await.is_ok() {}
    });
    let mut running = Vec::new();
    for _stream in 0..63 {
        let (near, far) = pair.stream().await;
        running.push(tokio::spawn(both_ways(near, far, MIB)));
    }
    for one in running {
        one.await.unwrap();
    }
    assert!(!stuffing.is_finished());
    drop(sleeping);
    stuffing.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn threads_do_not_lose_a_wake() {
    let pair = pair();
    let mut running = Vec::new();
    for _stream in 0..16 {
        let (near, far) = pair.stream().await;
        running.push(tokio::spawn(both_ways(near, far, 2 * MIB)));
    }
    for one in running {
        tokio::time::timeout(Duration::from_secs(60), one).await.expect("it goes on").unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn writers_that_never_take_their_turns_hold_up_nobody() {
    let pair = pair();
    let mut lazy = Vec::new();
    for _stream in 0..100 {
        lazy.push(pair.stream().await);
    }
    let (mut near, mut far) = pair.stream().await;
    // They fill what they may and wait for their turns, and are never polled again.
    for (writes, _reads) in &mut lazy {
        drop(futures_util::future::poll_immediate(writes.write_all(&vec![1; MIB])).await);
    }
    let passing = async {
        let mut heard = [0; 7];
        let (said, read) = tokio::join!(near.write_all(b"through"), far.read_exact(&mut heard));
        assert!(said.is_ok() && read.is_ok() && heard == *b"through");
    };
    tokio::time::timeout(Duration::from_millis(500), passing).await.expect("no timer has to help");
}
