//! The hand-over from TLS to the carrier, with both real ends of TLS: no byte is lost, doubled or opened that was not sealed.

use std::sync::Arc;

use commucat_net::SystemNet;
use commucat_transport_api::{Layered, Net, reader_below, writer_below};
use proptest::prelude::*;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{Command, Unpadder, put_block, stream::VisionStream};
use crate::{
    tls::{
        ClientEngine, TlsStream,
        pair::{Portions, pair},
    },
    vless::{RESPONSE, UUID_BYTES},
};

const USER: [u8; UUID_BYTES] = [3; UUID_BYTES];

fn net() -> Arc<dyn Net> {
    SystemNet::new()
}

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

/// Records as the inner TLS has them: they look like records of the outer one.
fn inner(count: usize, bytes: usize) -> Vec<u8> {
    let [high, low] = u16::try_from(bytes).unwrap().to_be_bytes();
    let mut all = Vec::new();
    for number in 0..count {
        all.extend_from_slice(&[23, 3, 3, high, low]);
        all.extend((0..bytes).map(|at| u8::try_from((at * 7 + number) % 256).unwrap()));
    }
    all
}

/// What a bridge sends that ends its blocks so: the wire, how much of it is sealed, and what a client reads of it.
fn answer(bridge: &mut commucat_mimic::Responder, last: Command, behind: &[u8]) -> (Vec<u8>, usize, Vec<u8>) {
    let (mut wire, mut block) = (Vec::new(), RESPONSE.to_vec());
    put_block(&mut block, Some(USER), Command::Continue, b"first", 30);
    bridge.seal(&block, &mut wire).unwrap();
    block.clear();
    put_block(&mut block, None, last, b"second", 10);
    // Bytes behind the last block, in its own record.
    block.extend_from_slice(behind);
    bridge.seal(&block, &mut wire).unwrap();
    let sealed = wire.len();
    let tail = inner(3, 40);
    if last == Command::Direct {
        wire.extend_from_slice(&tail);
    } else {
        bridge.seal(&tail[..70], &mut wire).unwrap();
        bridge.seal(&tail[70..], &mut wire).unwrap();
        bridge.close().unwrap();
        bridge.poll_transmit(&mut wire);
    }
    (wire, sealed, [b"firstsecond", behind, &tail].concat())
}

async fn read_all(portions: Vec<Vec<u8>>, client: commucat_mimic::Client) -> Vec<u8> {
    let (carrier, _written) = Portions::new(portions, usize::MAX);
    let tls = TlsStream::new(Box::new(carrier), ClientEngine::new(client));
    let mut stream = VisionStream::dialled(tls, b"request".to_vec(), USER, &net());
    let mut read = Vec::new();
    stream.read_to_end(&mut read).await.unwrap();
    read
}

