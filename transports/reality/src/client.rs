//! The dialling end.

#[cfg(test)]
mod site_tests;

use std::{
    io,
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use commucat_mimic::{
    Client as Engine, ClientOptions, Error, Event, NoRandomness, SESSION_ID_BYTES, SessionId, Trust,
    Unsealed, WebPki,
};
use commucat_transport_api::{
    BoxFuture, BoxStream, Channel, Client, ConfigError, ConfigProblem, Cx, DialError, Failure, HostPort,
    Layered, Net, Opened, PathInfo, Phase, ProbeReport, Secret, Signal, Spec, Target,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::{
    auth::{AuthKey, Claim, SHORT_ID_BYTES, VERSION},
    config::ClientConfig,
    hellos::Browsers,
    link, probe, spider, target,
    tls::{ClientEngine, TlsStream},
    verify::{BridgeVerifier, NotTheBridge},
    vless::{
        Command, Flow, Request, datagrams::VlessDatagrams, stream::VlessStream, vision::stream::VisionStream,
    },
};

/// Bytes read at once while the handshake lasts.
const READ_BYTES: usize = 16 << 10;

/// A configured client.
#[derive(Debug)]
pub(crate) struct RealityClient {
    pub(crate) config: ClientConfig,
    pub(crate) server: HostPort,
    site: Arc<WebPki>,
}

/// A handshake that did not reach the bridge.
#[derive(Debug)]
pub(crate) struct Failed {
    pub(crate) failure: Failure,
    pub(crate) error: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Failed {
    pub(crate) fn into_dial_error(self) -> DialError {
        DialError::Network { failure: self.failure, source: self.error }
    }
}

/// How far a dial is and what it moved.
pub(crate) struct Progress<'a> {
    cx: &'a Cx,
    began: Instant,
    sent: u64,
    received: u64,
}

impl<'a> Progress<'a> {
    pub(crate) fn new(cx: &'a Cx) -> Self {
        Self { cx, began: cx.net.now(), sent: 0, received: 0 }
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.cx.net.now().saturating_duration_since(self.began)
    }

    pub(crate) fn failed(&self, phase: Phase, signal: Signal) -> Failed {
        let failure = Failure::new(phase, signal, self.elapsed()).with_bytes(self.sent, self.received);
        Failed { failure, error: None }
    }

    fn io(&self, phase: Phase, error: io::Error) -> Failed {
        if let Some(failure) = Failure::in_io(&error).cloned() {
            return Failed { failure, error: Some(error.into()) };
        }
        Failed {
            error: Some(error.into()),
            ..self.failed(phase, Signal::from_io(&io::ErrorKind::Other.into()))
        }
    }
}

impl RealityClient {
    pub(crate) fn new(spec: &Spec, browsers: &Browsers) -> Result<Self, ConfigError> {
        let config = ClientConfig::from_spec(spec, browsers)?;
        if spec.endpoint.port == 0 {
            return Err(ConfigError::new(Some("endpoint"), ConfigProblem::BadValue));
        }
        Ok(Self { config, server: spec.endpoint.clone(), site: Arc::new(WebPki::bundled()) })
    }

    pub(crate) async fn connect(&self, progress: &mut Progress<'_>) -> Result<BoxStream, Failed> {
        let cx = progress.cx;
        match cx.until_deadline(cx.net.connect_stream(&self.server)).await {
            None => Err(progress.failed(Phase::Connect, Signal::Timeout)),
            Some(Ok(io)) => Ok(io),
            Some(Err(error)) => {
                let phase =
                    if error.kind() == io::ErrorKind::NotFound { Phase::Resolve } else { Phase::Connect };
                let signal = Signal::from_io(&error);
                let mut failed = progress.io(phase, error);
                if matches!(failed.failure.signal, Signal::Other) {
                    failed.failure.signal = signal;
                }
                Err(failed)
            }
        }
    }

    /// The TLS handshake, up to the bridge's certificate.
    pub(crate) async fn handshake(
        &self,
        mut io: BoxStream,
        progress: &mut Progress<'_>,
    ) -> Result<TlsStream<ClientEngine>, Failed> {
        let cx = progress.cx;
        let mut engine = self.engine(cx).map_err(|error| judge(progress, error))?;
        match cx.until_deadline(drive(&mut io, &mut engine, progress)).await {
            None => Err(progress.failed(Phase::Handshake, Signal::Timeout)),
            Some(Err(failed)) => Err(failed),
            Some(Ok((Trust::Own, _))) => Ok(TlsStream::new(io, ClientEngine::new(engine))),
            // The site's own certificate: the bridge passed us on, or this is not the bridge.
            Some(Ok((_, alpn))) => {
                self.visit(io, engine, alpn.as_deref(), cx).await;
                let failed = progress.failed(Phase::Authenticate, Signal::AuthRejected);
                Err(Failed { error: Some(NotTheBridge::Site.into()), ..failed })
            }
        }
    }

    /// Behaves as a browser that reached the site; whatever comes of it.
    async fn visit(&self, io: BoxStream, engine: Engine, alpn: Option<&str>, cx: &Cx) {
        let mut site = TlsStream::new(io, ClientEngine::new(engine));
        let visitor = spider::Visitor {
            site: &self.config.server_name,
            browser: self.config.fingerprint,
            plan: &self.config.spider,
            net: &cx.net,
        };
        let until = cx.deadline.min(cx.net.now() + visitor.time());
        let visit = Box::pin(visitor.visit(&mut site, alpn));
        target::within(&*cx.net, until, visit).await;
    }

    fn engine(&self, cx: &Cx) -> Result<Engine, Error> {
        let auth = Arc::new(OnceLock::new());
        let verifier = BridgeVerifier {
            auth: Arc::clone(&auth),
            ml_dsa_65: self.config.ml_dsa_65.clone(),
            site: Arc::clone(&self.site),
        };
        let name = Some(self.config.server_name.as_str());
        let options = ClientOptions::new(self.config.template.clone(), name, Arc::new(verifier));
        let now = cx.net.unix_time();
        let mut hidden = Hidden {
            server: &self.config.public_key,
            claim: Claim {
                version: VERSION,
                // Seconds since 1970 in 32 bits, as the protocol has them.
                time: u32::try_from(now.as_secs()).unwrap_or(u32::MAX),
                short_id: self.config.short_id,
            },
            auth: &auth,
        };
        let mut random = |bytes: &mut [u8]| cx.net.fill_random(bytes).map_err(|_error| NoRandomness);
        Engine::with_session_id(options, now, &mut random, &mut hidden)
    }

    /// A VLESS stream over a handshake that is done.
    pub(crate) fn stream(
        &self,
        tls: TlsStream<ClientEngine>,
        command: Command,
        address: Option<HostPort>,
        net: &Arc<dyn Net>,
    ) -> BoxStream {
        let (user, flow) = (*self.config.user.expose(), self.config.flow);
        let mut head = Vec::new();
        Request { user, flow: flow.on_wire().to_owned(), command, address }.encode(&mut head);
        match flow {
            Flow::Plain => Box::new(VlessStream::dialled(Box::new(tls), head)),
            Flow::Vision | Flow::VisionUdp443 => Layered::boxed(VisionStream::dialled(tls, head, user, net)),
        }
    }

    /// Opens a stream to a target, or an association when there is none.
    async fn open(&self, cx: &Cx, target: Option<HostPort>) -> Result<Opened, DialError> {
        let mut progress = Progress::new(cx);
        let io = self.connect(&mut progress).await.map_err(Failed::into_dial_error)?;
        let connected = progress.elapsed();
        let tls = self.handshake(io, &mut progress).await.map_err(Failed::into_dial_error)?;
        let channel = match target {
            Some(target) => Channel::Stream(self.stream(tls, Command::Tcp, Some(target), &cx.net)),
            None => {
                let stream = self.stream(tls, Command::Mux, None, &cx.net);
                Channel::Datagrams(Box::new(VlessDatagrams::xudp(stream, true)))
            }
        };
        let path = match self.server.host.ip() {
            Some(_) => PathInfo::with_rtt(connected),
            // Here the time holds a name look-up as well.
            None => PathInfo::default(),
        };
        Ok(Opened::new(channel).with_path(path))
    }
}

/// Moves handshake bytes until the engine is connected: what its verifier recognised, and the application protocol.
async fn drive(
    io: &mut BoxStream,
    engine: &mut Engine,
    progress: &mut Progress<'_>,
) -> Result<(Trust, Option<String>), Failed> {
    let mut chunk = vec![0; READ_BYTES];
    loop {
        let mut wire = Vec::new();
        engine.poll_transmit(&mut wire);
        let sent = async {
            io.write_all(&wire).await?;
            io.flush().await
        };
        sent.await.map_err(|error| broken(progress, error))?;
        progress.sent += wire.len() as u64;
        while let Some(event) = engine.poll_event() {
            if let Event::Connected { trust: Some(trust), alpn, .. } = event {
                return Ok((trust, alpn));
            }
        }
        let count = io.read(&mut chunk).await.map_err(|error| broken(progress, error))?;
        if count == 0 {
            return Err(progress.failed(Phase::Handshake, Signal::UnexpectedEof));
        }
        progress.received += count as u64;
        let result = engine.handle_input(progress.cx.net.unix_time(), chunk.get(..count).unwrap_or_default());
        if let Err(error) = result {
            // The alert that a browser would send; the connection is over either way.
            let mut alert = Vec::new();
            engine.poll_transmit(&mut alert);
            io.write_all(&alert).await.ok();
            io.flush().await.ok();
            return Err(judge(progress, error));
        }
    }
}

fn broken(progress: &Progress<'_>, error: io::Error) -> Failed {
    let signal = Signal::from_io(&error);
    let mut failed = progress.io(Phase::Handshake, error);
    if matches!(failed.failure.signal, Signal::Other) {
        failed.failure.signal = signal;
    }
    failed
}

/// What an error of the engine is evidence of.
fn judge(progress: &Progress<'_>, error: Error) -> Failed {
    let (phase, signal) = match &error {
        Error::PeerAlert(alert) => (Phase::Handshake, Signal::TlsAlert(*alert)),
        Error::Certificate(source) => match source.downcast_ref::<NotTheBridge>() {
            Some(NotTheBridge::MlDsa) => (Phase::Authenticate, Signal::AuthRejected),
            _ => (Phase::Handshake, Signal::WrongCertificate),
        },
        Error::ServerChoseOldVersion(_) => (Phase::Authenticate, Signal::AuthRejected),
        _ => (Phase::Handshake, Signal::UnexpectedBytes),
    };
    Failed { error: Some(error.into()), ..progress.failed(phase, signal) }
}

/// Makes the session id that only the bridge can read.
pub(crate) struct Hidden<'a> {
    pub(crate) server: &'a [u8; 32],
    pub(crate) claim: Claim,
    pub(crate) auth: &'a OnceLock<AuthKey>,
}

impl SessionId for Hidden<'_> {
    fn session_id(&mut self, hello: &Unsealed<'_>) -> Result<[u8; SESSION_ID_BYTES], Error> {
        let shared = hello.agree_x25519(self.server)?;
        let auth =
            AuthKey::derive(&shared, hello.random()).ok_or(Error::Crypto("deriving the bridge's key"))?;
        let sealed = auth
            .seal(&self.claim, hello.message(), hello.random())
            .ok_or(Error::Crypto("sealing the session id"))?;
        // A second hello of the same connection keeps the first one's id.
        self.auth.get_or_init(|| auth);
        Ok(sealed)
    }
}

const _: () = assert!(SHORT_ID_BYTES == 8, "the claim has eight bytes of short id");

impl Client for RealityClient {
    fn dial<'a>(&'a self, cx: &'a Cx, target: &'a Target) -> BoxFuture<'a, Result<Opened, DialError>> {
        Box::pin(async move {
            match target {
                Target::Bridge | Target::Stream(_) | Target::Mux => {
                    let address = target.to_address().ok_or(DialError::UnsupportedTarget)?;
                    self.open(cx, Some(address)).await
                }
                Target::Datagrams => self.open(cx, None).await,
                _ => Err(DialError::UnsupportedTarget),
            }
        })
    }

    fn probe<'a>(&'a self, cx: &'a Cx) -> BoxFuture<'a, ProbeReport> {
        Box::pin(probe::probe(self, cx))
    }

    fn link(&self, name: &str) -> Option<Secret<String>> {
        Some(link::render(&self.config, &self.server, name))
    }
}
