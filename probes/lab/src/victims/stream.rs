//! Clients over TCP: raw bytes that are echoed, and bodies by HTTP.

use std::net::SocketAddr;

use commucat_control::wire;
use commucat_dissect::http;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpStream,
};

use super::{Outcome, Scene};

/// Bytes read at once.
const PIECE_BYTES: usize = 16 * 1024;
/// Longest response head, in bytes.
const HEAD_BYTES_MAX: usize = 16 * 1024;

/// Opens a connection that sends without delay.
pub(super) async fn connect(scene: &Scene, at: SocketAddr) -> Result<TcpStream, Outcome> {
    let stream = scene.wait(0, TcpStream::connect(at)).await?;
    stream.set_nodelay(true).map_err(Outcome::failed)?;
    Ok(stream)
}

/// Sends bytes to a server that sends them back, such as a control server's TCP port.
pub async fn echo(scene: &Scene, at: SocketAddr, payload: Vec<u8>) -> Outcome {
    let stream = match connect(scene, at).await {
        Ok(stream) => stream,
        Err(outcome) => return outcome,
    };
    echo_over(scene, stream, payload).await
}

/// The same over a stream that is open.
pub(super) async fn echo_over<S>(scene: &Scene, stream: S, payload: Vec<u8>) -> Outcome
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (mut reading, mut writing) = tokio::io::split(stream);
    let send = async {
        let sent = writing.write_all(&payload).await;
        // How this ends, the reading side sees too.
        drop(sent);
        std::future::pending::<()>().await;
    };
    let receive = expect(scene, &mut reading, &payload);
    tokio::select! {
        outcome = receive => outcome,
        () = send => Outcome::failed("the sender ended"),
    }
}

/// Sends some bytes and waits for them to come back, then the next.
pub(super) async fn echo_in_turns<S>(scene: &Scene, mut stream: S, turns: &[Vec<u8>]) -> Outcome
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut bytes = 0;
    for turn in turns {
        if let Err(outcome) = scene.wait(bytes, stream.write_all(turn)).await {
            return outcome;
        }
        match expect(scene, &mut stream, turn).await {
            Outcome::Intact { bytes: more } => bytes += more,
            other => return other,
        }
    }
    Outcome::Intact { bytes }
}

/// Reads what must be exactly these bytes.
async fn expect(scene: &Scene, stream: &mut (impl AsyncRead + Unpin), expected: &[u8]) -> Outcome {
    let mut piece = vec![0; PIECE_BYTES];
    let mut rest = expected;
    let mut bytes = 0;
    while !rest.is_empty() {
        let read = match scene.wait(bytes, stream.read(&mut piece)).await {
            Ok(0) => return Outcome::Closed { bytes },
            Ok(read) => read,
            Err(outcome) => return outcome,
        };
        let Some((now, later)) = rest.split_at_checked(read) else { return Outcome::Altered { at: bytes } };
        if piece.get(..read) != Some(now) {
            return Outcome::Altered { at: bytes };
        }
        rest = later;
        bytes += u64::try_from(read).unwrap_or_default();
    }
    Outcome::Intact { bytes }
}

/// A request for so many bytes of the pattern; control servers and sites are asked by different paths.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fetch<'a> {
    /// For the `Host` field.
    pub(super) host: &'a str,
    /// How many bytes.
    pub(super) bytes: u64,
    /// Whether a control server is asked.
    pub(super) control: bool,
}

impl Fetch<'_> {
    /// Asks and reads the body.
    pub(super) async fn over<S>(self, scene: &Scene, stream: &mut S) -> Outcome
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        match self.run(scene, stream).await {
            Ok(outcome) | Err(outcome) => outcome,
        }
    }

    fn request(self) -> String {
        let Self { host, bytes, control } = self;
        let path =
            if control { format!("{}?bytes={bytes}", wire::SOURCE) } else { format!("/bytes/{bytes}") };
        format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: lab\r\nAccept: */*\r\n\r\n")
    }

    async fn run<S>(self, scene: &Scene, stream: &mut S) -> Result<Outcome, Outcome>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        scene.wait(0, stream.write_all(self.request().as_bytes())).await?;
        scene.wait(0, stream.flush()).await?;
        let mut body = head(scene, stream).await?;
        let mut checked = 0;
        let mut sent = vec![0; PIECE_BYTES];
        loop {
            let expected = sent.get_mut(..body.len()).unwrap_or_default();
            wire::pattern(checked, expected);
            if *expected != *body {
                return Ok(Outcome::Altered { at: checked });
            }
            checked += u64::try_from(body.len()).unwrap_or_default();
            if checked >= self.bytes {
                return Ok(Outcome::Intact { bytes: checked });
            }
            body.resize(PIECE_BYTES, 0);
            match scene.wait(checked, stream.read(&mut body)).await? {
                0 => return Ok(Outcome::Closed { bytes: checked }),
                read => body.truncate(read),
            }
        }
    }
}

/// Reads a response head with status 200 and gives what of the body came with it.
async fn head(scene: &Scene, stream: &mut (impl AsyncRead + Unpin)) -> Result<Vec<u8>, Outcome> {
    let mut read = Vec::with_capacity(PIECE_BYTES);
    loop {
        if let Some(end) = read.windows(4).position(|four| four == b"\r\n\r\n") {
            let status = http::response_head(&read).map(|head| head.status);
            if status != Some(200) {
                return Err(Outcome::failed(format!("the server answered {status:?}")));
            }
            read.drain(..end + 4);
            return Ok(read);
        }
        if read.len() >= HEAD_BYTES_MAX {
            return Err(Outcome::failed("the response head is too long"));
        }
        let bytes = u64::try_from(read.len()).unwrap_or_default();
        // The capacity bounds what comes at once, so a body piece never exceeds the buffer it is compared with.
        let mut limited = (&mut *stream).take(u64::try_from(PIECE_BYTES - read.len()).unwrap_or(1));
        if scene.wait(bytes, limited.read_buf(&mut read)).await? == 0 {
            return Err(Outcome::Closed { bytes });
        }
    }
}