/// Every split of everything that a client reads, at both ends of blocks.
#[test]
fn a_client_reads_the_same_at_every_split() {
    run(async {
        for (last, behind) in
            [(Command::Direct, &b""[..]), (Command::Direct, b"more"), (Command::End, b"more")]
        {
            let length = answer(&mut pair().1, last, behind).0.len();
            for cut in 0..=length {
                let (client, mut bridge) = pair();
                let (wire, _, expected) = answer(&mut bridge, last, behind);
                let (first, second) = wire.split_at(cut);
                let read = read_all(vec![first.to_vec(), second.to_vec()], client).await;
                assert_eq!(read, expected, "{last:?}, cut at {cut} of {length}");
            }
            let (client, mut bridge) = pair();
            let (wire, _, expected) = answer(&mut bridge, last, behind);
            let single = wire.into_iter().map(|byte| vec![byte]).collect();
            assert_eq!(read_all(single, client).await, expected, "{last:?}, byte by byte");
        }
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// A bridge reads what a client wrote, whatever was written at once and however the carrier cuts it.
    #[test]
    fn a_bridge_reads_what_a_client_wrote(
        writes in proptest::collection::vec(1..900_usize, 1..8),
        reads in proptest::collection::vec(1..3000_usize, 1..12),
        most in 1..4000_usize,
    ) {
        run(async {
            let (client, bridge) = pair();
            let (carrier, written) = Portions::new([], most);
            let tls = TlsStream::new(Box::new(carrier), ClientEngine::new(client));
            let mut up = VisionStream::dialled(tls, Vec::new(), USER, &net());
            up.detector_mut().observe(super::detector::Direction::In, &hello_of_server());
            let bytes = inner(30, 333);
            let mut rest = bytes.as_slice();
            for size in writes.iter().cycle() {
                if rest.is_empty() {
                    break;
                }
                let (now, later) = rest.split_at((*size).min(rest.len()));
                up.write_all(now).await.unwrap();
                rest = later;
            }
            assert!(up.is_below(), "whole records of TLS 1.3 went by");
            up.shutdown().await.unwrap();
            let (wire, ended) = written.lock().unwrap().clone();
            assert!(ended && wire.ends_with(&bytes[bytes.len() - 300..]), "the end is the inner TLS itself");
            let mut portions = Vec::new();
            let mut rest = wire.as_slice();
            for size in reads.iter().cycle() {
                if rest.is_empty() {
                    break;
                }
                let (now, later) = rest.split_at((*size).min(rest.len()));
                portions.push(now.to_vec());
                rest = later;
            }
            let (carrier, _) = Portions::new(portions, usize::MAX);
            let tls = TlsStream::new(Box::new(carrier), bridge);
            let mut stream = VisionStream::accepted(tls, &[], USER, &net()).unwrap();
            let mut read = Vec::new();
            stream.read_to_end(&mut read).await.unwrap();
            assert_eq!(read, bytes);
        });
    }
}

/// A ServerHello of TLS 1.3 as the detector knows it.
fn hello_of_server() -> Vec<u8> {
    let mut hello = vec![0x16, 3, 3, 0, 90, 2];
    hello.resize(95, 0);
    hello[43] = 32;
    hello[76..78].copy_from_slice(&[0x13, 1]);
    hello[80..86].copy_from_slice(&[0, 0x2b, 0, 2, 3, 4]);
    hello
}

#[test]
fn nothing_of_tls_is_written_below() {
    run(async {
        let (client, mut bridge) = pair();
        // The bridge asks for new keys while our direction is below: it stays unanswered.
        let mut asks = Vec::new();
        bridge.update_keys(&mut asks).unwrap();
        let (carrier, written) = Portions::new([asks], usize::MAX);
        let tls = TlsStream::new(Box::new(carrier), ClientEngine::new(client));
        let mut up = VisionStream::dialled(tls, Vec::new(), USER, &net());
        up.detector_mut().observe(super::detector::Direction::In, &hello_of_server());
        let bytes = inner(2, 100);
        up.write_all(&bytes).await.unwrap();
        up.write_all(b"raw").await.unwrap();
        let read = up.read(&mut [0; 10]).await;
        assert!(read.is_err(), "the carrier ended without a close_notify: {read:?}");
        up.flush().await.unwrap();
        up.shutdown().await.unwrap();
        let (wire, ended) = written.lock().unwrap().clone();
        assert!(ended && wire.ends_with(b"raw"));
        bridge.handle_input(&wire[..wire.len() - 3]).unwrap();
        let (mut out, mut input) = (Vec::new(), bridge.plaintext().as_slice());
        assert_eq!(Unpadder::new(USER).take(&mut input, &mut out).unwrap(), Some(Command::Direct));
        assert_eq!(out, bytes);
    });
}

#[test]
fn a_silent_client_sends_its_request_in_padding() {
    run(async {
        let (client, mut bridge) = pair();
        let (near, mut far) = tokio::io::duplex(1 << 16);
        let tls = TlsStream::new(Box::new(near), ClientEngine::new(client));
        let mut stream = VisionStream::dialled(tls, b"request".to_vec(), USER, &net());
        let reading = tokio::spawn(async move { stream.read(&mut [0; 10]).await.map(|_count| ()) });
        while bridge.plaintext().is_empty() {
            let mut chunk = [0; 4096];
            let count = far.read(&mut chunk).await.unwrap();
            bridge.handle_input(&chunk[..count]).unwrap();
        }
        let plaintext = std::mem::take(bridge.plaintext());
        let block = plaintext.strip_prefix(b"request").unwrap();
        assert!((UUID_BYTES + 5 + 900..UUID_BYTES + 5 + 1400).contains(&block.len()), "{}", block.len());
        reading.abort();
    });
}

#[test]
fn an_end_inside_a_block_is_an_error() {
    run(async {
        let (client, mut bridge) = pair();
        let mut block = RESPONSE.to_vec();
        put_block(&mut block, Some(USER), Command::Continue, b"cut short", 30);
        let mut wire = Vec::new();
        bridge.seal(&block[..block.len() - 35], &mut wire).unwrap();
        bridge.close().unwrap();
        bridge.poll_transmit(&mut wire);
        let (carrier, _) = Portions::new([wire], usize::MAX);
        let tls = TlsStream::new(Box::new(carrier), ClientEngine::new(client));
        let mut stream = VisionStream::dialled(tls, Vec::new(), USER, &net());
        let error = stream.read_to_end(&mut Vec::new()).await.unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::UnexpectedEof);
    });
}

/// What a relay may go past is what was left behind: not before all of it was read, and never while blocks come.
#[test]
fn a_direction_is_below_once_everything_else_was_read() {
    run(async {
        let (client, mut bridge) = pair();
        let (wire, _sealed, expected) = answer(&mut bridge, Command::Direct, b"behind");
        let (blocks, below) = wire.split_at(wire.len() - 20);
        let (carrier, _) = Portions::new([blocks.to_vec(), below.to_vec()], usize::MAX);
        let tls = TlsStream::new(Box::new(carrier), ClientEngine::new(client));
        let mut stream = Layered::boxed(VisionStream::dialled(tls, b"request".to_vec(), USER, &net()));
        let mut heard = Vec::new();
        while heard.len() < expected.len() - 20 {
            assert!(reader_below::<Portions>(&mut stream).is_none(), "{} bytes still wait", heard.len());
            let mut chunk = [0; 17];
            let count = stream.read(&mut chunk).await.unwrap();
            heard.extend_from_slice(&chunk[..count]);
        }
        let carrier = reader_below::<Portions>(&mut stream).expect("nothing waits any more");
        carrier.read_to_end(&mut heard).await.unwrap();
        assert_eq!(heard, expected);
        assert!(writer_below::<Portions>(&mut stream).is_none(), "the other direction has said nothing");
    });
}

#[test]
fn a_writer_is_below_once_its_last_block_has_left() {
    run(async {
        let (client, _bridge) = pair();
        let (near, mut far) = tokio::io::duplex(100);
        let tls = TlsStream::new(Box::new(near), ClientEngine::new(client));
        let mut up = VisionStream::dialled(tls, Vec::new(), USER, &net());
        up.detector_mut().observe(super::detector::Direction::In, &hello_of_server());
        let mut up = Layered::boxed(up);
        up.write_all(&inner(2, 100)).await.unwrap();
        // The block waits for the carrier, which is narrow.
        assert!(writer_below::<tokio::io::DuplexStream>(&mut up).is_none());
        let draining = tokio::spawn(async move { while far.read(&mut [0; 1000]).await.is_ok() {} });
        up.flush().await.unwrap();
        assert!(writer_below::<tokio::io::DuplexStream>(&mut up).is_some());
        draining.abort();
    });
}
