//! Xray 26.10 on either side: plain VLESS and Vision, with TLS and without inside, datagrams, ML-DSA-65.

mod ends;
mod program;

use std::net::SocketAddr;

use commucat_tests_interop::{
    SocksUdp, echo_service,
    shadowsocks::{Ending, exchange, through_our_client, through_socks},
    socks_connect, udp_echo_service,
};
use rustls::version::{TLS12, TLS13};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    task::JoinSet,
    time::timeout,
};

use self::{
    ends::{FromXray, ToXray},
    program::Xray,
};
use crate::{
    SOME_BYTES,
    ends::{PATIENCE, Setup},
    inner::{Inner, bulk},
    tap::Tap,
};

/// Bytes of a big transfer.
const MUCH_BYTES: usize = 256 << 20;

#[tokio::test(flavor = "multi_thread")]
async fn our_client_to_its_server() {
    let Some(xray) = Xray::find() else { return };
    for setup in [Setup::default(), Setup { ml_dsa: true, flow: "" }] {
        for fingerprint in ["chrome", "firefox"] {
            let ends = ToXray::start(&xray, setup, fingerprint).await;
            through_our_client(&*ends.client, Ending::AfterAnswer).await.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn its_client_to_our_server() {
    let Some(xray) = Xray::find() else { return };
    for setup in [Setup::default(), Setup { ml_dsa: true, flow: "" }] {
        let ends = FromXray::start(&xray, setup, true).await;
        through_socks(ends.proxy, Ending::AfterAnswer).await.unwrap();
        assert!(ends.bridge.users_seen().iter().all(|user| user == "anna"));
    }
}

/// VLESS UDP: what Xray sends when it may not name a peer for each datagram. An association has one peer then.
#[tokio::test(flavor = "multi_thread")]
async fn its_client_without_xudp_to_our_server() {
    let Some(xray) = Xray::find() else { return };
    let ends = FromXray::start(&xray, Setup::default(), false).await;
    for _association in 0..2 {
        let (udp, echo) = (SocksUdp::open(ends.proxy).await.unwrap(), udp_echo_service().await.unwrap());
        for length in [1, 700, 1400] {
            let sent = vec![u8::try_from(length % 251).unwrap(); length];
            udp.send(echo, &sent).await.unwrap();
            let (from, heard) = timeout(PATIENCE, udp.receive()).await.unwrap().unwrap();
            assert_eq!((from, heard), (echo.into(), sent));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn our_client_to_its_server_with_vision() {
    let Some(xray) = Xray::find() else { return };
    let ends = ToXray::start(&xray, Setup::VISION, "chrome").await;
    through_our_client(&*ends.client, Ending::AfterAnswer).await.unwrap();
    for version in [&TLS13, &TLS12] {
        let ends = ToXray::start(&xray, Setup::VISION, "chrome").await;
        let inner = Inner::start(version).await;
        let tap = Tap::start(inner.address).await;
        let streams = [ends.stream(tap.address).await, ends.stream(tap.address).await];
        timeout(PATIENCE, inner.through(streams, SOME_BYTES)).await.unwrap();
        // The inner TLS 1.3 is on the wire as it is, the older one is not.
        assert_eq!(ends.tap.heard(&tap.middles()), [version == &TLS13; 2]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn its_client_to_our_server_with_vision() {
    let Some(xray) = Xray::find() else { return };
    let ends = FromXray::start(&xray, Setup::VISION, true).await;
    through_socks(ends.proxy, Ending::AfterAnswer).await.unwrap();
    for version in [&TLS13, &TLS12] {
        let ends = FromXray::start(&xray, Setup::VISION, true).await;
        let inner = Inner::start(version).await;
        let tap = Tap::start(inner.address).await;
        let connect = async || socks_connect(ends.proxy, &tap.address.into()).await.unwrap();
        timeout(PATIENCE, inner.through([connect().await, connect().await], SOME_BYTES)).await.unwrap();
        assert_eq!(ends.tap.heard(&tap.middles()), [version == &TLS13; 2]);
    }
}

/// 256 MiB each way at the same time, without a flow and with it, and then 64 streams at once.
#[tokio::test(flavor = "multi_thread")]
async fn our_client_moves_much_through_its_server() {
    let Some(xray) = Xray::find() else { return };
    for setup in [Setup::default(), Setup::VISION] {
        let ends = ToXray::start(&xray, setup, "chrome").await;
        let (echo, inner) = (echo_service().await.unwrap(), Inner::start(&TLS13).await);
        timeout(PATIENCE, bulk(ends.stream(echo).await, MUCH_BYTES)).await.unwrap();
        let streams = [ends.stream(inner.address).await, ends.stream(inner.address).await];
        timeout(PATIENCE, inner.through(streams, MUCH_BYTES)).await.unwrap();
        many(|| ends.stream(echo)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn its_client_moves_much_through_our_server() {
    let Some(xray) = Xray::find() else { return };
    for setup in [Setup::default(), Setup::VISION] {
        let ends = FromXray::start(&xray, setup, true).await;
        let (echo, inner) = (echo_service().await.unwrap(), Inner::start(&TLS13).await);
        let connect = async |to: SocketAddr| socks_connect(ends.proxy, &to.into()).await.unwrap();
        timeout(PATIENCE, bulk(connect(echo).await, MUCH_BYTES)).await.unwrap();
        let streams = [connect(inner.address).await, connect(inner.address).await];
        timeout(PATIENCE, inner.through(streams, MUCH_BYTES)).await.unwrap();
        many(|| connect(echo)).await;
    }
}

/// Opens 64 streams one after the other and uses all of them at the same time.
async fn many<S, F>(mut open: impl FnMut() -> F)
where
    F: Future<Output = S>,
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let mut all = JoinSet::new();
    for _stream in 0..64 {
        all.spawn(exchange(open().await, Ending::AfterAnswer));
    }
    while let Some(done) = timeout(PATIENCE, all.join_next()).await.unwrap() {
        done.unwrap().unwrap();
    }
}

/// A user of Vision may also come without a flow.
#[tokio::test(flavor = "multi_thread")]
async fn a_bridge_takes_both_flows() {
    let Some(xray) = Xray::find() else { return };
    let ends = FromXray::start(&xray, Setup::VISION, true).await;
    let (_running, plain) = ends.another(&xray, Setup::default()).await;
    for proxy in [ends.proxy, plain] {
        let echo = echo_service().await.unwrap();
        let stream = timeout(PATIENCE, socks_connect(proxy, &echo.into())).await.unwrap().unwrap();
        timeout(PATIENCE, exchange(stream, Ending::AfterAnswer)).await.unwrap().unwrap();
    }
}
