//! Real transports over loopback to a real control server.

use std::{
    future::poll_fn,
    net::{IpAddr, Ipv4Addr, SocketAddr},
};

use commucat_control::{Control, ControlConfig, RunningControl};
use commucat_net::{RelayOptions, SystemNet, relay};
use commucat_shadowsocks::Shadowsocks;
use commucat_transport_api::{
    Accepted, Channel, DatagramChannel, PluggableTransport as _, Spec, Target, User, UserTable,
};
use tokio::io::ReadBuf;

use super::*;

const LOCAL: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

async fn control() -> RunningControl {
    Control::start(ControlConfig::anywhere_on(LOCAL)).await.unwrap()
}

/// A Shadowsocks bridge that dials where it is told, and a client for it.
async fn bridge() -> Arc<dyn Client> {
    let net = SystemNet::new();
    let user = User { id: "anna".parse().unwrap(), secret: Secret::new([3; 32]) };
    let transport = Shadowsocks::new();
    let params = transport.generate_server_params().unwrap();
    let spec = Spec::new(commucat_shadowsocks::ID, SocketAddr::new(LOCAL, 0).into(), params).unwrap();
    let server = transport.server(&spec, &Arc::new(UserTable::new(vec![user.clone()]))).unwrap();
    let mut listener = server.listen(&Cx::new(net, Duration::from_secs(5))).await.unwrap();
    let at = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok(incoming) = listener.accept().await {
            tokio::spawn(async move {
                if let Ok(accepted) = incoming.handshake().await {
                    carry(accepted).await;
                }
            });
        }
    });
    transport.client(&server.client_spec(&at.into(), &user).unwrap()).unwrap()
}

async fn carry(accepted: Accepted) {
    match (accepted.channel, accepted.target) {
        (Channel::Stream(near), Target::Stream(to)) => {
            let Ok(far) = SystemNet::new().connect_stream(&to).await else { return };
            relay(near, far, &RelayOptions::default()).await.ok();
        }
        (Channel::Datagrams(near), _) => carry_datagrams(near).await,
        _ => {}
    }
}

/// Passes datagrams on, and answers back; every fifth is lost.
async fn carry_datagrams(mut near: Box<dyn DatagramChannel>) {
    let far = tokio::net::UdpSocket::bind((LOCAL, 0)).await.unwrap();
    let (mut out, mut back) = (vec![0; 2048], vec![0; 2048]);
    let mut count = 0;
    loop {
        let mut datagram = ReadBuf::new(&mut out);
        tokio::select! {
            to = poll_fn(|cx| near.poll_recv(cx, &mut datagram)) => {
                let Ok(Some(to)) = to else { return };
                count += 1;
                if count % 5 != 0 {
                    far.send_to(datagram.filled(), to.socket_addr().unwrap()).await.unwrap();
                }
            }
            got = far.recv_from(&mut back) => {
                let (length, from) = got.unwrap();
                let answer = &back[..length];
                poll_fn(|cx| near.poll_send(cx, answer, &from.into())).await.unwrap();
            }
        }
    }
}

#[tokio::test]
async fn a_transport_is_measured_end_to_end() {
    let control = control().await;
    let mut config = TransportConfig::new("shadowsocks");
    config.control = Some(control.addresses().tcp[0].into());
    let net: Arc<dyn Net> = SystemNet::new();
    let report = transport(&bridge().await, &net, &config).await;
    assert_eq!(report.failure, None, "{report:#?}");
    assert_eq!((report.dials.count, report.dials_failed), (DIALS, 0));
    let trips = report.round_trips.unwrap();
    assert_eq!(trips.count, ROUND_TRIPS);
    assert!(trips.p50_us <= trips.p95_us && trips.p95_us > 0);
    assert_eq!(report.up.unwrap().bytes, 256 * 1024);
    assert_eq!(report.down.unwrap().bytes, 256 * 1024);
    assert!(report.bootstrap_s.unwrap() > 0.0);
    // The bridge of this test serves no API of its own, at which the transport's own probe ends.
    let reached =
        |name: &str| report.probe.steps.iter().any(|step| step.name == name && step.outcome.is_ok());
    assert!(reached("connect"), "{:?}", report.probe);
    assert_eq!(report.left_out, ["datagrams: name a UDP port of a control server"]);
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["transport"], "shadowsocks");
}

#[tokio::test]
async fn a_bridge_that_is_gone_is_a_report_and_no_panic() {
    let gone = std::net::TcpListener::bind((LOCAL, 0)).unwrap().local_addr().unwrap();
    let transport_ = Shadowsocks::new();
    let params = transport_.generate_server_params().unwrap();
    let user = User { id: "anna".parse().unwrap(), secret: Secret::new([3; 32]) };
    let spec = Spec::new(commucat_shadowsocks::ID, gone.into(), params).unwrap();
    let server = transport_.server(&spec, &Arc::new(UserTable::new(vec![user.clone()]))).unwrap();
    let client = transport_.client(&server.client_spec(&gone.into(), &user).unwrap()).unwrap();
    let mut config = TransportConfig::new("shadowsocks");
    config.control = Some(gone.into());
    let net: Arc<dyn Net> = SystemNet::new();
    let report = transport(&client, &net, &config).await;
    assert_eq!(report.dials_failed, DIALS);
    assert!(report.failure.unwrap().contains("connection refused"));
    assert_eq!((report.up, report.bootstrap_s), (None, None));
    assert!(report.probe.first_failure().is_some());
}

#[tokio::test]
async fn lost_datagrams_are_counted() {
    let control = control().await;
    let mut config = TransportConfig::new("shadowsocks");
    config.control_udp = Some(control.addresses().udp[0].into());
    let net: Arc<dyn Net> = SystemNet::new();
    let report = transport(&bridge().await, &net, &config).await;
    assert_eq!(report.datagrams, Some(DatagramLoss { sent: DATAGRAMS, answered: DATAGRAMS - DATAGRAMS / 5 }));
    assert!(report.left_out[0].starts_with("transfers and round trips"), "{:?}", report.left_out);
}

#[test]
fn percentiles_are_of_the_samples() {
    let times = Times::of((1..=100).map(Duration::from_micros).collect());
    assert_eq!(times, Times { count: 100, p50_us: 50, p95_us: 95 });
    assert_eq!(Times::of(vec![]), Times::default());
    assert_eq!(Times::of(vec![Duration::from_micros(7)]).p95_us, 7);
}
