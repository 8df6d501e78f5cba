//! A server on this machine, and peers that write bytes by hand.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use commucat_control::{Control, ControlConfig, Limits, Pin, RunningControl};
use rustls::{
    ClientConfig, DigitallySignedStruct, Error, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature},
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use serde::de::DeserializeOwned;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpSocket, TcpStream},
    time::timeout,
};

/// No test waits longer for anything.
pub const PATIENCE: Duration = Duration::from_secs(30);

pub fn config() -> ControlConfig {
    ControlConfig::anywhere_on(Ipv4Addr::LOCALHOST.into())
}

pub async fn start() -> RunningControl {
    Control::start(config()).await.unwrap()
}

pub async fn start_with(limits: Limits) -> RunningControl {
    Control::start(ControlConfig { limits, ..config() }).await.unwrap()
}

pub fn tcp_of(server: &RunningControl) -> SocketAddr {
    server.addresses().tcp[0]
}

pub async fn connect(server: &RunningControl) -> TcpStream {
    patiently(TcpStream::connect(tcp_of(server))).await.unwrap()
}

/// A connection from another loopback address: another peer.
pub async fn connect_from(server: &RunningControl, last: u8) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((Ipv4Addr::new(127, 0, 0, last), 0).into()).unwrap();
    patiently(socket.connect(tcp_of(server))).await.unwrap()
}

pub async fn patiently<T>(future: impl Future<Output = T>) -> T {
    timeout(PATIENCE, future).await.expect("this takes too long")
}

/// An answer, read as the head says.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn json<T: DeserializeOwned>(&self) -> T {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

pub async fn ask<S: AsyncRead + AsyncWrite + Unpin>(io: &mut S, request: &str) -> Answer {
    patiently(io.write_all(request.as_bytes())).await.unwrap();
    read_answer(io).await
}

pub async fn get<S: AsyncRead + AsyncWrite + Unpin>(io: &mut S, target: &str) -> Answer {
    ask(io, &format!("GET {target} HTTP/1.1\r\nHost: control\r\n\r\n")).await
}

pub async fn post<S: AsyncRead + AsyncWrite + Unpin>(io: &mut S, path: &str, body: &[u8]) -> Answer {
    let head = format!("POST {path} HTTP/1.1\r\nHost: control\r\nContent-Length: {}\r\n\r\n", body.len());
    patiently(io.write_all(head.as_bytes())).await.unwrap();
    patiently(io.write_all(body)).await.unwrap();
    read_answer(io).await
}

pub async fn read_answer<S: AsyncRead + Unpin>(io: &mut S) -> Answer {
    let head = read_head(io).await;
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("Content-Length: "))
        .map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    patiently(io.read_exact(&mut body)).await.unwrap();
    Answer { status, head, body }
}

pub async fn read_head<S: AsyncRead + Unpin>(io: &mut S) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(patiently(io.read_u8()).await.unwrap());
    }
    String::from_utf8(head).unwrap()
}

/// Everything until the peer closes or resets.
pub async fn rest<S: AsyncRead + Unpin>(io: &mut S) -> Vec<u8> {
    let mut bytes = Vec::new();
    // A reset ends it as well as a close.
    let _ended = patiently(io.read_to_end(&mut bytes)).await;
    bytes
}

/// Believes exactly one public key.
#[derive(Debug)]
struct Pinned(Pin, Arc<CryptoProvider>);

pub fn client_config(pin: Pin, alpn: &[&[u8]]) -> ClientConfig {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Pinned(pin, provider)))
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    config
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let same = Pin::of(end_entity).is_ok_and(|pin| pin == self.0);
        if same { Ok(ServerCertVerified::assertion()) } else { Err(Error::General("another pin".to_owned())) }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.1.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.1.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.1.signature_verification_algorithms.supported_schemes()
    }
}
