//! One connection, from its first byte to its end as a stranger or to an open tunnel.

mod finish;

use std::{io, sync::Arc, time::Duration};

use commucat_mimic::{Flight, NoRandomness, Responder};
use commucat_transport_api::{AcceptError, BoxStream, abort};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    sync::{Notify, OwnedSemaphorePermit},
};

use self::finish::{Finish, finish, transmit};
use super::{Shared, TlsStream, within};
use crate::{
    certificate::{self, ED25519_SCHEME, Hellos},
    cover,
    judge::{self, Client, Judgement, Stranger},
    replay::Seen,
    target::{
        FlightReader, Profile, can_be_imitated,
        dials::{self, Visitor},
    },
};

/// How long a client may take to come to the point before the target is dialled for him. A hello comes with the first
/// packets; and so short a time is lost among those of the way, should somebody time how long the site waits.
const POINT_TIME: Duration = Duration::from_millis(100);
/// How long the target may take for its flight.
const FLIGHT_TIME: Duration = Duration::from_secs(5);
/// How long one of ours may take for the rest of a handshake.
const HANDSHAKE_TIME: Duration = Duration::from_secs(30);
/// How long it may stay open whose a connection is. Whoever has not said a hello by then is the site's to wait for.
const HELLO_TIME: Duration = Duration::from_secs(30);
/// Bytes of a hello that are looked at. More is nobody's hello.
const MAX_HELLO_BYTES: usize = 32 << 10;
/// Bytes read at once.
const READ_BYTES: usize = 8 << 10;

/// A connection of which it is not yet known whose it is.
pub(super) struct Meeting {
    client: BoxStream,
    shared: Arc<Shared>,
    slot: OwnedSemaphorePermit,
    stranger: Arc<Notify>,
    /// What the client has said so far.
    heard: Vec<u8>,
}

/// How the first part of a meeting ended.
enum Known {
    /// Not ours; these bytes of the target are still to be passed on.
    Stranger(Vec<u8>),
    Ours(Box<Client>),
}

impl Known {
    const fn visitor(&self) -> Visitor {
        match self {
            Self::Stranger(_) => Visitor::Stranger,
            Self::Ours(_) => Visitor::Ours,
        }
    }
}

impl Meeting {
    pub(super) const fn new(
        client: BoxStream,
        shared: Arc<Shared>,
        slot: OwnedSemaphorePermit,
        stranger: Arc<Notify>,
    ) -> Self {
        Self { client, shared, slot, stranger, heard: Vec::new() }
    }

    /// The tunnel of one of ours. A stranger is passed on in here until he goes.
    pub(super) async fn run(mut self) -> Result<TlsStream<Responder>, AcceptError> {
        let shared = Arc::clone(&self.shared);
        let known = match self.first_words().await {
            Ok(known) => known,
            // Who leaves with a reset before he said who he is costs the target nothing.
            Err(error) => {
                abort(self.client);
                return Err(AcceptError::Io(error));
            }
        };
        let visitor = known.as_ref().map(Known::visitor);
        let Some(mut target) = reach_target(&shared, visitor).await else {
            // A site that is away resets or refuses; whoever asks us meanwhile sees the same.
            abort(self.client);
            return Err(AcceptError::Io(io::ErrorKind::HostUnreachable.into()));
        };
        let client = match self.introduce(known, &mut target).await {
            Ok(Known::Ours(client)) => client,
            Ok(Known::Stranger(said)) => return Err(self.pass_on(target, &said).await),
            Err(error) => {
                abort((self.client, target));
                return Err(AcceptError::Io(error));
            }
        };
        let mut flight = FlightReader::default();
        let answered = self.answer(&client, &mut target, &mut flight);
        let why = match within(&*shared.net, FLIGHT_TIME, answered).await {
            Some(Ok(responder)) => {
                let behind = flight.behind().to_vec();
                return self.open(responder, target, &client, behind).await;
            }
            Some(Err(why)) => why,
            None => "it did not send what it sent at the first look".into(),
        };
        tracing::warn!(%why, "the target's answer cannot be imitated; the client gets it as it is");
        let again = Box::pin(shared.learn_again());
        let (error, ()) = tokio::join!(self.pass_on(target, &flight.bytes), again);
        Err(error)
    }

