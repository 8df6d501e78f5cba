//! The short way to a transport: one that turns one carrier stream into one stream, with nothing of its own around it.
//!
//! [`StreamTransport`] asks only for what such a protocol has of its own: its parameters, and a handshake at each end. [`Simple`]
//! makes a whole [`PluggableTransport`] of it: it connects, listens, keeps deadlines, probes and names the evidence.
//!
//! It has no users, no cover for strangers, no datagrams and no links. A transport that needs one of them implements
//! [`PluggableTransport`] itself.

mod listening;
#[cfg(test)]
mod tests;

use std::{
    fmt, io,
    sync::Arc,
    time::{Duration, Instant},
};

use serde::de::DeserializeOwned;
use serde_json::Value;

pub use self::listening::SIMPLE_HANDSHAKE_MAX;
use crate::{
    AcceptError, Addressing, BoxFuture, BoxStream, Channel, Client, ConfigError, ConfigProblem, Cx,
    Descriptor, DialError, Failure, HostPort, Opened, Phase, PluggableTransport, ProbeReport, ProbeStep,
    Roles, Server, Signal, Spec, Target, UserTable,
};

/// What a simple transport has of its own. [`Simple`] makes the rest of it.
///
/// Both handshakes may be written as `async fn`. They have no timer: whoever calls them drops them when their time is over.
pub trait StreamTransport: fmt::Debug + Send + Sync + 'static {
    /// What it is called and can carry: streams.
    const DESCRIPTOR: &'static Descriptor;

    /// What it reads from [`Spec::params`], the same at both ends.
    type Params: DeserializeOwned + Send + Sync + 'static;

    /// Looks at parameters whose shape is right.
    ///
    /// # Errors
    /// What is wrong with them.
    fn check(&self, params: &Self::Params) -> Result<(), ConfigError> {
        let _ = params;
        Ok(())
    }

    /// Parameters with fresh keys, as [`PluggableTransport::generate_server_params`].
    ///
    /// # Errors
    /// The system has no randomness.
    fn generate_server_params(&self) -> Result<Value, ConfigError>;

    /// Shakes hands as the client, and gives the stream that carries the user's bytes. The target is the bridge, or with
    /// [`Addressing::Proxy`] any address too ([`crate::write_target`]).
    ///
    /// An error that was made of a [`Failure`] keeps its signal, and its phase when that is [`Phase::Authenticate`].
    fn connect(
        &self,
        params: &Self::Params,
        carrier: BoxStream,
        target: &Target,
    ) -> impl Future<Output = io::Result<BoxStream>> + Send;

    /// Shakes hands as the bridge, within [`SIMPLE_HANDSHAKE_MAX`]: gives the stream, and where it should go
    /// ([`crate::read_target`]). Bytes after the handshake belong to the stream.
    fn accept(
        &self,
        params: &Self::Params,
        carrier: BoxStream,
    ) -> impl Future<Output = Result<(BoxStream, Target), AcceptError>> + Send;
}

/// A whole transport, made of a simple one.
#[derive(Debug)]
pub struct Simple<T>(Arc<T>);

impl<T: StreamTransport> Simple<T> {
    /// Makes the rest of this transport.
    pub fn new(transport: T) -> Self {
        Self(Arc::new(transport))
    }

    fn end(&self, spec: &Spec) -> Result<Arc<End<T>>, ConfigError> {
        // A list would pass for an object: serde takes its items for the fields, in their order.
        if !(spec.params.is_object() || spec.params.is_null()) {
            return Err(ConfigError::new(Some("params"), ConfigProblem::BadValue));
        }
        let params = spec.params()?;
        self.0.check(&params)?;
        let (endpoint, form) = (spec.endpoint.clone(), spec.params.clone());
        Ok(Arc::new(End { transport: Arc::clone(&self.0), endpoint, params, form }))
    }
}

impl<T: StreamTransport> PluggableTransport for Simple<T> {
    fn descriptor(&self) -> &Descriptor {
        T::DESCRIPTOR
    }

    fn client(&self, spec: &Spec) -> Result<Arc<dyn Client>, ConfigError> {
        Ok(self.end(spec)?)
    }

    fn server(&self, spec: &Spec, _nobody: &Arc<UserTable>) -> Result<Arc<dyn Server>, ConfigError> {
        match T::DESCRIPTOR.roles {
            Roles::Both => Ok(Arc::new(listening::Listening(self.end(spec)?))),
            Roles::ClientOnly => Err(ConfigError::new(None, ConfigProblem::RoleUnsupported)),
        }
    }

