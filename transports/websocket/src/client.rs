//! The dialling end: connect, TLS, upgrade, and the channel on top.

use std::{io, sync::Arc};

use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use bytes::Bytes;
use commucat_transport_api::{
    BoxFuture, BoxStream, Channel, Client, ConfigError, ConfigProblem, Cx, DialError, DriveError, Net,
    Opened, PathInfo, Phase, ProbeReport, Secret, Signal, Spec, Target, drive,
};

use crate::{
    attempt::Attempt,
    carrier::Carrier,
    coalesce::Coalesced,
    config::{ClientConfig, Tls},
    conn::Conn,
    datagram::WsDatagrams,
    early::EarlyStream,
    handshake::{ClientHandshake, Expect, UpgradeError},
    link, probe,
    raw::RawStream,
    stream::{HalfClose, WsStream},
    tls::client::ClientTls,
    wire::{
        frame::Role,
        request::{self, MAX_PAD_BYTES},
        token::{self, SALT_BYTES, VERSION},
        upgrade::{Mode, UpgradeRequest},
    },
};

/// A configured client.
#[derive(Clone, Debug)]
pub(crate) struct WsClient {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    config: ClientConfig,
    tls: Option<ClientTls>,
}

impl WsClient {
    pub(crate) fn new(spec: &Spec) -> Result<Self, ConfigError> {
        let config = ClientConfig::from_spec(spec)?;
        let tls = match config.tls {
            Tls::Off => None,
            Tls::On => Some(
                ClientTls::new(config.sni.as_ref(), config.pin)
                    .map_err(|error| ConfigError::with_source(Some("sni"), ConfigProblem::BadValue, error))?,
            ),
        };
        Ok(Self { shared: Arc::new(Shared { config, tls }) })
    }

    pub(crate) fn config(&self) -> &ClientConfig {
        &self.shared.config
    }

    async fn open(&self, attempt: &Arc<Attempt>, target: &Target) -> Result<Opened, DialError> {
        let config = self.config();
        let body = self.request_body(&**attempt.net(), target)?;
        let carrier = self.connect(attempt).await?;
        if config.early_bytes > 0 && *target != Target::Datagrams {
            let stream = EarlyStream::new(self.clone(), carrier, body, Arc::clone(attempt));
            return Ok(Opened::new(Channel::Stream(Box::new(stream))));
        }
        let asked = attempt.elapsed();
        let carrier = self.upgrade(attempt, carrier, body).await?;
        let rtt = attempt.elapsed().saturating_sub(asked);
        let channel = self.channel(attempt.net(), carrier, target).map_err(|error| broken(attempt, error))?;
        Ok(Opened::new(channel).with_path(PathInfo::with_rtt(rtt)))
    }

    /// Carrier connection and TLS.
    pub(crate) async fn connect(&self, attempt: &Attempt) -> Result<Carrier, DialError> {
        attempt.reached(Phase::Connect);
        let connected = attempt.net().connect_stream(&self.config().endpoint).await;
        let io = connected.map_err(|error| broken(attempt, error))?;
        self.secure(attempt, io).await
    }

    /// TLS over a connected stream, where there is TLS.
    pub(crate) async fn secure(&self, attempt: &Attempt, io: BoxStream) -> Result<Carrier, DialError> {
        attempt.reached(Phase::Handshake);
        let io = Coalesced::new(io, Arc::clone(attempt.tally()));
        match &self.shared.tls {
            None => Ok(Carrier::plain(io)),
            Some(tls) => {
                let connected = tls.connect(io, attempt.net().unix_time()).await;
                connected.map_err(|error| attempt.fail(error.signal(), error))
            }
        }
    }

    /// The request behind a token, with its random padding.
    pub(crate) fn request_body(&self, net: &dyn Net, target: &Target) -> Result<Vec<u8>, DialError> {
        let mut body = Vec::new();
        if self.config().credentials.is_none() {
            return if *target == Target::Bridge { Ok(body) } else { Err(DialError::UnsupportedTarget) };
        }
        let mut pad = [0];
        net.fill_random(&mut pad)
            .map_err(|error| DialError::io(Phase::Connect, std::time::Duration::ZERO, error))?;
        let [pad] = pad;
        if request::encode(target, pad % (MAX_PAD_BYTES + 1), &mut body) {
            Ok(body)
        } else {
            Err(DialError::UnsupportedTarget)
        }
    }

