//! Visitors that mean harm: cut hellos, floods, records that are too long, silence. The bridge stays bounded, answers as the
//! site, and serves others meanwhile.

use std::time::Duration;

use commucat_net::SystemNet;
use commucat_reality::Reality;
use commucat_transport_api::{Cx, HostPort, Phase, PluggableTransport as _, Signal, Target};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    time::timeout,
};

use crate::place::{PATIENCE, Place};

/// What a server has read whole before it answers, so that no reset can overtake the answer.
const SHORT_BYTES: usize = 100;

/// A wire between a client and the bridge that carries the first bytes up one at a time.
async fn byte_by_byte(to: &HostPort, first: usize) -> HostPort {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = HostPort::from(listener.local_addr().unwrap());
    let to = to.socket_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((near, _)) = listener.accept().await {
            let far = TcpStream::connect(to).await.unwrap();
            far.set_nodelay(true).unwrap();
            let ((mut near_read, mut near_write), (mut far_read, mut far_write)) =
                (near.into_split(), far.into_split());
            tokio::spawn(async move {
                let (mut chunk, mut left) = (vec![0; 4096], first);
                while let Ok(count @ 1..) = near_read.read(&mut chunk).await {
                    for part in chunk[..count].chunks(if left > 0 { 1 } else { count }) {
                        far_write.write_all(part).await?;
                        tokio::task::yield_now().await;
                    }
                    left = left.saturating_sub(count);
                }
                far_write.shutdown().await
            });
            tokio::spawn(async move {
                let mut chunk = vec![0; 4096];
                while let Ok(count @ 1..) = far_read.read(&mut chunk).await {
                    near_write.write_all(&chunk[..count]).await?;
                }
                near_write.shutdown().await
            });
        }
    });
    at
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hello_of_ours_byte_by_byte_is_still_ours() {
    let place = Place::start().await;
    // The hello, the second flight and the request.
    let wire = byte_by_byte(&place.bridge, 2200).await;
    let mut spec = place.spec.clone();
    spec.endpoint = wire;
    let slow = Reality::new().client(&spec).unwrap();
    place.says(&*slow).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn noise_gets_the_answer_of_the_site() {
    let place = Place::start().await;
    let ccs = [20, 3, 3, 0, 1, 1];
    let hostile: [(&str, Vec<u8>); 7] = [
        ("change_cipher_specs", ccs.repeat(3000)),
        ("a record longer than records are", [&[22, 3, 1, 0xff, 0xff, 1][..], &[0; 40_000]].concat()),
        (
            "a hello longer than hellos are",
            [&[22, 3, 1, 0x40, 0, 1, 0xff, 0xff, 0xff][..], &[0; 60_000]].concat(),
        ),
        ("empty records", [22, 3, 1, 0, 0].repeat(5000)),
        ("an alert", vec![21, 3, 1, 0, 2, 2, 40]),
        ("SSLv2", vec![0x80, 0x2e, 1, 0, 2, 0, 0x15, 0, 0, 0, 0x10]),
        ("half a hello", vec![22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3]),
    ];
    for (what, sent) in hostile {
        let bridge = Place::answer(&place.bridge, &sent).await;
        let site = Place::answer(&place.site, &sent).await;
        // Who sends on after he was refused may be reset by the kernel before he has read the answer, at either place.
        let reset = sent.len() > SHORT_BYTES && (!bridge.1 || !site.1);
        assert!(reset || bridge == site, "{what}: {bridge:?} and {site:?}");
        place.serves().await;
    }
}

/// The rest of hellos that never comes, and visitors who never read: others are served.
#[tokio::test(flavor = "multi_thread")]
async fn half_open_hellos_hold_nobody_up() {
    const VISITORS: usize = 400;
    let place = Place::start().await;
    let mut stalled = Vec::new();
    for number in 0..VISITORS {
        let mut stream = TcpStream::connect(place.bridge.socket_addr().unwrap()).await.unwrap();
        stream.write_all(&[22, 3, 1, 2, 0, 1, 0][..1 + number % 7]).await.unwrap();
        stalled.push(stream);
    }
    for _ in 0..5 {
        place.serves().await;
    }
    // Nobody of them was thrown out: the site waits, and so does the bridge.
    let first = &mut stalled[0];
    let answer = timeout(Duration::from_millis(50), first.read(&mut [0; 10])).await;
    assert!(answer.is_err(), "{answer:?}");
    drop(stalled);
    place.serves().await;
}

/// A hello of ours whose sender goes silent behind it, and one who floods inside the handshake.
#[tokio::test(flavor = "multi_thread")]
async fn ours_that_break_the_protocol_are_ended() {
    let place = Place::start().await;
    let hello = captured_hello(&place).await;
    let mut stream = TcpStream::connect(place.bridge.socket_addr().unwrap()).await.unwrap();
    stream.write_all(&hello).await.unwrap();
    let mut flight = vec![0; 7];
    timeout(PATIENCE, stream.read_exact(&mut flight)).await.unwrap().unwrap();
    assert_eq!(flight[0], 22);
    // Behind its hello a client sends one change_cipher_spec, not a thousand.
    stream.write_all(&[20, 3, 3, 0, 1, 1].repeat(1000)).await.ok();
    let mut rest = Vec::new();
    // An end or a reset, but soon.
    timeout(PATIENCE, stream.read_to_end(&mut rest)).await.expect("an end").ok();
    place.serves().await;
}

/// The hello of a client of this bridge, which never reached it.
async fn captured_hello(place: &Place) -> Vec<u8> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut spec = place.spec.clone();
    spec.endpoint = listener.local_addr().unwrap().into();
    let client = Reality::new().client(&spec).unwrap();
    let dialling = tokio::spawn(async move {
        let cx = Cx::new(SystemNet::new(), PATIENCE);
        client.dial(&cx, &Target::Bridge).await.map(drop)
    });
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut head = [0; 5];
    stream.read_exact(&mut head).await.unwrap();
    let mut body = vec![0; usize::from(u16::from_be_bytes([head[3], head[4]]))];
    stream.read_exact(&mut body).await.unwrap();
    drop(stream);
    dialling.await.unwrap().unwrap_err();
    [&head[..], &body].concat()
}

