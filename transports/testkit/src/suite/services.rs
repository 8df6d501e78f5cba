//! What the suite's bridge offers behind a channel. A transport that carries targets asks by port; one that ends at
//! the bridge asks by the first byte.

use std::{future::poll_fn, io, sync::Arc};

use commucat_transport_api::{BoxStream, Channel, DatagramChannel, Host, HostPort, Target};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, ReadBuf};

use super::{bridge::Log, pattern};

/// The name that targets of the suite have; it never resolves.
const SERVICE_HOST: &str = "service.testkit.invalid";
/// What the greeting service says.
pub(super) const GREETING: &[u8] = b"220 who speaks first\r\n";
const ECHO_BUFFER_BYTES: usize = 32 * 1024;
/// Longest datagram that the echo service takes.
pub(super) const DATAGRAM_BUFFER_BYTES: usize = 65_536;

/// What a channel can be used for. The values are ports, and the first byte where there are no targets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Service {
    /// Sends back what comes; ends when the client ends.
    Echo = 7,
    /// Reads to the end, then answers with count and digest.
    Digest = 9,
    /// Greets at once, then echoes.
    Greeting = 17,
    /// Ends its side at once, then reads to the end and notes what came.
    CloseFirst = 19,
    /// Hands the channel over to the check.
    HandOver = 21,
}

impl Service {
    const ALL: [Self; 5] = [Self::Echo, Self::Digest, Self::Greeting, Self::CloseFirst, Self::HandOver];

    pub(super) fn target(self) -> Target {
        Target::Stream(HostPort { host: Host::Name(SERVICE_HOST.into()), port: u16::from(self.code()) })
    }

    pub(super) const fn code(self) -> u8 {
        self as u8
    }

    fn by_code(code: u16) -> io::Result<Self> {
        let found = Self::ALL.into_iter().find(|service| u16::from(service.code()) == code);
        found.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "no such service"))
    }
}

/// Serves an accepted channel to its end.
pub(super) async fn serve(channel: Channel, target: &Target, log: &Arc<Log>) -> io::Result<()> {
    match channel {
        Channel::Stream(mut stream) => {
            let service = match target {
                Target::Stream(address) => Service::by_code(address.port)?,
                _ => Service::by_code(stream.read_u8().await?.into())?,
            };
            serve_stream(stream, service, log).await
        }
        Channel::Datagrams(datagrams) => echo_datagrams(datagrams).await,
        _ => {
            Err(io::Error::new(io::ErrorKind::Unsupported, "the suite's bridge serves streams and datagrams"))
        }
    }
}

async fn serve_stream(mut stream: BoxStream, service: Service, log: &Arc<Log>) -> io::Result<()> {
    match service {
        Service::Echo => echo(stream).await,
        Service::Greeting => {
            stream.write_all(GREETING).await?;
            stream.flush().await?;
            echo(stream).await
        }
        Service::Digest => {
            let digest = pattern::receive(&mut stream).await?;
            log.note_received(digest);
            stream.write_all(&digest.encode()).await?;
            stream.shutdown().await
        }
        Service::CloseFirst => {
            stream.shutdown().await?;
            let digest = pattern::receive(&mut stream).await?;
            log.note_received(digest);
            Ok(())
        }
        Service::HandOver => {
            log.hand_over(stream);
            Ok(())
        }
    }
}

async fn echo(mut stream: BoxStream) -> io::Result<()> {
    let mut buffer = vec![0; ECHO_BUFFER_BYTES];
    loop {
        let length = stream.read(&mut buffer).await?;
        if length == 0 {
            return stream.shutdown().await;
        }
        stream.write_all(buffer.get(..length).unwrap_or_default()).await?;
        stream.flush().await?;
    }
}

async fn echo_datagrams(mut channel: Box<dyn DatagramChannel>) -> io::Result<()> {
    let mut buffer = vec![0; DATAGRAM_BUFFER_BYTES];
    loop {
        let mut buf = ReadBuf::new(&mut buffer);
        let Some(peer) = poll_fn(|cx| channel.poll_recv(cx, &mut buf)).await? else { return Ok(()) };
        let datagram = buf.filled();
        match poll_fn(|cx| channel.poll_send(cx, datagram, &peer)).await {
            // An answer may be longer than the request may be; then there is none.
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => {}
            outcome => outcome?,
        }
    }
}