    /// The upgrade on a carrier.
    pub(crate) async fn upgrade(
        &self,
        attempt: &Attempt,
        mut carrier: Carrier,
        body: Vec<u8>,
    ) -> Result<Carrier, DialError> {
        attempt.reached(if self.config().credentials.is_some() {
            Phase::Authenticate
        } else {
            Phase::Handshake
        });
        let handshake = self.handshake(&**attempt.net(), &body).map_err(|error| broken(attempt, error))?;
        match drive(handshake, &mut carrier, &**attempt.net()).await {
            Ok(((), ahead)) => {
                carrier.unread(ahead);
                Ok(carrier)
            }
            Err(DriveError::Io(error)) => Err(broken(attempt, error)),
            Err(DriveError::Handshake(error)) => Err(refused(attempt, error)),
        }
    }

    /// The upgrade's state machine. `body`: request and first payload.
    pub(crate) fn handshake(&self, net: &dyn Net, body: &[u8]) -> io::Result<ClientHandshake> {
        let config = self.config();
        let unix = net.unix_time();
        let mut key = [0; 16];
        net.fill_random(&mut key)?;
        let key = STANDARD.encode(key);
        let mut salt = [0; SALT_BYTES];
        net.fill_random(&mut salt)?;
        let protocol = match &config.credentials {
            Some(credentials) => {
                let (bridge, user) = (&credentials.bridge, &credentials.user);
                Some(token::seal(bridge, user, salt, VERSION, unix.as_secs(), body))
            }
            None => (!body.is_empty()).then(|| body.to_vec()),
        };
        let protocol = protocol.map(|bytes| URL_SAFE_NO_PAD.encode(bytes));
        let request = UpgradeRequest {
            host: &config.authority,
            path: config.path.expose(),
            mode: config.mode,
            secure: config.tls == Tls::On,
            key: &key,
            offer_deflate: config.credentials.is_some(),
            protocol: protocol.as_deref(),
        };
        let request = Bytes::from(request.to_bytes());
        let credentials = config.credentials.clone().map(|credentials| (credentials, salt));
        Ok(ClientHandshake::new(request, Expect { mode: config.mode, key, protocol, credentials, unix }))
    }

    /// The channel on an upgraded carrier.
    pub(crate) fn channel(
        &self,
        net: &Arc<dyn Net>,
        carrier: Carrier,
        target: &Target,
    ) -> io::Result<Channel> {
        let datagrams = *target == Target::Datagrams;
        Ok(match (self.config().mode, datagrams) {
            (Mode::Raw, false) => Channel::Stream(Box::new(RawStream::new(carrier, Arc::clone(net)))),
            (Mode::Raw, true) => {
                Channel::Datagrams(Box::new(WsDatagrams::prefixed(RawStream::new(carrier, Arc::clone(net)))))
            }
            (Mode::Ws, true) => Channel::Datagrams(Box::new(WsDatagrams::messages(self.conn(net, carrier)?))),
            (Mode::Ws, false) => {
                let conn = self.conn(net, carrier)?;
                let exact = self.config().credentials.is_some() || self.config().half_close;
                let half_close = if exact { HalfClose::Exact } else { HalfClose::Foreign { ask: false } };
                let mut stream = WsStream::new(conn, Role::Client, half_close);
                if self.config().credentials.is_none() && exact {
                    stream.ask_exact();
                }
                Channel::Stream(Box::new(stream))
            }
        })
    }

    fn conn(&self, net: &Arc<dyn Net>, carrier: Carrier) -> io::Result<Conn> {
        let mut random = [0; 4];
        net.fill_random(&mut random)?;
        let ping = self.config().ping.draw(u32::from_ne_bytes(random));
        Conn::new(carrier, Role::Client, Arc::clone(net), Some(ping))
    }
}

/// An IO error as evidence.
pub(crate) fn broken(attempt: &Attempt, error: io::Error) -> DialError {
    attempt.fail(Signal::from_io(&error), error)
}

/// A refused upgrade as evidence.
pub(crate) fn refused(attempt: &Attempt, error: UpgradeError) -> DialError {
    attempt.fail(error.signal(), error)
}

impl Client for WsClient {
    fn dial<'a>(&'a self, cx: &'a Cx, target: &'a Target) -> BoxFuture<'a, Result<Opened, DialError>> {
        Box::pin(async move {
            let attempt = Arc::new(Attempt::begin(&cx.net));
            let opened = cx.until_deadline(self.open(&attempt, target)).await;
            opened.unwrap_or_else(|| Err(attempt.fail_bare(Signal::Timeout)))
        })
    }

    fn probe<'a>(&'a self, cx: &'a Cx) -> BoxFuture<'a, ProbeReport> {
        Box::pin(probe::run(self, cx))
    }

    fn link(&self, name: &str) -> Option<Secret<String>> {
        Some(link::write(self.config(), name))
    }
}
