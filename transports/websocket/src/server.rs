//! The listening end: cheap accepts, then in a task of its own TLS, the request, and either 101 or the cover.

use std::{future::poll_fn, io, net::SocketAddr, sync::Arc, time::Duration};

use commucat_transport_api::{
    AcceptError, Accepted, BoxFuture, BoxStream, Channel, ConfigError, ConfigProblem, Cx, HostPort, Incoming,
    ListenError, Listener, Net, Server, Spec, StreamPort, Target, User, UserTable,
};
use serde_json::{Map, Value, json};
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::{
    ID,
    carrier::Carrier,
    coalesce::Coalesced,
    config::{ServerConfig, encode_key, encode_pin},
    conn::Conn,
    cover::{
        Cover, local,
        visit::{Head, Visit, within},
    },
    datagram::WsDatagrams,
    gate::{Admitted, Gate, Judgement, Now},
    raw::RawStream,
    stream::{HalfClose, WsStream},
    tls::server::ServerTls,
    wire::{
        frame::Role,
        token::UserKey,
        upgrade::{Mode, switching_protocols},
        verdict::{ID_BYTES, hex},
    },
};

/// Longest time from the first byte of a connection to the end of its first request head.
const HANDSHAKE_WAIT: Duration = Duration::from_secs(10);
/// Longest time that a connection may stay silent before its first byte.
const FIRST_BYTE_WAIT: Duration = Duration::from_secs(10);
/// Longest time between two requests of one visitor.
const KEEP_ALIVE_WAIT: Duration = Duration::from_secs(65);
/// Most requests of one visitor on one connection.
const MAX_REQUESTS: usize = 100;
/// Most connections that are past their first byte and not let in yet; about 20 KiB each. Further ones are closed.
const MAX_UNKNOWN: usize = 8192;

/// A configured server.
#[derive(Debug)]
pub(crate) struct WsServer {
    config: ServerConfig,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    gate: Gate,
    cover: Cover,
    tls: Option<ServerTls>,
    ping: crate::config::Ping,
    exact: bool,
    unknown: Semaphore,
}

impl WsServer {
    pub(crate) fn new(spec: &Spec, users: &Arc<UserTable>) -> Result<Self, ConfigError> {
        let config = ServerConfig::from_spec(spec)?;
        let shared = Arc::new(Shared {
            gate: Gate::new(config.path.expose(), config.keys.clone(), users, config.terms),
            cover: Cover::new(config.cover.as_ref(), config.key.expose())?,
            tls: config.identity.as_ref().map(ServerTls::new).transpose()?,
            ping: config.ping,
            exact: config.keys.is_some(),
            unknown: Semaphore::new(MAX_UNKNOWN),
        });
        Ok(Self { config, shared })
    }

    fn client_params(&self, user: &User) -> Map<String, Value> {
        let mut params = Map::new();
        let mut put = |name: &str, value: Value| params.insert(name.to_owned(), value);
        put("path", json!(self.config.path.expose()));
        if self.config.keys.is_some() {
            put("key", json!(encode_key(self.config.key.expose())));
            put("user_key", json!(encode_key(UserKey::derive(user.secret.expose()).expose())));
        } else {
            put("auth", json!("none"));
            put("half_close", json!(true));
        }
        if self.config.mode == Mode::Raw {
            put("mode", json!("raw"));
        }
        match (&self.shared.tls, self.config.is_self_signed()) {
            (None, _) => drop(put("tls", json!("off"))),
            (Some(tls), true) => drop(put("pin", json!(encode_pin(tls.leaf())))),
            (Some(_), false) => {}
        }
        params.extend(self.config.client.clone());
        params
    }
}

impl Server for WsServer {
    fn listen<'a>(&'a self, cx: &'a Cx) -> BoxFuture<'a, Result<Box<dyn Listener>, ListenError>> {
        Box::pin(async move {
            let address = &self.config.endpoint;
            let local = address
                .socket_addr()
                .ok_or_else(|| ConfigError::new(Some("endpoint"), ConfigProblem::BadValue))?;
            let port = cx.net.listen_stream(local).await;
            let port = port.map_err(|source| ListenError::Bind { address: address.clone(), source })?;
            let listener = WsListener { port, net: Arc::clone(&cx.net), shared: Arc::clone(&self.shared) };
            Ok(Box::new(listener) as Box<dyn Listener>)
        })
    }

    fn client_spec(&self, public: &HostPort, user: &User) -> Result<Spec, ConfigError> {
        let spec = Spec::new(ID, public.clone(), Value::Object(self.client_params(user)))?;
        crate::config::ClientConfig::from_spec(&spec)?;
        Ok(spec)
    }
}

#[derive(Debug)]
struct WsListener {
    port: Box<dyn StreamPort>,
    net: Arc<dyn Net>,
    shared: Arc<Shared>,
}

impl Listener for WsListener {
    fn local_addr(&self) -> Option<SocketAddr> {
        self.port.local_addr().ok()
    }

