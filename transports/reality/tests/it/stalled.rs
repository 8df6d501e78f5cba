//! Peers that stop in the middle, at either end: nothing waits for ever, nothing grows, and others are served.

use std::time::Duration;

use commucat_net::SystemNet;
use commucat_reality::Reality;
use commucat_transport_api::{Cx, HostPort, PluggableTransport as _, Target};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    time::timeout,
};

use crate::place::{PATIENCE, Place};

/// Bytes that wait on the way between two who do not read: buffers of three kernels' sockets and of both ends, with room.
const MAX_WAITING_BYTES: usize = 48 << 20;
const CHANGE_CIPHER_SPEC: [u8; 6] = [20, 3, 3, 0, 1, 1];

/// A wire to the bridge that ends after so many bytes of its answer, says these instead for as long as it is heard, and
/// then stays.
async fn broken_wire(to: &HostPort, after: usize, instead: Vec<u8>) -> HostPort {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = HostPort::from(listener.local_addr().unwrap());
    let to = to.socket_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut near, _)) = listener.accept().await {
            let instead = instead.clone();
            tokio::spawn(async move {
                let mut far = TcpStream::connect(to).await?;
                let mut hello = vec![0; 8192];
                let count = near.read(&mut hello).await?;
                far.write_all(&hello[..count]).await?;
                let mut answer = vec![0; after];
                far.read_exact(&mut answer).await?;
                near.write_all(&answer).await?;
                while !instead.is_empty() {
                    near.write_all(&instead).await?;
                }
                tokio::time::sleep(PATIENCE).await;
                std::io::Result::Ok(())
            });
        }
    });
    at
}

/// The client waits no longer than it was told, and breaks off at once where it can know.
#[tokio::test(flavor = "multi_thread")]
async fn a_bridge_that_stops_or_floods_ends_a_dial() {
    const BUDGET: Duration = Duration::from_secs(3);
    let place = Place::start().await;
    let long_record = [&[23, 3, 3, 0x41, 1][..], &[9; 0x4101]].concat();
    for (what, after, instead) in [
        ("silence from the start", 0, Vec::new()),
        ("silence within the ServerHello", 60, Vec::new()),
        ("silence within the flight", 1500, Vec::new()),
        ("a flood of change_cipher_specs", 0, CHANGE_CIPHER_SPEC.to_vec()),
        ("a flood behind the ServerHello", 1215, CHANGE_CIPHER_SPEC.to_vec()),
        ("a record longer than records are", 1221, long_record),
        ("a flood of empty handshake records", 0, vec![22, 3, 3, 0, 0]),
        (
            "a message that never ends",
            0,
            [&[22, 3, 3, 0x40, 0, 2, 0xff, 0xff, 0xff][..], &[0; 0x3ffc]].concat(),
        ),
    ] {
        let mut spec = place.spec.clone();
        spec.endpoint = broken_wire(&place.bridge, after, instead.clone()).await;
        let client = Reality::new().client(&spec).unwrap();
        let cx = Cx::new(SystemNet::new(), BUDGET);
        let target = Target::Stream("echo.example:7".parse().unwrap());
        let dialled = timeout(PATIENCE, client.dial(&cx, &target)).await;
        let outcome = dialled.unwrap_or_else(|_late| panic!("{what}: no end"));
        assert!(outcome.is_err(), "{what}");
    }
    place.serves().await;
}

/// Who asks and asks and never reads the answers is stopped by the bridge, which keeps no more than buffers hold.
#[tokio::test(flavor = "multi_thread")]
async fn who_never_reads_is_made_to_wait() {
    let place = Place::start().await;
    let cx = Cx::new(SystemNet::new(), PATIENCE);
    let target = Target::Stream("echo.example:7".parse().unwrap());
    let opened = timeout(PATIENCE, place.client.dial(&cx, &target)).await.unwrap().unwrap();
    let mut stream = opened.channel.into_stream().unwrap();
    let (chunk, mut written) = (vec![7; 64 << 10], 0);
    while let Ok(done) = timeout(Duration::from_secs(2), stream.write_all(&chunk)).await {
        done.unwrap();
        written += chunk.len();
        assert!(written < MAX_WAITING_BYTES, "{written} bytes were taken and nobody read");
    }
    place.serves().await;
    // All of it comes once it is read; what was half written when the time was over may come too.
    let (mut read, mut write) = tokio::io::split(stream);
    let mut heard = vec![0; written];
    let both = async { tokio::join!(write.flush(), read.read_exact(&mut heard)) };
    let (flushed, all) = timeout(PATIENCE, both).await.unwrap();
    flushed.unwrap();
    all.unwrap();
    assert!(heard.iter().all(|&byte| byte == 7));
}
