//! The client over the real transports, with the transports' own servers and a minimal bridge behind them.

use std::{future::poll_fn, sync::Arc, time::Duration};

use commucat_bundle::Bundle;
use commucat_client::{
    Options, Runtime,
    doctor::{DoctorOptions, run},
    endpoints,
};
use commucat_net::{RelayOptions, SystemNet, relay};
use commucat_proto::link::Link;
use commucat_transport_api::{
    Accepted, Channel, Cx, DatagramChannel, HostPort, Net, Secret, Spec, Target, TransportId, User, UserTable,
};
use commucat_verdict::CauseKind;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, ReadBuf},
    task::JoinSet,
};

use crate::{
    peer::{Ends, echo, in_background, within},
    socks::socks5,
};

const BUDGET: Duration = Duration::from_secs(10);

/// A bridge of one transport; gives the spec of its only user.
async fn bridge(transport: &'static str) -> (Spec, Ends) {
    let bundle = Bundle::standard();
    let id = TransportId::from_static(transport);
    let params = bundle.generate_server_params(&id).unwrap();
    let user = User { id: "ann".parse().unwrap(), secret: Secret::new([7; 32]) };
    let users = Arc::new(UserTable::new(vec![user.clone()]));
    let spec = Spec::new(id, "127.0.0.1:0".parse().unwrap(), params).unwrap();
    let server = bundle.server(&spec, &users).unwrap();
    let net: Arc<dyn Net> = SystemNet::new();
    let mut listener = server.listen(&Cx::new(Arc::clone(&net), BUDGET)).await.unwrap();
    let address = HostPort::from(listener.local_addr().unwrap());
    let client = server.client_spec(&address, &user).unwrap();
    let task = in_background(async move {
        let mut open = JoinSet::new();
        while let Ok(incoming) = listener.accept().await {
            let net = Arc::clone(&net);
            open.spawn(async move {
                if let Ok(accepted) = incoming.handshake().await {
                    serve(accepted, net).await;
                }
            });
        }
    });
    (client, task)
}

async fn serve(accepted: Accepted, net: Arc<dyn Net>) {
    match (accepted.channel, accepted.target) {
        (Channel::Stream(stream), Target::Stream(to)) => {
            let Ok(remote) = net.connect_stream(&to).await else { return };
            relay(stream, remote, &RelayOptions::default()).await.ok();
        }
        (Channel::Stream(mut stream), Target::Bridge) => {
            let asked = stream.read(&mut [0; 1024]).await;
            assert!(asked.is_ok_and(|read| read > 0));
            stream.write_all(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n").await.ok();
            stream.shutdown().await.ok();
        }
        (Channel::Datagrams(mut datagrams), Target::Datagrams) => while mirror(&mut *datagrams).await {},
        other => panic!("{other:?}"),
    }
}

/// Sends one datagram back as if its peer had answered.
async fn mirror(channel: &mut dyn DatagramChannel) -> bool {
    let mut buffer = vec![0; 2048];
    let mut buf = ReadBuf::new(&mut buffer);
    let Ok(Some(peer)) = poll_fn(|cx| channel.poll_recv(cx, &mut buf)).await else { return false };
    let payload = buf.filled().to_vec();
    poll_fn(|cx| channel.poll_send(cx, &payload, &peer)).await.is_ok()
}

async fn client(specs: Vec<Spec>) -> Runtime {
    let options = Options { listen: "127.0.0.1:0".parse().unwrap(), ..Options::default() };
    let link = Link::new("test", specs, false);
    Runtime::start(SystemNet::new(), &Bundle::standard(), &link, options).await.unwrap()
}

async fn examine(specs: Vec<Spec>) -> CauseKind {
    let link = Link::new("test", specs, false);
    let endpoints = endpoints(&Bundle::standard(), &link).unwrap();
    let options = DoctorOptions { controls: Vec::new(), budget: Duration::from_secs(3), ask_system: false };
    let net: Arc<dyn Net> = SystemNet::new();
    let report = within(run(&net, &endpoints, &options)).await.unwrap();
    report.overall.cause.kind()
}

#[tokio::test]
async fn bytes_and_half_closes_go_through_every_transport() {
    let (echo, _echo) = echo().await;
    for transport in ["shadowsocks", "websocket"] {
        let (spec, _bridge) = bridge(transport).await;
        let client = client(vec![spec.clone()]).await;
        let (mut stream, code) = within(socks5(client.local_addr(), &echo.to_string())).await;
        assert_eq!(code, 0, "{transport}");
        let sent: Vec<u8> = (0..500_000_u32).map(|at| u8::try_from(at % 251).unwrap()).collect();
        let (mut read, mut write) = stream.split();
        let upload = async {
            write.write_all(&sent).await.unwrap();
            write.shutdown().await.unwrap();
        };
        let mut back = Vec::new();
        within(async { tokio::join!(upload, read.read_to_end(&mut back)).1.unwrap() }).await;
        assert!(back == sent, "{transport}: {} of {} bytes", back.len(), sent.len());
        assert_eq!(examine(vec![spec]).await, CauseKind::Ok, "{transport}");
    }
}

#[tokio::test]
async fn datagrams_go_through_the_transport_that_has_them() {
    let (spec, _bridge) = bridge("shadowsocks").await;
    let client = client(vec![spec]).await;
    let channel = within(client.manager().datagrams()).await;
    let mut channel = channel.unwrap();
    let peer: HostPort = "192.0.2.53:53".parse().unwrap();
    within(poll_fn(|cx| channel.poll_send(cx, b"query", &peer))).await.unwrap();
    let mut buffer = [0; 64];
    let mut buf = ReadBuf::new(&mut buffer);
    let from = within(poll_fn(|cx| channel.poll_recv(cx, &mut buf))).await.unwrap();
    assert_eq!((from, buf.filled()), (Some(peer), &b"query"[..]));
}

/// The spec of another user on another bridge, at this bridge's address.
async fn with_foreign_key(transport: &'static str) -> (Spec, Ends, Ends) {
    let (spec, task) = bridge(transport).await;
    let (mut other, other_task) = bridge(transport).await;
    other.endpoint = spec.endpoint.clone();
    (other, task, other_task)
}

#[tokio::test]
async fn a_foreign_key_is_named_as_far_as_the_protocol_tells() {
    let (spec, _bridge, _other) = with_foreign_key("shadowsocks").await;
    // Shadowsocks answers a wrong key with silence: a filter looks the same, and the doctor says so.
    assert_eq!(examine(vec![spec]).await, CauseKind::CannotTell);
    let refused = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for transport in ["shadowsocks", "websocket"] {
        let (mut spec, task) = bridge(transport).await;
        drop(task);
        spec.endpoint = refused.into();
        assert_eq!(examine(vec![spec]).await, CauseKind::Unreachable, "{transport}");
    }
}