    fn accept(&mut self) -> BoxFuture<'_, Result<Box<dyn Incoming>, ListenError>> {
        Box::pin(async move {
            let (io, peer) = self.port.accept().await.map_err(ListenError::Accept)?;
            let incoming =
                WsIncoming { io, peer, net: Arc::clone(&self.net), shared: Arc::clone(&self.shared) };
            Ok(Box::new(incoming) as Box<dyn Incoming>)
        })
    }
}

#[derive(Debug)]
struct WsIncoming {
    io: BoxStream,
    peer: SocketAddr,
    net: Arc<dyn Net>,
    shared: Arc<Shared>,
}

impl Incoming for WsIncoming {
    fn peer(&self) -> Option<SocketAddr> {
        Some(self.peer)
    }

    fn handshake(self: Box<Self>) -> BoxFuture<'static, Result<Accepted, AcceptError>> {
        Box::pin(async move {
            let Self { io, net, shared, .. } = *self;
            let mut io = Coalesced::new(io, Arc::default());
            // Until the first byte a connection costs its socket and this future.
            let deadline = net.now() + FIRST_BYTE_WAIT;
            within(&*net, deadline, poll_fn(|cx| io.poll_readable(cx))).await.map_err(failed)?;
            let Ok(permit) = shared.unknown.try_acquire() else {
                return Err(AcceptError::Limit("connections that have not proved themselves"));
            };
            Box::pin(serve(io, &net, &shared, permit)).await
        })
    }
}

/// TLS, then requests until one is let in or the visitor leaves.
async fn serve(
    io: Coalesced,
    net: &Arc<dyn Net>,
    shared: &Shared,
    _permit: SemaphorePermit<'_>,
) -> Result<Accepted, AcceptError> {
    let mut deadline = net.now() + HANDSHAKE_WAIT;
    let carrier = match &shared.tls {
        None => Carrier::plain(io),
        Some(tls) => within(&**net, deadline, tls.accept(io)).await.map_err(failed)?,
    };
    let mut visit = Visit::new(carrier, Arc::clone(net));
    let mut outcome = AcceptError::Io(io::ErrorKind::UnexpectedEof.into());
    for _request in 0..MAX_REQUESTS {
        let id = random_id(&**net)?;
        let head = match visit.read_head(deadline).await.map_err(failed)? {
            Head::Request(head) => head,
            Head::End => return Err(outcome),
            Head::Bad(error) => {
                local::refuse(&mut visit, error, &hex(&id)).await.map_err(failed)?;
                visit.close().await;
                return Err(AcceptError::Unauthenticated);
            }
        };
        let now = Now { monotonic: net.now(), unix: net.unix_time() };
        let (verdict, replayed) = match shared.gate.judge(&head, now) {
            Judgement::Admit(admitted) => {
                return admit(visit, *admitted, shared, &hex(&id)).await.map_err(failed);
            }
            Judgement::Cover { id, replayed } => (id, replayed),
        };
        outcome = if replayed { AcceptError::Replayed } else { AcceptError::Unauthenticated };
        let id = hex(&verdict.unwrap_or(id));
        if !shared.cover.answer(&mut visit, &head, &id).await.map_err(failed)? {
            break;
        }
        deadline = net.now() + KEEP_ALIVE_WAIT;
    }
    visit.close().await;
    Err(outcome)
}

/// Answers 101 and puts the channel on top.
async fn admit(mut visit: Visit, admitted: Admitted, shared: &Shared, id: &str) -> io::Result<Accepted> {
    let Admitted { mode, key, protocol, user, target, early } = admitted;
    let answer = switching_protocols(key.as_deref(), protocol.as_deref(), &visit.date(), id);
    visit.send(&answer[..]).await?;
    visit.flush().await?;
    let Visit { mut carrier, input, net } = visit;
    let datagrams = target == Target::Datagrams;
    let channel = match mode {
        Mode::Raw => {
            let mut ahead = bytes::BytesMut::from(&early[..]);
            ahead.unsplit(input);
            carrier.unread(ahead);
            let stream = RawStream::new(carrier, net);
            if datagrams {
                Channel::Datagrams(Box::new(WsDatagrams::prefixed(stream)))
            } else {
                Channel::Stream(Box::new(stream))
            }
        }
        Mode::Ws => {
            carrier.unread(input);
            let mut random = [0; 4];
            net.fill_random(&mut random)?;
            let ping = shared.ping.draw(u32::from_ne_bytes(random));
            let conn = Conn::new(carrier, Role::Server, net, Some(ping))?;
            if datagrams {
                Channel::Datagrams(Box::new(WsDatagrams::messages(conn)))
            } else {
                let half_close =
                    if shared.exact { HalfClose::Exact } else { HalfClose::Foreign { ask: true } };
                Channel::Stream(Box::new(WsStream::new(conn, Role::Server, half_close).with_early(&early)))
            }
        }
    };
    Ok(Accepted::new(channel, target).with_user(user))
}

fn random_id(net: &dyn Net) -> Result<[u8; ID_BYTES], AcceptError> {
    let mut id = [0; ID_BYTES];
    net.fill_random(&mut id).map_err(AcceptError::Io)?;
    Ok(id)
}

fn failed(error: io::Error) -> AcceptError {
    match error.kind() {
        io::ErrorKind::TimedOut => AcceptError::Limit("time for a handshake"),
        _ => AcceptError::Io(error),
    }
}
