//! One connection of a probe: its steps, what came back, and its end.

use std::{
    future::poll_fn,
    io,
    pin::Pin,
    task::Poll,
    time::{Duration, Instant},
};

use commucat_transport_api::{BoxStream, Net};
use tokio::io::{AsyncRead as _, AsyncWriteExt as _, ReadBuf};

use super::Limits;
use crate::{
    Answer, End, Reply, Step,
    facts::{HttpFacts, TlsFacts, digest, hex, steady},
    tls::Session,
};

/// Most bytes of an answer that are kept and digested; the rest is counted.
const KEPT_BYTES: usize = 256 * 1024;
/// Most bytes that are read at all of one answer: a server that never stops is not followed for ever.
const READ_BYTES_MAX: u64 = 8 * 1024 * 1024;
/// First bytes that are told as they are.
const FIRST_BYTES: usize = 16;
const CHUNK_BYTES: usize = 16 * 1024;

pub(super) struct Talk<'a> {
    net: &'a dyn Net,
    limits: Limits,
    stream: BoxStream,
    session: Option<Session>,
    raw: Vec<u8>,
    plain: Vec<u8>,
    length: u64,
    sent: u64,
    spoke: Instant,
    first_after: Option<Duration>,
    write_failed: bool,
    end: Option<End>,
}

/// Runs a future until an instant.
pub(super) async fn within<T>(net: &dyn Net, until: Instant, future: impl Future<Output = T>) -> Option<T> {
    let mut sleep = net.sleep_until(until);
    let mut future = std::pin::pin!(future);
    poll_fn(|cx| {
        if let Poll::Ready(value) = future.as_mut().poll(cx) {
            return Poll::Ready(Some(value));
        }
        sleep.as_mut().poll(cx).map(|()| None)
    })
    .await
}

impl<'a> Talk<'a> {
    pub(super) fn new(net: &'a dyn Net, stream: BoxStream, limits: Limits) -> Self {
        Self {
            net,
            limits,
            stream,
            session: None,
            raw: Vec::new(),
            plain: Vec::new(),
            length: 0,
            sent: 0,
            spoke: net.now(),
            first_after: None,
            write_failed: false,
            end: None,
        }
    }

    pub(super) const fn ended(&self) -> bool {
        self.end.is_some() || self.write_failed
    }

    pub(super) async fn step(&mut self, step: &Step) {
        match step {
            Step::Send(bytes) => self.send(bytes).await,
            Step::Listen => self.read_until_quiet().await,
            Step::Tls { server_name, alpn } => self.handshake(server_name, alpn).await,
            Step::SendInside(bytes) => self.send_inside(bytes).await,
            Step::HalfClose => {
                let until = self.net.now() + self.limits.patience;
                if !matches!(within(self.net, until, self.stream.shutdown()).await, Some(Ok(()))) {
                    self.write_failed = true;
                }
                self.spoke = self.net.now();
            }
        }
    }

    async fn send(&mut self, bytes: &[u8]) {
        let until = self.net.now() + self.limits.patience;
        let writing = async {
            self.stream.write_all(bytes).await?;
            self.stream.flush().await
        };
        match within(self.net, until, writing).await {
            Some(Ok(())) => self.sent += u64::try_from(bytes.len()).unwrap_or(u64::MAX),
            Some(Err(_closed)) => self.write_failed = true,
            // The server takes no more: what it does then is its answer.
            None => self.write_failed = true,
        }
        self.spoke = self.net.now();
    }

    async fn send_inside(&mut self, bytes: &[u8]) {
        let Some(session) =
            self.session.as_mut().filter(|session| session.is_open() && !session.is_handshaking())
        else {
            return self.send(bytes).await;
        };
        session.send(bytes);
        let out = session.outgoing();
        self.send(&out).await;
    }