    /// Hears a client out who comes to the point: `None` when he does not. Sites say nothing before a hello is whole,
    /// so until then nobody can tell that there is no target yet.
    async fn first_words(&mut self) -> io::Result<Option<Known>> {
        let mut chunk = vec![0; READ_BYTES];
        let mut timer = self.shared.net.sleep_until(self.shared.net.now() + POINT_TIME);
        loop {
            tokio::select! {
                biased;
                count = self.client.read(&mut chunk) => {
                    let bytes = chunk.get(..count?).unwrap_or_default();
                    if bytes.is_empty() {
                        return Ok(Some(Known::Stranger(Vec::new())));
                    }
                    self.heard.extend_from_slice(bytes);
                    if let Some(known) = self.judge() {
                        return Ok(Some(known));
                    }
                }
                () = &mut timer => return Ok(None),
            }
        }
    }

    /// Tells the target what was heard so far, and goes on from there.
    async fn introduce(&mut self, known: Option<Known>, target: &mut BoxStream) -> io::Result<Known> {
        target.write_all(&self.heard).await?;
        target.flush().await?;
        match known {
            Some(known) => Ok(known),
            None => self.listen(target).await,
        }
    }

    /// The tunnel, once our flight is ready to be sent. Who cannot finish the handshake is passed on after all.
    async fn open(
        mut self,
        mut responder: Responder,
        mut target: BoxStream,
        client: &Client,
        mut said: Vec<u8>,
    ) -> Result<TlsStream<Responder>, AcceptError> {
        let shared = Arc::clone(&self.shared);
        let finished = finish(&mut responder, &mut self.client, &mut target, &mut said);
        match within(&*shared.net, HANDSHAKE_TIME, finished).await {
            Some(Ok(Finish::Ours { said })) => {
                drop(target);
                self.say_after(&mut responder, client, said).await.map_err(AcceptError::Io)?;
            }
            Some(Ok(Finish::Stranger)) | None => {
                tracing::debug!("a connection with a good hello and no Finished is passed on to the target");
                return Err(self.pass_on(target, &said).await);
            }
            Some(Err(error)) => {
                abort((self.client, target));
                return Err(AcceptError::Io(error));
            }
        }
        Ok(TlsStream::new(self.client, responder))
    }

    /// Passes every byte on while it is not known whose the connection is.
    async fn listen(&mut self, target: &mut BoxStream) -> io::Result<Known> {
        let (mut from_client, mut from_target) = (vec![0; READ_BYTES], vec![0; READ_BYTES]);
        let mut timer = self.shared.net.sleep_until(self.shared.net.now() + HELLO_TIME);
        loop {
            tokio::select! {
                biased;
                () = &mut timer => return Ok(Known::Stranger(Vec::new())),
                count = target.read(&mut from_target) => {
                    // The target answered, or left, before there was a hello of ours.
                    // An end is read again by whoever passes on, and passed on by it.
                    let said = from_target.get(..count?).unwrap_or_default().to_vec();
                    return Ok(Known::Stranger(said));
                }
                count = self.client.read(&mut from_client) => {
                    let bytes = from_client.get(..count?).unwrap_or_default();
                    if bytes.is_empty() {
                        return Ok(Known::Stranger(Vec::new()));
                    }
                    target.write_all(bytes).await?;
                    target.flush().await?;
                    self.heard.extend_from_slice(bytes);
                    if let Some(known) = self.judge() {
                        return Ok(known);
                    }
                }
            }
        }
    }

