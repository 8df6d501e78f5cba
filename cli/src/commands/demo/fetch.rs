//! A GET through a SOCKS5 proxy, timed and digested.

use std::{
    net::{IpAddr, SocketAddr},
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper::Request;
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

/// What came, and when.
pub(super) struct Fetched {
    pub(super) bytes: u64,
    pub(super) digest: blake3::Hash,
    /// From the first SOCKS byte to the answer's header.
    pub(super) first_byte: Duration,
    /// From the first SOCKS byte to the last byte of the answer.
    pub(super) took: Duration,
}

pub(super) async fn through_socks(
    proxy: SocketAddr,
    target: SocketAddr,
    path: &str,
) -> anyhow::Result<Fetched> {
    let begun = Instant::now();
    let stream = connect(proxy, target).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let driving = tokio::spawn(connection);
    let request = Request::get(path).header("host", target.to_string()).body(Empty::<Bytes>::new())?;
    let response = sender.send_request(request).await?;
    ensure!(response.status() == 200, "status {}", response.status());
    let first_byte = begun.elapsed();
    let mut body = response.into_body();
    let (mut hasher, mut bytes) = (blake3::Hasher::new(), 0);
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame?.into_data() {
            bytes += data.len() as u64;
            hasher.update(&data);
        }
    }
    let took = begun.elapsed();
    driving.abort();
    Ok(Fetched { bytes, digest: hasher.finalize(), first_byte, took })
}

/// RFC 1928: no authentication, CONNECT to an IPv4 address.
async fn connect(proxy: SocketAddr, target: SocketAddr) -> anyhow::Result<TcpStream> {
    let IpAddr::V4(ip) = target.ip() else { anyhow::bail!("the demo's origin listens on IPv4") };
    let mut stream = TcpStream::connect(proxy).await.context("cannot reach the client's proxy port")?;
    stream.write_all(&[5, 1, 0]).await?;
    let mut method = [0; 2];
    stream.read_exact(&mut method).await?;
    ensure!(method == [5, 0], "the proxy asks for authentication");
    let mut request = vec![5, 1, 0, 1];
    request.extend_from_slice(&ip.octets());
    request.extend_from_slice(&target.port().to_be_bytes());
    stream.write_all(&request).await?;
    let mut reply = [0; 10];
    stream.read_exact(&mut reply).await?;
    ensure!(
        reply.first_chunk() == Some(&[5, 0]),
        "SOCKS reply {}",
        reply.get(1).copied().unwrap_or_default()
    );
    Ok(stream)
}