    async fn handshake(&mut self, server_name: &str, alpn: &[Vec<u8>]) {
        // Names were checked when the battery was made; one that fits no hello sends nothing.
        let Ok(mut session) = Session::new(server_name, alpn.to_vec()) else { return };
        let hello = session.outgoing();
        self.session = Some(session);
        self.send(&hello).await;
        let until = self.net.now() + self.limits.patience;
        while !self.ended() && self.shaking_hands() && self.read_some(until).await {
            let out = self.session.as_mut().map(Session::outgoing).unwrap_or_default();
            if !out.is_empty() {
                self.send(&out).await;
            }
        }
    }

    fn shaking_hands(&self) -> bool {
        self.session.as_ref().is_some_and(|session| session.is_open() && session.is_handshaking())
    }

    async fn read_until_quiet(&mut self) {
        loop {
            let until = self.net.now() + self.limits.quiet;
            if self.ended() || !self.read_some(until).await {
                return;
            }
        }
    }

    /// Reads what comes next; `false` when nothing did before `until`, or the connection ended.
    async fn read_some(&mut self, until: Instant) -> bool {
        if self.length >= READ_BYTES_MAX {
            return false;
        }
        let mut chunk = vec![0u8; CHUNK_BYTES];
        let mut buf = ReadBuf::new(&mut chunk);
        let reading = poll_fn(|cx| Pin::new(&mut self.stream).poll_read(cx, &mut buf));
        let Some(outcome) = within(self.net, until, reading).await else { return false };
        let after = self.net.now().saturating_duration_since(self.spoke);
        match outcome {
            Ok(()) if !buf.filled().is_empty() => {
                self.first_after.get_or_insert(after);
                self.take(buf.filled());
                true
            }
            Ok(()) => {
                self.end = Some(self.closed(self.write_failed, after));
                false
            }
            Err(error) => {
                // A time-out of the kernel is silence on the path, not a word of the server.
                let silent = error.kind() == io::ErrorKind::TimedOut;
                self.end = Some(if silent { End::Open } else { self.closed(true, after) });
                false
            }
        }
    }

    fn closed(&self, reset: bool, after: Duration) -> End {
        let (after_ms, sent) = (millis(after), self.sent);
        if reset { End::Rst { after_ms, sent } } else { End::Fin { after_ms, sent } }
    }

    fn take(&mut self, bytes: &[u8]) {
        self.length += u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        let keep = bytes.len().min(KEPT_BYTES.saturating_sub(self.raw.len()));
        self.raw.extend_from_slice(bytes.get(..keep).unwrap_or_default());
        if let Some(session) = &mut self.session {
            session.incoming(bytes, &mut self.plain, KEPT_BYTES);
        }
    }

    /// Reads to the end of the connection or of our patience, and says what was seen.
    pub(super) async fn finish(mut self: Box<Self>) -> Answer {
        let until = self.net.now() + self.limits.patience;
        while self.end.is_none() && self.read_some(until).await {}
        let end = self.end.take().unwrap_or(End::Open);
        let reply = (self.length > 0).then(|| self.reply());
        Answer::new(reply, end)
    }

    fn reply(&self) -> Reply {
        let mut tls = TlsFacts::read(&self.raw);
        if let (Some(tls), Some(session)) = (&mut tls, &self.session) {
            tls.alert = tls.alert.or_else(|| session.alert());
            tls.session = Some(session.facts());
        }
        let said = if self.plain.is_empty() { &self.raw } else { &self.plain };
        let http = HttpFacts::read(said);
        let digest = match (&http, &tls) {
            (Some(http), _) => digest(&http.canonical()),
            // Of TLS, the shape is compared; its bytes are random by design.
            (None, Some(_)) if self.plain.is_empty() => String::new(),
            _ => digest(&steady(said)),
        };
        Reply {
            length: self.length,
            first: hex(self.raw.get(..FIRST_BYTES).unwrap_or(&self.raw)),
            digest,
            first_after_ms: self.first_after.map_or(0, millis),
            http,
            tls,
            truncated: self.length > u64::try_from(KEPT_BYTES).unwrap_or(u64::MAX),
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
