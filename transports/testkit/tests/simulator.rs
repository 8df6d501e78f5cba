//! What the simulated network promises: TCP semantics, exact delays, faults, and the same packets for the same seed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::{
    future::poll_fn,
    io::ErrorKind,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use commucat_net::SystemNet;
use commucat_testkit::{
    sim::{LinkPolicy, PacketKind, SimNet, Trace},
    suite::{StreamPair, TCP_SEMANTICS, tcp_semantics},
    wrap::{Recorder, Throttle},
};
use commucat_transport_api::{BoxStream, HostPort, Net, UdpPort};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, ReadBuf},
    time::Instant,
};

const ANY: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
const DELAY: Duration = Duration::from_millis(80);

fn two_hosts(seed: u64, policy: LinkPolicy) -> (SimNet, SimNet) {
    let net = SimNet::new(seed);
    net.set_policy(policy);
    let server = net.for_host(Ipv4Addr::new(10, 0, 0, 2).into());
    (net, server)
}

async fn pair(client: &dyn Net, server: &dyn Net) -> StreamPair {
    let mut port = server.listen_stream(ANY).await.unwrap();
    let to = port.local_addr().unwrap().into();
    let (near, far) = tokio::join!(client.connect_stream(&to), port.accept());
    StreamPair { near: near.unwrap(), far: far.unwrap().0 }
}

/// Every rule, in both directions, on pairs of this network.
async fn keeps_every_rule(client: &dyn Net, server: &dyn Net) {
    for rule in TCP_SEMANTICS {
        let straight = pair(client, server).await;
        let StreamPair { near, far } = pair(client, server).await;
        for pair in [straight, StreamPair { near: far, far: near }] {
            tcp_semantics(*rule, pair, client).await.unwrap();
        }
    }
}

#[tokio::test(start_paused = true)]
async fn simulated_streams_behave_as_tcp() {
    for policy in [
        LinkPolicy::default(),
        LinkPolicy::with_delay(DELAY),
        LinkPolicy::with_delay(DELAY).loss_percent(20).jitter(DELAY),
        LinkPolicy::with_delay(DELAY).rate(1_000_000).window(10_000),
    ] {
        let (client, server) = two_hosts(3, policy);
        keeps_every_rule(&client, &server).await;
        drop((client, server));
    }
}

/// The same rules on the kernel's own TCP: the rules are right, and the simulator is measured by them.
#[tokio::test]
async fn the_kernel_behaves_as_tcp() {
    let net = SystemNet::new();
    keeps_every_rule(net.as_ref(), net.as_ref()).await;
}

#[tokio::test(start_paused = true)]
async fn opening_writing_and_ending_take_exactly_the_delay() {
    let (client, server) = two_hosts(1, LinkPolicy::with_delay(DELAY));
    let mut port = server.listen_stream(ANY).await.unwrap();
    let to = port.local_addr().unwrap().into();
    let began = Instant::now();
    let connecting = async { (client.connect_stream(&to).await.unwrap(), began.elapsed()) };
    let accepting = async { (port.accept().await.unwrap().0, began.elapsed()) };
    let ((mut near, connected), (mut far, accepted)) = tokio::join!(connecting, accepting);
    assert_eq!((connected, accepted), (DELAY * 2, DELAY * 3));
    let began = Instant::now();
    near.write_all(b"ping").await.unwrap();
    near.shutdown().await.unwrap();
    assert_eq!(began.elapsed(), Duration::ZERO, "neither waits for the peer");
    let mut got = Vec::new();
    far.read_to_end(&mut got).await.unwrap();
    assert_eq!((&got[..], began.elapsed()), (&b"ping"[..], DELAY));
    far.write_all(b"pong").await.unwrap();
    drop(far);
    let mut got = Vec::new();
    near.read_to_end(&mut got).await.unwrap();
    assert_eq!((&got[..], began.elapsed()), (&b"pong"[..], DELAY * 2));
}

#[tokio::test(start_paused = true)]
async fn a_stream_is_paced_by_rate_and_window() {
    let (client, server) = two_hosts(1, LinkPolicy::default().rate(100_000).mtu(1040));
    let StreamPair { mut near, mut far } = pair(&client, &server).await;
    let began = Instant::now();
    let writing = async { near.write_all(&[7; 100_000]).await.unwrap() };
    let mut got = vec![0; 100_000];
    tokio::join!(writing, async { far.read_exact(&mut got).await.unwrap() });
    // A hundred segments of 1040 bytes.
    let took = began.elapsed();
    assert!((1035..1045).contains(&took.as_millis()), "{took:?}");

    client.set_policy(LinkPolicy::with_delay(DELAY).window(10_000));
    let StreamPair { mut near, mut far } = pair(&client, &server).await;
    let began = Instant::now();
    let writing = async { near.write_all(&[7; 100_000]).await.unwrap() };
    tokio::join!(writing, async { far.read_exact(&mut got).await.unwrap() });
    let took = began.elapsed();
    assert_eq!(took, DELAY * 19, "ten windows: nine round trips and a delay");
}