/// Once it is ours; replayed, it is the site that answers. From outside the two look alike.
#[tokio::test(flavor = "multi_thread")]
async fn a_captured_hello_passes_once() {
    let place = Place::start().await;
    let hello = captured_hello(&place).await;
    let mut lengths = Vec::new();
    for _ in 0..2 {
        let mut stream = TcpStream::connect(place.bridge.socket_addr().unwrap()).await.unwrap();
        stream.write_all(&hello).await.unwrap();
        let mut answer = vec![0; 1200];
        timeout(PATIENCE, stream.read_exact(&mut answer)).await.unwrap().unwrap();
        assert_eq!(answer[0], 22, "a handshake either way");
        lengths.push(u16::from_be_bytes([answer[3], answer[4]]));
    }
    // The ServerHello of the site and the one with our share have the same length.
    assert_eq!(lengths[0], lengths[1]);
}

/// Lengths and content types of the records of an answer that ends.
async fn records_until_the_end(stream: &mut TcpStream) -> Vec<(u8, u16)> {
    let mut answer = Vec::new();
    timeout(PATIENCE, stream.read_to_end(&mut answer)).await.expect("an end").ok();
    let mut rest = answer.as_slice();
    let mut found = Vec::new();
    while let [kind, _, _, high, low, ..] = *rest {
        let length = u16::from_be_bytes([high, low]);
        found.push((kind, length));
        rest = rest.get(5 + usize::from(length)..).expect("whole records");
    }
    found
}

/// Somebody on the way changes the client's Finished: the bridge says what the site says, and does not fall silent.
#[tokio::test(flavor = "multi_thread")]
async fn a_changed_finished_gets_the_alert_of_the_site() {
    let place = Place::start().await;
    let hello = captured_hello(&place).await;
    let finished = [&[20, 3, 3, 0, 1, 1, 23, 3, 3, 0, 53][..], &[7; 53]].concat();
    let mut answers = Vec::new();
    // The first is ours, the second a replay, which the site answers itself.
    for _ in 0..2 {
        let mut stream = TcpStream::connect(place.bridge.socket_addr().unwrap()).await.unwrap();
        stream.write_all(&hello).await.unwrap();
        let mut first = [0; 1];
        timeout(PATIENCE, stream.peek(&mut first)).await.unwrap().unwrap();
        stream.write_all(&finished).await.unwrap();
        answers.push(records_until_the_end(&mut stream).await);
    }
    assert_eq!(answers[0], answers[1]);
    assert_eq!(answers[0].last(), Some(&(23, 19)), "a sealed alert: {:?}", answers[0]);
}

/// The key is right and the user is not: the probe can say so.
#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_user_is_named() {
    let place = Place::start().await;
    let mut spec = place.spec.clone();
    spec.params["user"] = "b831381d-6324-4d53-ad4f-8cda48b30811".into();
    let client = Reality::new().client(&spec).unwrap();
    let report = client.probe(&Cx::new(SystemNet::new(), PATIENCE)).await;
    let failure = report.first_failure().expect("a failure");
    assert_eq!((failure.phase, &failure.signal), (Phase::Authenticate, &Signal::UnknownUser), "{report:?}");
    let good = place.client.probe(&Cx::new(SystemNet::new(), PATIENCE)).await;
    assert!(good.first_failure().is_none(), "{good:?}");
}