    fn judge(&self) -> Option<Known> {
        let Shared { config, net, replays, .. } = &*self.shared;
        let stranger = match judge::judge(config, &self.heard, net.unix_time()) {
            Judgement::Undecided if self.heard.len() < MAX_HELLO_BYTES => return None,
            Judgement::Undecided => Stranger::NotTls,
            Judgement::Stranger(why) => why,
            Judgement::Ours(client) => match replays.check(&client.hello, net.now()) {
                Seen::First => return Some(Known::Ours(client)),
                Seen::Again => Stranger::Replayed,
                Seen::Full => Stranger::MemoryFull,
            },
        };
        tracing::debug!(why = %stranger, "a connection is passed on to the target");
        Some(Known::Stranger(Vec::new()))
    }

    /// Reads the target's flight and writes ours in its shape. On failure nothing was written yet.
    async fn answer(
        &mut self,
        client: &Client,
        target: &mut BoxStream,
        flight: &mut FlightReader,
    ) -> Result<Responder, Box<dyn std::error::Error + Send + Sync>> {
        let sealed = self.profile(client).map_or(1, |profile| profile.sealed.len());
        let mut chunk = vec![0; READ_BYTES];
        loop {
            let count = target.read(&mut chunk).await?;
            let bytes = chunk.get(..count).unwrap_or_default();
            if flight.take(bytes, sealed)? {
                break;
            }
            if bytes.is_empty() {
                return Err("the target left in the middle of its flight".into());
            }
        }
        let (hello, lengths) = flight.finish();
        let theirs = can_be_imitated(hello, &client.session_id)?;
        let shared = &*self.shared;
        let mut random = |bytes: &mut [u8]| shared.net.fill_random(bytes).map_err(|_error| NoRandomness);
        let mut responder = Responder::new(&client.hello, &theirs, &mut random)?;
        let hellos = Hellos { client: &client.hello, server: responder.server_hello() };
        let public = aws_lc_rs::signature::KeyPair::public_key(&shared.key);
        let certificate =
            certificate::forge(&client.auth, public.as_ref(), shared.config.ml_dsa_65.as_ref(), &hellos)
                .ok_or("no certificate could be made")?;
        let sign = |message: &[u8]| shared.key.sign(message).as_ref().to_vec();
        responder.answer(&Flight::new(lengths.to_vec())?, &certificate, ED25519_SCHEME, &sign)?;
        Ok(responder)
    }

    fn profile(&self, client: &Client) -> Option<Profile> {
        let profiles = self.shared.profiles.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        let of =
            |class| profiles.iter().find(|(known, _)| *known == class).map(|(_, profile)| profile.clone());
        of(client.class).or_else(|| profiles.first().map(|(_, profile)| profile.clone()))
    }

    /// Says what the target says of itself after a handshake, but for the records that were imitated already.
    async fn say_after(&mut self, responder: &mut Responder, client: &Client, said: usize) -> io::Result<()> {
        let after = self.profile(client).map(|profile| profile.after).unwrap_or_default();
        for length in after.into_iter().skip(said) {
            responder.imitate_record(length).map_err(io::Error::other)?;
        }
        transmit(responder, &mut self.client).await
    }

    async fn pass_on(self, target: BoxStream, said: &[u8]) -> AcceptError {
        drop(self.slot);
        self.stranger.notify_one();
        let Shared { strangers, config, net, .. } = &*self.shared;
        cover::visit(self.client, target, said, strangers, &config.fallback_limit, net).await;
        AcceptError::Unauthenticated
    }
}

/// Who has come to the point may get a connection that was ready. The site measures its patience with others from their
/// connection, so that is made now.
async fn reach_target(shared: &Shared, visitor: Option<Visitor>) -> Option<BoxStream> {
    let dial = async {
        match visitor {
            Some(visitor) => shared.dials.connect(visitor).await,
            None => shared.dials.dial().await,
        }
    };
    let why = match within(&*shared.net, dials::MAX_WAIT, dial).await {
        Some(Ok(target)) => return Some(target),
        Some(Err(error)) => error,
        None => io::ErrorKind::TimedOut.into(),
    };
    tracing::warn!(%why, "the target of a REALITY endpoint cannot be reached");
    None
}