#[tokio::test(start_paused = true)]
async fn every_way_to_not_connect_has_its_error() {
    let (client, server) = two_hosts(1, LinkPolicy::with_delay(DELAY));
    let began = Instant::now();
    let connect =
        async |to: String| client.connect_stream(&to.parse().unwrap()).await.map(drop).unwrap_err().kind();
    assert_eq!(connect(format!("{}:9", server.host())).await, ErrorKind::ConnectionRefused);
    assert_eq!(began.elapsed(), DELAY * 2);
    assert_eq!(connect("10.0.0.77:9".into()).await, ErrorKind::HostUnreachable);
    assert_eq!(connect("nobody.example:9".into()).await, ErrorKind::NotFound);
    client.cut(client.host(), server.host());
    let began = Instant::now();
    assert_eq!(connect(format!("{}:9", server.host())).await, ErrorKind::TimedOut);
    assert_eq!(began.elapsed().as_secs(), 127);
    assert_eq!(client.open_sockets(), 0, "a failed connect leaves nothing");
}

#[tokio::test(start_paused = true)]
async fn addresses_are_taken_freed_and_named() {
    let (client, server) = two_hosts(1, LinkPolicy::default());
    client.add_name("Bridge.example", &[server.host()]);
    let port = server.listen_stream("0.0.0.0:443".parse().unwrap()).await.unwrap();
    let taken = server.listen_stream("0.0.0.0:443".parse().unwrap()).await.map(drop).unwrap_err();
    assert_eq!(taken.kind(), ErrorKind::AddrInUse);
    let foreign = server.listen_stream("10.0.0.99:443".parse().unwrap()).await.map(drop).unwrap_err();
    assert_eq!(foreign.kind(), ErrorKind::AddrNotAvailable);
    let bridge: HostPort = "bridge.EXAMPLE:443".parse().unwrap();
    assert_eq!(client.resolve(&bridge).await.unwrap(), [SocketAddr::new(server.host(), 443)]);
    assert!(client.connect_stream(&bridge).await.is_ok());
    drop(port);
    assert!(server.listen_stream("0.0.0.0:443".parse().unwrap()).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_given_up_connect_is_never_accepted() {
    let (client, server) = two_hosts(1, LinkPolicy::with_delay(DELAY));
    let mut port = server.listen_stream(ANY).await.unwrap();
    let to: HostPort = port.local_addr().unwrap().into();
    for given_up_ms in [0, 40, 100, 159] {
        let connecting = client.connect_stream(&to);
        assert!(tokio::time::timeout(Duration::from_millis(given_up_ms), connecting).await.is_err());
    }
    assert!(tokio::time::timeout(Duration::from_secs(10), port.accept()).await.is_err());
    drop(port);
    assert_eq!(client.open_sockets(), 0);
}

#[tokio::test(start_paused = true)]
async fn unread_bytes_turn_a_drop_into_a_reset() {
    let (client, server) = two_hosts(1, LinkPolicy::with_delay(DELAY));
    let StreamPair { mut near, far } = pair(&client, &server).await;
    near.write_all(b"never read").await.unwrap();
    tokio::time::sleep(DELAY).await;
    drop(far);
    let began = Instant::now();
    assert_eq!(near.read(&mut [0; 8]).await.unwrap_err().kind(), ErrorKind::ConnectionReset);
    assert_eq!(began.elapsed(), DELAY);
    assert!(near.write(b"x").await.is_err());
    drop(near);
    assert_eq!(client.open_sockets(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_cut_link_holds_bytes_back_and_a_reset_ends_streams() {
    let (client, server) = two_hosts(1, LinkPolicy::with_delay(DELAY));
    let StreamPair { mut near, mut far } = pair(&client, &server).await;
    client.cut(client.host(), server.host());
    near.write_all(b"later").await.unwrap();
    let mut got = [0; 5];
    let silent = tokio::time::timeout(Duration::from_secs(30), far.read_exact(&mut got)).await;
    assert!(silent.is_err());
    client.restore(client.host(), server.host());
    far.read_exact(&mut got).await.unwrap();
    assert_eq!(&got, b"later");
    client.reset_all_streams();
    assert_eq!(near.read(&mut got).await.unwrap_err().kind(), ErrorKind::ConnectionReset);
    assert_eq!(far.write(&got).await.unwrap_err().kind(), ErrorKind::ConnectionReset);
}

#[tokio::test(start_paused = true)]
async fn datagrams_are_lost_delayed_and_overtaken() {
    let policy = LinkPolicy::with_delay(DELAY).loss_percent(10).jitter(Duration::from_millis(20));
    let (client, server) = two_hosts(5, policy);
    let from = client.bind_datagram(ANY).await.unwrap();
    let to = server.bind_datagram(ANY).await.unwrap();
    let address = to.local_addr().unwrap();
    for number in 0..1000u16 {
        poll_fn(|cx| from.poll_send_to(cx, &number.to_be_bytes(), address)).await.unwrap();
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let mut got = Vec::new();
    while let Ok(number) = tokio::time::timeout(Duration::from_secs(1), receive(to.as_ref())).await {
        got.push(u16::from_be_bytes(number.try_into().unwrap()));
    }
    assert!((860..940).contains(&got.len()), "{}", got.len());
    assert!(!got.is_sorted(), "jitter lets later ones overtake");
    got.sort_unstable();
    got.dedup();
    assert!(got.len() > 860, "none comes twice");
    let long = poll_fn(|cx| from.poll_send_to(cx, &[0; 65_508], address)).await.unwrap_err();
    assert_eq!(long.kind(), ErrorKind::InvalidInput);
}

async fn receive(port: &dyn UdpPort) -> Vec<u8> {
    let mut bytes = [0; 2048];
    let mut buf = ReadBuf::new(&mut bytes);
    poll_fn(|cx| port.poll_recv_from(cx, &mut buf)).await.unwrap();
    buf.filled().to_vec()
}

/// A few streams and datagrams over a path with every fault.
fn run(seed: u64) -> (Trace, [u8; 16]) {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let policy = LinkPolicy::with_delay(DELAY)
            .loss_percent(5)
            .jitter(DELAY)
            .reorder_percent(5, DELAY)
            .rate(500_000);
        let (client, server) = two_hosts(seed, policy);
        let mut tasks = tokio::task::JoinSet::new();
        for _stream in 0..5 {
            let StreamPair { mut near, mut far } = pair(&client, &server).await;
            tasks.spawn(async move { near.write_all(&[1; 30_000]).await.unwrap() });
            tasks.spawn(async move { assert_eq!(far.read_to_end(&mut Vec::new()).await.unwrap(), 30_000) });
        }
        while let Some(done) = tasks.join_next().await {
            done.unwrap();
        }
        let mut random = [0; 16];
        client.fill_random(&mut random).unwrap();
        (client.trace(), random)
    })
}

#[test]
fn one_seed_is_one_trace() {
    let (first, random) = run(42);
    let (second, random_again) = run(42);
    assert!(first.total() > 120 && first.entries().iter().any(|entry| entry.kind == PacketKind::Fin));
    assert_eq!(first.entries(), second.entries());
    assert_eq!((first.digest(), random), (second.digest(), random_again));
    let (other, other_random) = run(43);
    assert!(other != first && other_random != random);
}

#[tokio::test(start_paused = true)]
async fn each_host_has_a_wall_clock() {
    let (client, server) = two_hosts(1, LinkPolicy::default());
    assert_eq!(client.unix_time(), server.unix_time());
    client.set_clock_offset(-300);
    assert_eq!(server.unix_time().abs_diff(client.unix_time()), Duration::from_secs(300));
    tokio::time::sleep(DELAY).await;
    assert_eq!(server.unix_time().abs_diff(client.unix_time()), Duration::from_secs(300));
    assert_eq!(client.now(), server.now());
}

#[tokio::test(start_paused = true)]
async fn wrappers_record_and_hold_up() {
    let (client, server) = two_hosts(1, LinkPolicy::with_delay(DELAY));
    let recorder = Recorder::new(Arc::new(client.clone()));
    let slow = Throttle::one_byte().over(recorder.net());
    let StreamPair { mut near, mut far } = pair(slow.as_ref(), &server).await;
    assert_eq!(near.write(b"hello").await.unwrap(), 1, "one byte a write");
    near.write_all(b"ello").await.unwrap();
    let mut got = [0; 5];
    far.read_exact(&mut got).await.unwrap();
    far.write_all(b"you").await.unwrap();
    assert_eq!(near.read(&mut got).await.unwrap(), 1, "one byte a read");
    let recorded = recorder.streams();
    assert_eq!((&recorded[0].sent[..], &recorded[0].received[..]), (&b"hello"[..], &b"y"[..]));

    let hole = Throttle::black_hole_after(7).over(Arc::new(client.clone()));
    let StreamPair { mut near, mut far } = pair(hole.as_ref(), &server).await;
    let stuck = tokio::time::timeout(Duration::from_secs(100), near.write_all(b"0123456789")).await;
    assert!(stuck.is_err());
    let mut got = [0; 7];
    far.read_exact(&mut got).await.unwrap();
    assert_eq!(&got, b"0123456");
    let _held: BoxStream = near;
    assert!(tokio::time::timeout(Duration::from_secs(100), far.read(&mut got)).await.is_err());
}
