//! The site that is imitated: what its flight looks like on the wire.

mod demand;
pub(crate) mod dials;

use std::{
    io,
    time::{Duration, Instant},
};

use commucat_mimic::{
    Client, ClientOptions, Event, Flight, MAX_FLIGHT_RECORDS, NoRandomness, TargetHello, Template,
};
use commucat_transport_api::{BoxStream, HostPort, Net};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::{config::Fingerprint, hellos::Browsers, verify::Anybody};

/// Bytes of a target's flight.
const MAX_FLIGHT_BYTES: usize = 64 << 10;
/// Records after the handshake that are imitated.
const MAX_POST_HANDSHAKE_RECORDS: usize = 8;
/// How long the first look at a target may take.
const LEARN_TIME: Duration = Duration::from_secs(10);
/// How long a target may be silent after its last record before it is believed to have said everything.
const QUIET_TIME: Duration = Duration::from_millis(600);
const RECORD_HEADER_BYTES: usize = 5;
const CHANGE_CIPHER_SPEC: u8 = 20;
const HANDSHAKE: u8 = 22;
const APPLICATION_DATA: u8 = 23;
/// The only suite of TLS 1.3 whose hash has 48 bytes.
const AES_256_GCM_SHA384: u16 = 0x1302;

/// Why a site cannot be imitated.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TargetError {
    #[error("the target cannot be reached")]
    Unreachable(#[source] io::Error),
    #[error("the target does not finish a TLS 1.3 handshake in time")]
    Silent,
    #[error("the target's handshake cannot be imitated")]
    Tls(#[from] commucat_mimic::Error),
    #[error("what the target sends is no TLS 1.3 flight")]
    NoFlight,
    #[error(
        "the target's records are too short for our certificate; choose a site with a longer certificate chain{}",
        if *ml_dsa { ", or leave mldsa65_seed out" } else { "" }
    )]
    TooShort { ml_dsa: bool },
}

/// A part of a target's answer, up to the end of its flight.
#[derive(Debug, Default)]
pub(crate) struct FlightReader {
    /// Every byte so far.
    pub(crate) bytes: Vec<u8>,
    read: usize,
    hello: Vec<u8>,
    lengths: Vec<usize>,
    changed: bool,
}

impl FlightReader {
    /// Takes bytes of the target: `true` once `sealed` sealed records are there.
    pub(crate) fn take(&mut self, bytes: &[u8], sealed: usize) -> Result<bool, TargetError> {
        self.bytes.extend_from_slice(bytes);
        if self.bytes.len() > MAX_FLIGHT_BYTES {
            return Err(TargetError::NoFlight);
        }
        while self.lengths.len() < sealed {
            let rest = self.bytes.get(self.read..).unwrap_or_default();
            let Some(&[kind, 3, 3, high, low]) = rest.first_chunk::<RECORD_HEADER_BYTES>() else {
                // A shorter rest may still become a header; anything else is no record of TLS 1.3.
                return if rest.len() < RECORD_HEADER_BYTES { Ok(false) } else { Err(TargetError::NoFlight) };
            };
            let length = RECORD_HEADER_BYTES + usize::from(u16::from_be_bytes([high, low]));
            let Some(record) = rest.get(..length) else { return Ok(false) };
            match kind {
                HANDSHAKE if self.hello.is_empty() => {
                    self.hello = record.get(RECORD_HEADER_BYTES..).unwrap_or_default().to_vec();
                }
                CHANGE_CIPHER_SPEC if !self.changed && self.lengths.is_empty() => self.changed = true,
                APPLICATION_DATA if self.changed && !self.hello.is_empty() => self.lengths.push(length),
                _ => return Err(TargetError::NoFlight),
            }
            self.read += length;
        }
        Ok(true)
    }

    /// The bytes that came behind the flight.
    pub(crate) fn behind(&self) -> &[u8] {
        self.bytes.get(self.read..).unwrap_or_default()
    }

    /// The ServerHello message and the lengths of the sealed records.
    pub(crate) fn finish(&self) -> (&[u8], &[usize]) {
        (&self.hello, &self.lengths)
    }
}

/// Bytes of the sealed record that these bytes begin with, header included; `None` when there is none, or not all of it.
pub(crate) fn sealed_record(bytes: &[u8]) -> Option<usize> {
    let &[APPLICATION_DATA, 3, 3, high, low] = bytes.first_chunk::<RECORD_HEADER_BYTES>()? else {
        return None;
    };
    let length = RECORD_HEADER_BYTES + usize::from(u16::from_be_bytes([high, low]));
    (bytes.len() >= length).then_some(length)
}

/// What one class of hellos gets from a target.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Profile {
    /// Lengths of the sealed records up to Finished.
    pub(crate) sealed: Vec<usize>,
    /// Lengths of the records that come after the handshake by themselves: tickets, settings.
    pub(crate) after: Vec<usize>,
    /// Bytes of the hash of the suite that it chooses.
    pub(crate) hash: usize,
}

impl Profile {
    /// Whether our messages fit in records of these lengths: EncryptedExtensions, a certificate of that many bytes,
    /// CertificateVerify with 64 bytes of signature, Finished with a hash.
    pub(crate) fn holds(&self, certificate: usize) -> bool {
        let messages = [6, certificate + 13, 72, 4 + self.hash];
        Flight::new(self.sealed.clone()).is_ok_and(|flight| flight.holds(&messages))
    }
}

