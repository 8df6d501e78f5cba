//! Bytes that go past us: the same promises where the kernel moves them.

use std::io::IoSlice;

use commucat_transport_api::{Layer, Layered};

use super::*;

const BULK: usize = 64 << 20;

/// A layer that is out of the way from the given byte of each direction on, and counts all of them.
#[derive(Debug)]
struct Middle {
    inner: BoxStream,
    clear_at: usize,
    read: usize,
    written: usize,
    counts: Arc<Traffic>,
}

impl Middle {
    fn over(inner: BoxStream, clear_at: usize) -> (BoxStream, Arc<Traffic>) {
        let counts = Arc::new(Traffic::default());
        let middle = Self { inner, clear_at, read: 0, written: 0, counts: Arc::clone(&counts) };
        (Layered::boxed(middle), counts)
    }
}

impl Layer for Middle {
    fn read_below(&mut self) -> Option<&mut BoxStream> {
        (self.read >= self.clear_at).then_some(&mut self.inner)
    }

    fn write_below(&mut self) -> Option<&mut BoxStream> {
        (self.written >= self.clear_at).then_some(&mut self.inner)
    }

    fn passed_in(&mut self, bytes: usize) {
        self.read += bytes;
        self.counts.a_to_b.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    fn passed_out(&mut self, bytes: usize) {
        self.written += bytes;
        self.counts.b_to_a.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}

impl AsyncRead for Middle {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.inner).poll_read(cx, buf))?;
        let count = buf.filled().len() - before;
        self.passed_in(count);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Middle {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let count = ready!(Pin::new(&mut self.inner).poll_write_vectored(cx, &[IoSlice::new(buf)]))?;
        self.passed_out(count);
        Poll::Ready(Ok(count))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

/// Two connected sockets.
async fn sockets() -> (BoxStream, BoxStream) {
    let net = SystemNet::new();
    let mut port = net.listen_stream("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let address = HostPort::from(port.local_addr().unwrap());
    let (near, far) = tokio::join!(net.connect_stream(&address), port.accept());
    (near.unwrap(), far.unwrap().0)
}

/// Numbers that repeat at no power of two.
fn numbered(length: usize) -> Vec<u8> {
    let block: Vec<u8> = (0..251).collect();
    let mut bytes = block.repeat(length.div_ceil(block.len()));
    bytes.truncate(length);
    bytes
}

async fn send(stream: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) {
    stream.write_all(bytes).await.unwrap();
    stream.shutdown().await.unwrap();
}

async fn hear(stream: &mut (impl AsyncRead + Unpin)) -> Vec<u8> {
    let mut heard = Vec::new();
    stream.read_to_end(&mut heard).await.unwrap();
    heard
}

/// Both directions at once, and how many bytes of each the kernel moved.
async fn both_ways(a: BoxStream, b: BoxStream, left: BoxStream, right: BoxStream) -> (u64, u64, Relayed) {
    let (mut left_read, mut left_write) = tokio::io::split(left);
    let (mut right_read, mut right_write) = tokio::io::split(right);
    let (up, down) = (numbered(BULK), numbered(BULK - 77));
    let mut pair = Pair { a, b, to_b: Direction::default(), to_a: Direction::default() };
    let options = RelayOptions::default();
    let (relayed, (), (), up_heard, down_heard) = tokio::join!(
        run(&mut pair, &options),
        send(&mut left_write, &up),
        send(&mut right_write, &down),
        hear(&mut right_read),
        hear(&mut left_read),
    );
    assert!(up_heard == up && down_heard == down, "bytes came changed");
    (pair.to_b.spliced, pair.to_a.spliced, relayed.unwrap())
}

#[tokio::test]
async fn bulk_between_sockets_goes_past_us_whole() {
    let ((left, a), (b, right)) = (sockets().await, sockets().await);
    let (up, down, relayed) = both_ways(a, b, left, right).await;
    assert_eq!(relayed, Relayed { a_to_b: BULK as u64, b_to_a: BULK as u64 - 77 });
    assert!(up > 1 << 20 && down > 1 << 20, "the kernel moved {up} and {down}");
}

#[tokio::test]
async fn layers_count_what_goes_past_them() {
    const CLEAR_AT: usize = 3_000_000;
    let ((left, a), (b, right)) = (sockets().await, sockets().await);
    let (a, counts) = Middle::over(a, CLEAR_AT);
    let (a, outer) = Middle::over(a, 0);
    let (up, down, _) = both_ways(a, b, left, right).await;
    for counts in [counts, outer] {
        assert_eq!(counts.a_to_b.load(Ordering::Relaxed), BULK as u64);
        assert_eq!(counts.b_to_a.load(Ordering::Relaxed), BULK as u64 - 77);
    }
    let most = (BULK - CLEAR_AT) as u64;
    assert!(up > 1 << 20 && down > 1 << 20 && up <= most && down <= most, "the kernel moved {up} and {down}");
}

#[tokio::test]
async fn what_is_no_socket_is_copied() {
    let ((left, a), (b, right)) = (sockets().await, duplex(100_000));
    let (up, down, _) = both_ways(a, Box::new(b), left, Box::new(right)).await;
    assert_eq!((up, down), (0, 0));
    let ((left, a), (b, right)) = (sockets().await, sockets().await);
    let (a, _) = Middle::over(a, usize::MAX);
    let (up, down, _) = both_ways(a, b, left, right).await;
    assert_eq!((up, down), (0, 0));
}

/// One direction ends after bulk; the other goes on, and ends later.
#[tokio::test]
async fn a_half_close_behind_bulk_leaves_the_other_direction_open() {
    let ((left, a), (b, right)) = (sockets().await, sockets().await);
    let (a, _) = Middle::over(a, 0);
    let task = tokio::spawn(async move { relay(a, b, &RelayOptions::default()).await });
    let (mut left_read, mut left_write) = tokio::io::split(left);
    let (mut right_read, mut right_write) = tokio::io::split(right);
    let bytes = numbered(8 << 20);
    let ((), heard) = tokio::join!(send(&mut left_write, &bytes), hear(&mut right_read));
    assert!(heard == bytes);
    assert!(!task.is_finished());
    let ((), heard) = tokio::join!(send(&mut right_write, &bytes), hear(&mut left_read));
    assert!(heard == bytes);
    let moved = bytes.len() as u64;
    assert_eq!(task.await.unwrap().unwrap(), Relayed { a_to_b: moved, b_to_a: moved });
}

/// A reset in the middle of bulk is a reset on the other side, never an end.
#[tokio::test]
async fn a_cut_in_bulk_is_passed_on_as_a_reset() {
    let ((mut left, a), (b, mut right)) = (sockets().await, sockets().await);
    let task = tokio::spawn(async move { relay(a, b, &RelayOptions::default()).await });
    let sending = tokio::spawn(async move {
        left.write_all(&numbered(16 << 20)).await.unwrap();
        left
    });
    let mut chunk = vec![0; 1 << 20];
    right.read_exact(&mut chunk).await.unwrap();
    let rest = async {
        let mut heard = chunk.len();
        while heard < 16 << 20 {
            heard += right.read(&mut chunk).await.unwrap();
        }
        right.read(&mut chunk).await.unwrap_err()
    };
    let (cut, error) = tokio::join!(
        async {
            let left = sending.await.unwrap();
            // The reader hears all of it first: a reset throws away what was not read.
            tokio::time::sleep(Duration::from_millis(100)).await;
            abort(left);
        },
        rest
    );
    let () = cut;
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    assert!(matches!(task.await.unwrap(), Err(RelayError::Stream { side: Side::A, .. })));
}

/// A sink that takes nothing gives the relay no more than a pipe and its socket hold, and is given up in the end.
#[tokio::test]
async fn a_sink_that_stands_still_is_given_up() {
    let ((mut left, a), (b, right)) = (sockets().await, sockets().await);
    let limit = RelayOptions::default().with_idle(Duration::from_millis(300));
    let task = tokio::spawn(async move { relay(a, b, &limit).await });
    let sending = tokio::spawn(async move {
        let bytes = numbered(1 << 20);
        while left.write_all(&bytes).await.is_ok() {}
    });
    let Err(RelayError::Idle { relayed, .. }) = task.await.unwrap() else { panic!("it stands still") };
    assert!(relayed.a_to_b > 0 && relayed.b_to_a == 0);
    sending.await.unwrap();
    drop(right);
}
