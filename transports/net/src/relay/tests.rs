//! The relay's promises, over in-memory pipes and real sockets.

#[cfg(any(target_os = "linux", target_os = "android"))]
mod past;

use commucat_transport_api::{HostPort, Net};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf, duplex};

use super::*;
use crate::SystemNet;

type Running = tokio::task::JoinHandle<Result<Relayed, RelayError>>;

fn start(capacity: usize, options: RelayOptions) -> (DuplexStream, DuplexStream, Running) {
    let (left, a) = duplex(capacity);
    let (right, b) = duplex(capacity);
    let task = tokio::spawn(async move { relay(Box::new(a), Box::new(b), &options).await });
    (left, right, task)
}

#[tokio::test]
async fn a_half_closed_upload_gets_its_answer() {
    let traffic = Arc::new(Traffic::default());
    let (mut left, mut right, task) = start(64, RelayOptions::counting(Arc::clone(&traffic)));
    left.write_all(b"question").await.unwrap();
    left.shutdown().await.unwrap();
    let mut heard = Vec::new();
    right.read_to_end(&mut heard).await.unwrap();
    assert_eq!(heard, b"question");
    right.write_all(b"the answer").await.unwrap();
    right.shutdown().await.unwrap();
    heard.clear();
    left.read_to_end(&mut heard).await.unwrap();
    assert_eq!(heard, b"the answer");
    assert_eq!(task.await.unwrap().unwrap(), Relayed { a_to_b: 8, b_to_a: 10 });
    assert_eq!(traffic.b_to_a.load(Ordering::Relaxed), 10);
}

#[tokio::test]
async fn bytes_arrive_whole_through_a_narrow_pipe() {
    let (mut left, mut right, _task) = start(7, RelayOptions::default());
    let sent: Vec<u8> = (0..100_000u32).map(|n| n.to_le_bytes()[0]).collect();
    let expected = sent.clone();
    let writer = tokio::spawn(async move {
        left.write_all(&sent).await.unwrap();
        left.shutdown().await.unwrap();
        left
    });
    let mut heard = Vec::new();
    right.read_to_end(&mut heard).await.unwrap();
    assert_eq!(heard, expected);
    drop(writer.await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn an_idle_pair_is_given_up_and_a_busy_one_is_not() {
    let limit = Duration::from_secs(60);
    let (mut left, mut right, task) = start(64, RelayOptions::default().with_idle(limit));
    let mut byte = [0];
    for _ in 0..5 {
        tokio::time::sleep(limit / 2).await;
        left.write_all(b"x").await.unwrap();
        right.read_exact(&mut byte).await.unwrap();
    }
    assert!(!task.is_finished());
    assert!(matches!(task.await.unwrap(), Err(RelayError::Idle { relayed: Relayed { a_to_b: 5, .. }, .. })));
}

#[tokio::test]
async fn a_reset_is_passed_on_as_a_reset() {
    let net = SystemNet::new();
    let mut port = net.listen_stream("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let address = HostPort::from(port.local_addr().unwrap());
    let (left, a) = tokio::join!(net.connect_stream(&address), port.accept());
    let (right, b) = tokio::join!(net.connect_stream(&address), port.accept());
    let (left, a, mut right, b) = (left.unwrap(), a.unwrap().0, right.unwrap(), b.unwrap().0);
    let task = tokio::spawn(async move { relay(a, b, &RelayOptions::default()).await });
    abort(left);
    let error = right.read(&mut [0; 1]).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    assert!(matches!(task.await.unwrap(), Err(RelayError::Stream { side: Side::A, .. })));
}

#[tokio::test]
async fn a_busy_relay_lets_others_have_their_turn() {
    let mut pair = Pair {
        a: Box::new(Endless),
        b: Box::new(Endless),
        to_b: Direction::default(),
        to_a: Direction::default(),
    };
    let options = RelayOptions::default();
    let polled = tokio::select! {
        biased;
        result = run(&mut pair, &options) => Some(result),
        () = std::future::ready(()) => None,
    };
    assert!(polled.is_none(), "a stream that never ends came to its end");
    assert!(pair.to_b.moved >= TURN_BYTES, "the relay moved {} bytes", pair.to_b.moved);
}

/// Always has bytes, always takes bytes.
#[derive(Debug)]
struct Endless;

impl AsyncRead for Endless {
    fn poll_read(self: Pin<&mut Self>, _cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let room = buf.remaining();
        buf.initialize_unfilled().fill(7);
        buf.advance(room);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Endless {
    fn poll_write(self: Pin<&mut Self>, _cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
