//! Requests to a control server through a transport, over one channel; and datagrams through another one.

use std::{
    future::poll_fn,
    io,
    sync::Arc,
    time::{Duration, Instant},
};

use aws_lc_rs::digest;
use commucat_control::wire::{self, SinkAnswer, pattern};
use commucat_dissect::http::response_head;
use commucat_transport_api::{BoxStream, Channel, Client, Cx, DialError, HostPort, Net, Target};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, ReadBuf};

use super::{DatagramLoss, Moved, TransportConfig, words};

/// Longest head of an answer, and longest answer that is no transfer, in bytes.
const ANSWER_BYTES_MAX: usize = 16 * 1024;
const CHUNK_BYTES: usize = 16 * 1024;
/// Between two datagrams, so that a burst does not fill a queue.
const DATAGRAM_EVERY: Duration = Duration::from_millis(10);
/// How long late answers are waited for.
const DATAGRAM_AFTER: Duration = Duration::from_millis(1_500);
const DATAGRAM_BYTES: usize = 200;

/// What went wrong inside an open channel.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failed {
    #[error("{}", words(.0))]
    Dial(#[from] DialError),
    #[error("the transport gave no stream")]
    NoStream,
    #[error("{what} broke after {bytes} bytes: {}", source.kind())]
    Broke {
        what: &'static str,
        bytes: u64,
        #[source]
        source: io::Error,
    },
    #[error("{what} got nothing more in time, after {bytes} bytes")]
    Late { what: &'static str, bytes: u64 },
    #[error("the control server answered {what} with status {status}")]
    Status { what: &'static str, status: u16 },
    #[error("what came back from {what} is not what was sent")]
    Altered { what: &'static str },
}

/// An open channel to the control server.
pub(super) struct Through {
    stream: BoxStream,
    net: Arc<dyn Net>,
    patience: Duration,
    token: Option<String>,
    /// Read, and not yet used.
    buffered: Vec<u8>,
}

impl Through {
    pub(super) async fn open(
        client: &dyn Client,
        net: &Arc<dyn Net>,
        config: &TransportConfig,
        control: &HostPort,
    ) -> Result<Self, Failed> {
        let cx = Cx::new(Arc::clone(net), config.patience);
        let target = Target::Stream(control.clone());
        let dialled = cx.until_deadline(client.dial(&cx, &target)).await;
        let opened = dialled.ok_or(Failed::Late { what: "a dial", bytes: 0 })??;
        let stream = opened.channel.into_stream().map_err(|_other: Channel| Failed::NoStream)?;
        let token = config.token.as_ref().map(|token| token.expose().clone());
        Ok(Self { stream, net: Arc::clone(net), patience: config.patience, token, buffered: Vec::new() })
    }

    /// Sends some bytes to be sent back.
    pub(super) async fn round_trip(&mut self, bytes: usize) -> Result<Duration, Failed> {
        const WHAT: &str = "a round trip";
        let mut body = vec![0; bytes];
        pattern(0, &mut body);
        let mut request = self.head("POST", wire::ECHO, Some(body.len()));
        request.extend_from_slice(&body);
        let began = self.net.now();
        self.send(&request, WHAT, 0).await?;
        let back = self.small_answer(WHAT).await?;
        if back != body {
            return Err(Failed::Altered { what: WHAT });
        }
        Ok(self.net.now().saturating_duration_since(began))
    }

    /// Sends bytes, and compares the digest that comes back.
    pub(super) async fn upload(&mut self, bytes: u64) -> Result<Moved, Failed> {
        const WHAT: &str = "the upload";
        let length = usize::try_from(bytes).unwrap_or(usize::MAX);
        let began = self.net.now();
        let head = self.head("POST", wire::SINK, Some(length));
        self.send(&head, WHAT, 0).await?;
        let (mut digest, mut sent) = (digest::Context::new(&digest::SHA256), 0u64);
        let mut chunk = vec![0; CHUNK_BYTES];
        while sent < bytes {
            let count = usize::try_from(bytes - sent).unwrap_or(CHUNK_BYTES).min(CHUNK_BYTES);
            let part = chunk.get_mut(..count).unwrap_or_default();
            pattern(sent, part);
            digest.update(part);
            let part = part.to_vec();
            self.send(&part, WHAT, sent).await?;
            sent += u64::try_from(count).unwrap_or(0);
        }
        let answer = self.small_answer(WHAT).await?;
        let answer: SinkAnswer =
            serde_json::from_slice(&answer).map_err(|_no_answer| Failed::Altered { what: WHAT })?;
        if answer.bytes != bytes || answer.sha256 != hex(digest.finish().as_ref()) {
            return Err(Failed::Altered { what: WHAT });
        }
        Ok(self.moved(bytes, began))
    }

    /// Receives bytes, and compares them with what the server sends.
    pub(super) async fn download(&mut self, bytes: u64) -> Result<Moved, Failed> {
        const WHAT: &str = "the download";
        let began = self.net.now();
        let head = self.head("GET", &format!("{}?bytes={bytes}", wire::SOURCE), None);
        self.send(&head, WHAT, 0).await?;
        let length = self.read_head(WHAT).await?;
        let mut got = 0u64;
        let mut expected = Vec::new();
        while got < length {
            if self.buffered.is_empty() {
                self.read_more(WHAT, got).await?;
            }
            let room = usize::try_from(length - got).unwrap_or(usize::MAX).min(self.buffered.len());
            let part: Vec<u8> = self.buffered.drain(..room).collect();
            expected.resize(part.len(), 0);
            pattern(got, &mut expected);
            if part != expected {
                return Err(Failed::Altered { what: WHAT });
            }
            got += u64::try_from(room).unwrap_or(0);
        }
        if got != bytes {
            return Err(Failed::Altered { what: WHAT });
        }
        Ok(self.moved(bytes, began))
    }

    fn moved(&self, bytes: u64, began: Instant) -> Moved {
        let took = self.net.now().saturating_duration_since(began);
        let took_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let kbps = u128::from(bytes) * 8_000 / u128::from(took_us.max(1));
        Moved { bytes, took_us, kbps: u64::try_from(kbps).unwrap_or(u64::MAX) }
    }

    fn head(&self, method: &str, path: &str, length: Option<usize>) -> Vec<u8> {
        let path = wire::path(self.token.as_deref(), path);
        let length = length.map(|length| format!("content-length: {length}\r\n")).unwrap_or_default();
        format!("{method} {path} HTTP/1.1\r\nhost: a\r\n{length}\r\n").into_bytes()
    }

    async fn send(&mut self, bytes: &[u8], what: &'static str, sent: u64) -> Result<(), Failed> {
        let cx = Cx::new(Arc::clone(&self.net), self.patience);
        let sending = async {
            self.stream.write_all(bytes).await?;
            self.stream.flush().await
        };
        let done = cx.until_deadline(sending).await.ok_or(Failed::Late { what, bytes: sent })?;
        done.map_err(|source| Failed::Broke { what, bytes: sent, source })
    }

    async fn read_more(&mut self, what: &'static str, bytes: u64) -> Result<(), Failed> {
        let cx = Cx::new(Arc::clone(&self.net), self.patience);
        let mut chunk = vec![0; CHUNK_BYTES];
        let read =
            cx.until_deadline(self.stream.read(&mut chunk)).await.ok_or(Failed::Late { what, bytes })?;
        match read {
            Ok(0) => Err(Failed::Broke { what, bytes, source: io::ErrorKind::UnexpectedEof.into() }),
            Ok(count) => {
                self.buffered.extend_from_slice(chunk.get(..count).unwrap_or_default());
                Ok(())
            }
            Err(source) => Err(Failed::Broke { what, bytes, source }),
        }
    }

    /// Reads a head; what follows it stays buffered. Gives the length of the body.
    async fn read_head(&mut self, what: &'static str) -> Result<u64, Failed> {
        loop {
            if let Some((head, status, length)) = parse_head(&self.buffered) {
                self.buffered.drain(..head);
                return match status {
                    200 => Ok(length),
                    status => Err(Failed::Status { what, status }),
                };
            }
            if self.buffered.len() > ANSWER_BYTES_MAX {
                return Err(Failed::Altered { what });
            }
            self.read_more(what, 0).await?;
        }
    }

    async fn small_answer(&mut self, what: &'static str) -> Result<Vec<u8>, Failed> {
        let length = self.read_head(what).await?;
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        if length > ANSWER_BYTES_MAX {
            return Err(Failed::Altered { what });
        }
        while self.buffered.len() < length {
            self.read_more(what, 0).await?;
        }
        Ok(self.buffered.drain(..length).collect())
    }
}

/// Bytes of a complete head, its status, and the length it tells.
fn parse_head(bytes: &[u8]) -> Option<(usize, u16, u64)> {
    let head = response_head(bytes)?;
    let length = head.header("content-length").and_then(|length| length.trim().parse().ok());
    Some((head.head_len?, head.status, length.unwrap_or(0)))
}

/// Sends datagrams to an echo, and counts what comes back.
pub(super) async fn datagrams(
    client: &dyn Client,
    cx: &Cx,
    echo: &HostPort,
    count: usize,
) -> Result<DatagramLoss, DialError> {
    let opened = client.dial(cx, &Target::Datagrams).await?;
    let mut channel =
        opened.channel.into_datagrams().map_err(|_other: Channel| DialError::UnsupportedTarget)?;
    let (mut answered, mut sent) = (vec![false; count], 0);
    let mut payload = vec![0; DATAGRAM_BYTES];
    let mut until = cx.net.now();
    let mut buffer = vec![0; u16::MAX.into()];
    loop {
        let one = Cx::new(Arc::clone(&cx.net), until.saturating_duration_since(cx.net.now()));
        let mut datagram = ReadBuf::new(&mut buffer);
        match one.until_deadline(poll_fn(|cx| channel.poll_recv(cx, &mut datagram))).await {
            Some(Ok(Some(_peer))) => {
                if let Some(seen) = number(datagram.filled()).and_then(|index| answered.get_mut(index)) {
                    *seen = true;
                }
            }
            Some(_ended) => break,
            None if sent < count => {
                pattern(0, &mut payload);
                write_number(&mut payload, sent);
                let waiting = Cx::new(Arc::clone(&cx.net), DATAGRAM_AFTER);
                let sending =
                    waiting.until_deadline(poll_fn(|cx| channel.poll_send(cx, &payload, echo))).await;
                if !matches!(sending, Some(Ok(()))) {
                    break;
                }
                sent += 1;
                until = cx.net.now() + if sent == count { DATAGRAM_AFTER } else { DATAGRAM_EVERY };
            }
            None => break,
        }
    }
    Ok(DatagramLoss { sent, answered: answered.iter().filter(|seen| **seen).count() })
}

fn number(datagram: &[u8]) -> Option<usize> {
    usize::try_from(u32::from_be_bytes(*datagram.first_chunk()?)).ok()
}

fn write_number(payload: &mut [u8], number: usize) {
    if let (Some(place), Ok(number)) = (payload.first_chunk_mut::<4>(), u32::try_from(number)) {
        *place = number.to_be_bytes();
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    let mut out = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        // Writing to a string cannot fail.
        write!(out, "{byte:02x}").ok();
    }
    out
}
