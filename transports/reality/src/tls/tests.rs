//! Bulk over both real ends of TLS: every byte comes through, whatever the carrier and the caller do.

use std::time::Duration;

use commucat_mimic::{Client, Responder};
use proptest::prelude::*;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{
    pair::{Portions, Written, pair},
    *,
};

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

fn numbered(count: usize) -> Vec<u8> {
    (0..count).map(|at| u8::try_from(at * 31 % 251).unwrap()).collect()
}

fn client_over(client: Client, portions: Vec<Vec<u8>>) -> (TlsStream<ClientEngine>, Written) {
    let (carrier, written) = Portions::new(portions, usize::MAX);
    (TlsStream::new(Box::new(carrier), ClientEngine::new(client)), written)
}

/// A bridge's stream in records of these lengths, new keys asked for in between, and its end.
fn answer(bridge: &mut Responder, lengths: &[usize]) -> (Vec<u8>, Vec<u8>) {
    let (mut wire, mut content) = (Vec::new(), Vec::new());
    for (number, length) in lengths.iter().enumerate() {
        let bytes = numbered(*length);
        bridge.seal(&bytes, &mut wire).unwrap();
        content.extend_from_slice(&bytes);
        if number % 3 == 1 {
            bridge.update_keys(&mut wire).unwrap();
        }
    }
    bridge.close().unwrap();
    bridge.poll_transmit(&mut wire);
    (wire, content)
}

/// Reads with these buffers until the end or an error.
async fn read_with(stream: &mut TlsStream<ClientEngine>, rooms: &[usize]) -> (Vec<u8>, io::Result<()>) {
    let mut heard = Vec::new();
    for room in rooms.iter().cycle() {
        let mut chunk = vec![0; *room];
        match stream.read(&mut chunk).await {
            Ok(0) => return (heard, Ok(())),
            Ok(count) => heard.extend_from_slice(&chunk[..count]),
            Err(error) => return (heard, Err(error)),
        }
    }
    unreachable!("there is always another room");
}

fn portions_of(wire: &[u8], sizes: &[usize]) -> Vec<Vec<u8>> {
    let (mut rest, mut portions) = (wire, Vec::new());
    for size in sizes.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (now, later) = rest.split_at((*size).min(rest.len()));
        portions.push(now.to_vec());
        rest = later;
    }
    portions
}

/// Every split of a wire with data, new keys and an end, read at once and byte by byte.
#[test]
fn every_split_reads_the_same() {
    run(async {
        let lengths = [1, 40, 7, 90];
        let length = answer(&mut pair().1, &lengths).0.len();
        for cut in 0..=length {
            for room in [1, 50, 1 << 15] {
                let (client, mut bridge) = pair();
                let (wire, content) = answer(&mut bridge, &lengths);
                let (first, second) = wire.split_at(cut);
                let (mut stream, _) = client_over(client, vec![first.to_vec(), second.to_vec()]);
                let (heard, end) = read_with(&mut stream, &[room]).await;
                assert!(heard == content && end.is_ok(), "cut at {cut}, room {room}: {end:?}");
            }
        }
    });
}

/// What came with the handshake is read first, opened or not.
#[test]
fn what_came_early_is_read_first() {
    run(async {
        for stepwise in [false, true] {
            let (mut client, mut bridge) = pair();
            client.set_stepwise(stepwise);
            let (wire, content) = answer(&mut bridge, &[100, 200, 300]);
            let (early, late) = wire.split_at(400);
            client.handle_input(Duration::ZERO, early).unwrap();
            let (mut stream, _) = client_over(client, vec![late.to_vec()]);
            let (heard, end) = read_with(&mut stream, &[70]).await;
            assert!(heard == content && end.is_ok(), "{end:?}");
        }
    });
}

#[test]
fn what_is_good_is_read_before_what_is_broken() {
    run(async {
        for room in [1 << 16, 10] {
            let (client, mut bridge) = pair();
            let (mut wire, _) = answer(&mut bridge, &[100, 200]);
            wire[250] ^= 1;
            let (mut stream, written) = client_over(client, vec![wire]);
            let (heard, end) = read_with(&mut stream, &[room]).await;
            assert_eq!(heard, numbered(100));
            assert_eq!(end.unwrap_err().kind(), io::ErrorKind::InvalidData);
            let alert = written.lock().unwrap().0.clone();
            assert!(bridge.handle_input(&alert).is_err(), "the alert says so");
        }
    });
}

#[test]
fn a_cut_is_no_end() {
    run(async {
        let (client, mut bridge) = pair();
        let (wire, _) = answer(&mut bridge, &[100]);
        let (mut stream, _) = client_over(client, vec![wire[..wire.len() - 1].to_vec()]);
        let (heard, end) = read_with(&mut stream, &[1000]).await;
        assert_eq!(heard, numbered(100));
        assert_eq!(end.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    });
}

/// What is let go of after the handshake is not missed: bytes, new keys and tickets.
#[test]
fn a_connection_lives_without_its_handshake() {
    let (mut client, mut bridge) = pair();
    client.forget_handshake();
    bridge.forget_handshake();
    assert!(client.client_hello().is_empty() && bridge.server_hello().is_empty());
    for number in 0..3_u8 {
        let mut wire = Vec::new();
        bridge.update_keys(&mut wire).unwrap();
        bridge.seal(&[number; 100], &mut wire).unwrap();
        client.handle_input(Duration::ZERO, &wire).unwrap();
        assert_eq!(std::mem::take(client.plaintext()), [number; 100]);
        wire.clear();
        client.seal(&[number; 50], &mut wire).unwrap();
        bridge.handle_input(&wire).unwrap();
        assert_eq!(std::mem::take(bridge.plaintext()), [number; 50]);
    }
    client.close().unwrap();
    let mut wire = Vec::new();
    client.poll_transmit(&mut wire);
    bridge.handle_input(&wire).unwrap();
    assert!(bridge.is_closed());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn bulk_is_read_whole(
        lengths in proptest::collection::vec(1..50_000_usize, 1..9),
        portions in proptest::collection::vec(1..70_000_usize, 1..6),
        rooms in proptest::collection::vec(prop_oneof![1..100_usize, 1..300_000_usize], 1..5),
    ) {
        let (heard, content, end) = run(async {
            let (client, mut bridge) = pair();
            let (wire, content) = answer(&mut bridge, &lengths);
            let (mut stream, _) = client_over(client, portions_of(&wire, &portions));
            let (heard, end) = read_with(&mut stream, &rooms).await;
            (heard, content, end)
        });
        prop_assert!(heard == content && end.is_ok(), "{:?}", end);
    }

    #[test]
    fn bulk_is_written_whole(
        lengths in proptest::collection::vec(1..400_000_usize, 1..5),
        most in prop_oneof![1..300_usize, 1..400_000_usize],
    ) {
        let (content, opened) = run(async {
            let (client, mut bridge) = pair();
            let (carrier, written) = Portions::new([], most);
            let mut stream = TlsStream::new(Box::new(carrier), ClientEngine::new(client));
            let mut content = Vec::new();
            for length in lengths {
                let bytes = numbered(length);
                stream.write_all(&bytes).await.unwrap();
                content.extend_from_slice(&bytes);
            }
            stream.shutdown().await.unwrap();
            let wire = std::mem::take(&mut written.lock().unwrap().0);
            bridge.handle_input(&wire).unwrap();
            assert!(bridge.is_closed());
            (content, std::mem::take(bridge.plaintext()))
        });
        prop_assert!(content == opened);
    }
}
