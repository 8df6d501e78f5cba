//! What a Shadowsocks pair must carry, whichever end is ours.

use std::{future::poll_fn, net::SocketAddr, time::Duration};

use anyhow::{Context as _, Result, ensure};
use commucat_net::SystemNet;
use commucat_transport_api::{Client, Cx, HostPort, Secret, Target, User};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf},
    time::timeout,
};

use crate::{
    SocksUdp, dns_query, dns_service, dns_service_address, echo_service, socks_connect, udp_echo_service,
};

/// Longest time for one exchange.
const PATIENCE: Duration = Duration::from_secs(20);
/// Bytes that go both ways over a stream: not a multiple of anything.
const STREAM_BYTES: usize = 1_000_003;

/// A 16-byte key in base64.
pub const KEY_16: &str = "AAECAwQFBgcICQoLDA0ODw==";
/// A 32-byte key in base64.
pub const KEY_32: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

/// How a stream ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The upload ends first, and the rest of the answer still comes.
    HalfClose,
    /// The upload ends when the answer is there: shadowsocks-libev closes both directions when one ends.
    AfterAnswer,
}

/// A user with a secret of one repeated byte.
///
/// # Panics
/// The name is none.
#[allow(clippy::expect_used, reason = "names in tests are literals")]
pub fn user(name: &str, byte: u8) -> User {
    User { id: name.parse().expect("a user name"), secret: Secret::new([byte; 32]) }
}

/// A megabyte over a stream, an echo over UDP and a DNS query, through a foreign client's SOCKS5 port.
///
/// # Errors
/// What did not arrive.
pub async fn through_socks(proxy: SocketAddr, ending: Ending) -> Result<()> {
    let echo = echo_service().await?;
    let stream = timeout(PATIENCE, socks_connect(proxy, &echo.into())).await??;
    timeout(PATIENCE, exchange(stream, ending)).await.context("the stream took too long")??;

    let udp = SocksUdp::open(proxy).await?;
    let echo = udp_echo_service().await?;
    for length in [1, 1200] {
        let data = pattern(length);
        udp.send(echo, &data).await?;
        let (from, heard) = timeout(PATIENCE, udp.receive()).await.context("no datagram came back")??;
        ensure!(from == echo.into() && heard == data, "the datagram came back changed");
    }
    let (dns, query) = (dns_service().await?, dns_query(4711, "example.org"));
    udp.send(dns, &query).await?;
    let (_from, answer) = timeout(PATIENCE, udp.receive()).await.context("no DNS answer came")??;
    dns_service_address(&query, &answer)?;
    Ok(())
}

/// The same through a client of ours.
///
/// # Errors
/// What did not arrive.
pub async fn through_our_client(client: &dyn Client, ending: Ending) -> Result<()> {
    let cx = Cx::new(SystemNet::new(), PATIENCE);
    let echo = Target::Stream(echo_service().await?.into());
    let opened = client.dial(&cx, &echo).await?;
    let Ok(stream) = opened.channel.into_stream() else { anyhow::bail!("no stream") };
    timeout(PATIENCE, exchange(stream, ending)).await.context("the stream took too long")??;

    let opened = client.dial(&cx, &Target::Datagrams).await?;
    let Ok(mut channel) = opened.channel.into_datagrams() else { anyhow::bail!("no datagrams") };
    let (echo, dns) = (udp_echo_service().await?, dns_service().await?);
    let query = dns_query(4712, "example.org");
    for (to, data) in [(echo, pattern(1)), (echo, pattern(1200)), (dns, query.clone())] {
        let to = HostPort::from(to);
        poll_fn(|cx| channel.poll_send(cx, &data, &to)).await?;
        let mut buffer = vec![0; 65_536];
        let mut heard = ReadBuf::new(&mut buffer);
        let received = timeout(PATIENCE, poll_fn(|cx| channel.poll_recv(cx, &mut heard)));
        let from = received.await.context("no datagram came back")??;
        ensure!(from == Some(to), "the datagram came from elsewhere");
        if data == query {
            dns_service_address(&query, heard.filled())?;
        } else {
            ensure!(heard.filled() == data, "the datagram came back changed");
        }
    }
    Ok(())
}

/// A megabyte up and the same back, and the end of both directions.
///
/// # Errors
/// What did not arrive.
pub async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    ending: Ending,
) -> Result<()> {
    let (mut read, mut write) = tokio::io::split(stream);
    let data = pattern(STREAM_BYTES);
    let sent = data.clone();
    let writer = tokio::spawn(async move {
        write.write_all(&sent).await?;
        write.flush().await?;
        if ending == Ending::HalfClose {
            write.shutdown().await?;
        }
        std::io::Result::Ok(write)
    });
    let mut heard = vec![0; data.len()];
    read.read_exact(&mut heard).await?;
    let mut write = writer.await??;
    ensure!(heard == data, "other bytes came back");
    if ending == Ending::AfterAnswer {
        write.shutdown().await?;
    }
    ensure!(read.read(&mut [0; 1]).await? == 0, "the stream did not end");
    Ok(())
}

/// Bytes from a small generator (xorshift64).
fn pattern(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    (0..length).map(|_index| next()).collect()
}