/// Classes of hellos that servers answer differently, by what they offer in ALPN.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Class {
    NoAlpn,
    Http1,
    Http2,
}

impl Class {
    pub(crate) const ALL: [Self; 3] = [Self::NoAlpn, Self::Http1, Self::Http2];

    pub(crate) fn of<'a>(mut alpn: impl Iterator<Item = &'a [u8]>) -> Self {
        match alpn.next() {
            None => Self::NoAlpn,
            Some(b"h2") => Self::Http2,
            Some(_) if alpn.any(|protocol| protocol == b"h2") => Self::Http2,
            Some(_) => Self::Http1,
        }
    }

    fn alpn(self) -> &'static [&'static str] {
        match self {
            Self::NoAlpn => &[],
            Self::Http1 => &["http/1.1"],
            Self::Http2 => &["h2", "http/1.1"],
        }
    }

    fn template(self, browsers: &Browsers) -> Result<Template, TargetError> {
        let template = browsers.of(Fingerprint::Chromium).map_err(commucat_mimic::Error::from)?;
        Ok(match self {
            Self::NoAlpn => template.without_alpn(),
            other => template.with_alpn(other.alpn()),
        })
    }
}

/// Looks at the target as a browser would, whatever its certificate.
pub(crate) async fn learn(
    net: &dyn Net,
    target: &HostPort,
    name: &str,
    class: Class,
    browsers: &Browsers,
) -> Result<Profile, TargetError> {
    let deadline = net.now() + LEARN_TIME;
    let look = Box::pin(look(net, target, name, class, browsers));
    within(net, deadline, look).await.ok_or(TargetError::Silent)?
}

async fn look(
    net: &dyn Net,
    target: &HostPort,
    name: &str,
    class: Class,
    browsers: &Browsers,
) -> Result<Profile, TargetError> {
    let mut io = net.connect_stream(target).await.map_err(TargetError::Unreachable)?;
    let options = ClientOptions::new(class.template(browsers)?, Some(name), std::sync::Arc::new(Anybody));
    let mut random = |bytes: &mut [u8]| net.fill_random(bytes).map_err(|_error| NoRandomness);
    let mut client = Client::new(options, net.unix_time(), &mut random)?;
    let mut profile = Profile::default();
    let mut records = Records::default();
    send(&mut io, &mut client).await?;
    let mut connected = false;
    loop {
        let quiet = net.now() + if connected { QUIET_TIME } else { LEARN_TIME };
        let Some(record) = within(net, quiet, records.next(&mut io)).await.transpose()?.flatten() else {
            return if connected { Ok(profile) } else { Err(TargetError::Silent) };
        };
        if connected {
            profile.after.push(record.len());
            if profile.after.len() >= MAX_POST_HANDSHAKE_RECORDS {
                return Ok(profile);
            }
        } else if record.first() == Some(&APPLICATION_DATA) {
            profile.sealed.push(record.len());
        }
        if profile.sealed.len() > MAX_FLIGHT_RECORDS {
            return Err(TargetError::NoFlight);
        }
        client.handle_input(net.unix_time(), &record)?;
        while let Some(event) = client.poll_event() {
            if let Event::Connected { suite, .. } = event {
                connected = true;
                profile.hash = if suite == AES_256_GCM_SHA384 { 48 } else { 32 };
            }
        }
        send(&mut io, &mut client).await?;
    }
}

async fn send(io: &mut BoxStream, client: &mut Client) -> Result<(), TargetError> {
    let mut wire = Vec::new();
    client.poll_transmit(&mut wire);
    if wire.is_empty() {
        return Ok(());
    }
    io.write_all(&wire).await.map_err(TargetError::Unreachable)?;
    io.flush().await.map_err(TargetError::Unreachable)
}

/// Whole records of a stream, one at a time.
#[derive(Debug, Default)]
struct Records {
    bytes: Vec<u8>,
}

impl Records {
    /// The next record; `None` at the end of the stream.
    async fn next(&mut self, io: &mut BoxStream) -> Result<Option<Vec<u8>>, TargetError> {
        loop {
            if let Some(&[_, _, _, high, low]) = self.bytes.first_chunk::<RECORD_HEADER_BYTES>() {
                let length = RECORD_HEADER_BYTES + usize::from(u16::from_be_bytes([high, low]));
                if self.bytes.len() >= length {
                    let rest = self.bytes.split_off(length);
                    return Ok(Some(std::mem::replace(&mut self.bytes, rest)));
                }
            }
            let mut chunk = [0; 4096];
            let count = io.read(&mut chunk).await.map_err(TargetError::Unreachable)?;
            if count == 0 {
                return Ok(None);
            }
            self.bytes.extend_from_slice(chunk.get(..count).unwrap_or_default());
        }
    }
}

/// Whether a hello answered so can be imitated.
pub(crate) fn can_be_imitated(hello: &[u8], session_id: &[u8]) -> Result<TargetHello, TargetError> {
    Ok(TargetHello::read(hello, session_id)?)
}

/// Runs a future until that time; `None` when it came first.
pub(crate) async fn within<T>(net: &dyn Net, until: Instant, future: impl Future<Output = T>) -> Option<T> {
    let mut timer = net.sleep_until(until);
    let mut future = std::pin::pin!(future);
    std::future::poll_fn(|cx| {
        if let std::task::Poll::Ready(value) = future.as_mut().poll(cx) {
            return std::task::Poll::Ready(Some(value));
        }
        timer.as_mut().poll(cx).map(|()| None)
    })
    .await
}
