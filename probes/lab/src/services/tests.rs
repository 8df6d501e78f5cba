//! The services on loopback, as a client sees them.

use std::{net::Ipv4Addr, sync::Arc, time::Instant};

use rustls::{ClientConfig, pki_types::ServerName};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpStream, UdpSocket},
};
use tokio_rustls::TlsConnector;

use super::*;

fn loopback() -> WorldPlan {
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let site = |name: &str| Site { name: name.to_owned(), http: any, https: any };
    WorldPlan {
        resolver: any,
        sites: vec![site(BLOCKED_NAME), site(INNOCENT_NAME)],
        ssh: vec![any],
        controls: vec![ControlSite {
            name: Some(CONTROL_NAME.to_owned()),
            tcp: vec![any, any],
            udp: vec![any],
            quic: vec![any],
        }],
    }
}

async fn tls(
    at: SocketAddr,
    name: &'static str,
    authority: &Authority,
) -> tokio_rustls::client::TlsStream<TcpStream> {
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(authority.roots().unwrap())
        .with_no_client_auth();
    let tcp = TcpStream::connect(at).await.unwrap();
    let name = ServerName::try_from(name).unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, tcp).await.unwrap()
}

/// Sends a request that ends the connection, and gives head and body.
async fn ask(mut stream: impl AsyncRead + AsyncWrite + Unpin, request: &str) -> (String, Vec<u8>) {
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut all = Vec::new();
    stream.read_to_end(&mut all).await.unwrap();
    let split = all.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
    let body = all.split_off(split);
    (String::from_utf8(all).unwrap(), body)
}

#[tokio::test]
async fn sites_serve_their_page_and_bodies_of_any_length() {
    let authority = Authority::new().unwrap();
    let began = Instant::now();
    let services = Services::start(&loopback(), &authority).await.unwrap();
    println!("started in {:?}", began.elapsed());
    let site = services.plan().site(INNOCENT_NAME).unwrap().clone();
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");

    let (head, page) = ask(TcpStream::connect(site.http).await.unwrap(), &get("/")).await;
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    assert!(String::from_utf8(page).unwrap().contains(INNOCENT_NAME));

    let (head, body) = ask(tls(site.https, INNOCENT_NAME, &authority).await, &get("/bytes/100001")).await;
    assert!(head.contains("Content-Length: 100001\r\n"), "{head}");
    assert_eq!(body.len(), 100_001);
    let mut sent = vec![0; body.len()];
    commucat_control::wire::pattern(0, &mut sent);
    assert!(body == sent);

    for (path, status) in [("/nothing", "404"), ("/bytes/x", "400"), ("/bytes/99999999999", "400")] {
        let (head, _) = ask(TcpStream::connect(site.http).await.unwrap(), &get(path)).await;
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{path}: {head}");
    }
}

#[tokio::test]
async fn a_connection_carries_several_requests_and_uploads() {
    let services = Services::start(&loopback(), &Authority::new().unwrap()).await.unwrap();
    let site = services.plan().site(BLOCKED_NAME).unwrap();
    let mut request =
        b"HEAD /bytes/9 HTTP/1.1\r\n\r\nPOST /upload HTTP/1.1\r\nContent-Length: 70000\r\n\r\n".to_vec();
    request.extend([7; 70_000]);
    request.extend(b"GET /bytes/3 HTTP/1.1\r\nConnection: close\r\n\r\n");
    let request = String::from_utf8(request).unwrap();
    let (_, rest) = ask(TcpStream::connect(site.http).await.unwrap(), &request).await;
    let mut body = [0; 3];
    commucat_control::wire::pattern(0, &mut body);
    assert!(rest.ends_with(&body));
    assert!(String::from_utf8_lossy(&rest).contains("{\"bytes\":70000}\n"));
}

#[tokio::test]
async fn strangers_names_get_the_first_certificate() {
    let authority = Authority::new().unwrap();
    let services = Services::start(&loopback(), &authority).await.unwrap();
    let site = services.plan().site(INNOCENT_NAME).unwrap();
    // An address in place of a name sends no SNI, and the certificate names the address.
    drop(tls(site.https, "127.0.0.1", &authority).await);
}

#[tokio::test]
async fn the_resolver_answers_over_udp_and_tcp() {
    let services = Services::start(&loopback(), &Authority::new().unwrap()).await.unwrap();
    let query = commucat_dissect::dns::query(77, CONTROL_NAME, 1).unwrap();

    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    socket.send_to(&query, services.plan().resolver).await.unwrap();
    let mut answer = vec![0; 1500];
    let read = socket.recv(&mut answer).await.unwrap();
    let by_udp = commucat_dissect::dns::parse(&answer[..read]).unwrap();

    let mut stream = TcpStream::connect(services.plan().resolver).await.unwrap();
    stream.write_u16(query.len().try_into().unwrap()).await.unwrap();
    stream.write_all(&query).await.unwrap();
    let length = stream.read_u16().await.unwrap();
    let mut answer = vec![0; length.into()];
    stream.read_exact(&mut answer).await.unwrap();
    let by_tcp = commucat_dissect::dns::parse(&answer).unwrap();

    assert_eq!(by_udp.addresses().collect::<Vec<_>>(), [Ipv4Addr::LOCALHOST]);
    assert_eq!(by_tcp.addresses().collect::<Vec<_>>(), [Ipv4Addr::LOCALHOST]);
}

#[tokio::test]
async fn the_ssh_shaped_server_introduces_itself_and_echoes() {
    let services = Services::start(&loopback(), &Authority::new().unwrap()).await.unwrap();
    let mut stream = TcpStream::connect(services.plan().ssh[0]).await.unwrap();
    let mut banner = vec![0; IDENTIFICATION.len()];
    stream.read_exact(&mut banner).await.unwrap();
    assert_eq!(banner, IDENTIFICATION.as_bytes());
    stream.write_all(b"SSH-2.0-test\r\nhello").await.unwrap();
    let mut echo = [0; 5];
    stream.read_exact(&mut echo).await.unwrap();
    assert_eq!(&echo, b"hello");

    let mut stranger = TcpStream::connect(services.plan().ssh[0]).await.unwrap();
    stranger.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    let mut all = String::new();
    stranger.read_to_string(&mut all).await.unwrap();
    assert!(all.ends_with("Invalid SSH identification string.\r\n"), "{all}");
}

#[tokio::test]
async fn control_servers_serve_with_certificates_of_the_lab() {
    let authority = Authority::new().unwrap();
    let services = Services::start(&loopback(), &authority).await.unwrap();
    let at = services.plan().controls[0].tcp[1];
    // Any name of the zone may be sent as SNI and is still proven.
    let stream = tls(at, INNOCENT_NAME, &authority).await;
    let (head, body) = ask(stream, "GET /hello HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await;
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    assert!(String::from_utf8(body).unwrap().contains(INNOCENT_NAME));
}

#[tokio::test]
async fn what_is_dropped_is_closed_and_a_taken_address_is_said() {
    let authority = Authority::new().unwrap();
    let services = Services::start(&loopback(), &authority).await.unwrap();
    let plan = services.plan().clone();
    let error = Services::start(&plan, &authority).await.unwrap_err();
    assert!(error.to_string().contains("web site cannot listen at 127.0.0.1:"), "{error}");
    drop(services);
    let again = async {
        while TcpStream::connect(plan.ssh[0]).await.is_ok() {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(10), again).await.unwrap();
}