    fn generate_server_params(&self) -> Result<Value, ConfigError> {
        self.0.generate_server_params()
    }
}

/// Either end: where it dials or listens, and its parameters, read and as they were written.
struct End<T: StreamTransport> {
    transport: Arc<T>,
    endpoint: HostPort,
    params: T::Params,
    form: Value,
}

impl<T: StreamTransport> fmt::Debug for End<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Parameters hold secrets.
        f.debug_struct("End").field("transport", &self.transport).finish_non_exhaustive()
    }
}

impl<T: StreamTransport> End<T> {
    fn reaches(target: &Target) -> bool {
        let proxy = T::DESCRIPTOR.addressing == Addressing::Proxy;
        matches!(target, Target::Bridge) || (proxy && matches!(target, Target::Stream(_)))
    }

    async fn steps(&self, cx: &Cx, report: &mut ProbeReport) -> Option<()> {
        let mut push = |name, taken: Result<Duration, Failure>| {
            let passed = taken.is_ok();
            report.steps.push(ProbeStep::new(name, taken));
            passed.then_some(())
        };
        let began = cx.net.now();
        let resolved = attempt(cx, began, Phase::Resolve, cx.net.resolve(&self.endpoint)).await;
        push("resolve", timed(cx, began, &resolved))?;
        let began = cx.net.now();
        let carrier = attempt(cx, began, Phase::Connect, cx.net.connect_stream(&self.endpoint)).await;
        push("connect", timed(cx, began, &carrier))?;
        let began = cx.net.now();
        let handshake = self.transport.connect(&self.params, carrier.ok()?, &Target::Bridge);
        let stream = attempt(cx, began, Phase::Handshake, handshake).await;
        push("handshake", timed(cx, began, &stream))
    }
}

impl<T: StreamTransport> Client for End<T> {
    fn dial<'a>(&'a self, cx: &'a Cx, target: &'a Target) -> BoxFuture<'a, Result<Opened, DialError>> {
        Box::pin(async move {
            if !Self::reaches(target) {
                return Err(DialError::UnsupportedTarget);
            }
            let began = cx.net.now();
            let connecting = cx.net.connect_stream(&self.endpoint);
            let carrier = attempt(cx, began, Phase::Connect, connecting).await?;
            let handshake = self.transport.connect(&self.params, carrier, target);
            let stream = attempt(cx, began, Phase::Handshake, handshake).await?;
            Ok(Opened::new(Channel::Stream(stream)))
        })
    }

    fn probe<'a>(&'a self, cx: &'a Cx) -> BoxFuture<'a, ProbeReport> {
        Box::pin(async move {
            let mut report = ProbeReport::default();
            // `None` says that a step failed; the report says it too.
            let _passed: Option<()> = self.steps(cx, &mut report).await;
            report
        })
    }
}

/// An attempt that came to nothing: the evidence, and what the library below said.
#[derive(Debug)]
struct Setback(Failure, io::Error);

impl From<Setback> for DialError {
    fn from(Setback(failure, source): Setback) -> Self {
        Self::Network { failure, source: Some(source.into()) }
    }
}

/// Does the work of one phase before the deadline, or says what happened.
async fn attempt<T>(
    cx: &Cx,
    began: Instant,
    phase: Phase,
    work: impl Future<Output = io::Result<T>>,
) -> Result<T, Setback> {
    let done = cx.until_deadline(work).await;
    done.unwrap_or_else(|| Err(io::ErrorKind::TimedOut.into())).map_err(|error| {
        let signal = Signal::from_io(&error);
        let phase = reached(phase, &signal, &error);
        Setback(Failure::new(phase, signal, since(cx, began)), error)
    })
}

/// Connecting resolves names on its way, and a handshake may find out that our key is not the one.
fn reached(phase: Phase, signal: &Signal, error: &io::Error) -> Phase {
    let told = Failure::in_io(error).map(|failure| failure.phase);
    match phase {
        Phase::Connect if matches!(signal, Signal::NameNotFound | Signal::DnsPoisoned) => Phase::Resolve,
        Phase::Handshake if told == Some(Phase::Authenticate) => Phase::Authenticate,
        _ => phase,
    }
}

fn timed<T>(cx: &Cx, began: Instant, outcome: &Result<T, Setback>) -> Result<Duration, Failure> {
    match outcome {
        Ok(_reached) => Ok(since(cx, began)),
        Err(Setback(failure, _source)) => Err(failure.clone()),
    }
}

fn since(cx: &Cx, began: Instant) -> Duration {
    cx.net.now().saturating_duration_since(began)
}
