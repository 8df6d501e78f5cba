//! A server that answers only who holds its key, and stays silent to everybody else: the shape of the proxies that look
//! like random bytes. Without a memory of first flights it answers a replay as it answered the first time, which is how
//! active probers find it; with one it is silent to the replay too.

use std::{
    collections::BTreeSet,
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::Instant,
};

use super::{Outcome, Scene, stream};

/// Salts that were used. As many as the visits of one run, which end.
type Memory = Arc<Mutex<BTreeSet<u64>>>;

/// What both ends know. No secret, and no cryptography: a censor must only see that others get no answer.
const KEY: u64 = 0x5eed_0fa1_ab0a_7b0d;
const SALT_BYTES: usize = 8;
/// The lengths that call the active prober of China lie from 160 to 700 bytes.
const FLIGHT_BYTES: usize = 400;
const ANSWER_BYTES: usize = 600;
/// Pause between two conversations of a client that comes again and again.
const PAUSE: Duration = Duration::from_millis(150);
/// How long a client comes again, and so how long a prober has to find the server out: its replay waits 0.3 s, then it
/// must see that random bytes get nothing; a whole battery takes ten seconds.
const VISITS_TIME: Duration = Duration::from_secs(40);
/// Visits after which a client without a censor has seen enough.
const VISITS_MAX: usize = 10;

/// Opens the server, with a memory of first flights or without, and visits it until it is banned or has been visited
/// often enough.
pub(super) async fn visit_often(scene: &Scene, at: SocketAddr, remembers: bool) -> Outcome {
    match try_visits(scene, at, remembers).await {
        Ok(outcome) | Err(outcome) => outcome,
    }
}

async fn try_visits(scene: &Scene, at: SocketAddr, remembers: bool) -> Result<Outcome, Outcome> {
    let listener = scene.in_world(TcpListener::bind(at)).await?;
    let memory = remembers.then(|| Arc::new(Mutex::new(BTreeSet::new())));
    scene.leave_in_world(async move {
        // Visits end with the server: dropping the set aborts them.
        let mut visits = JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            visits.spawn(serve(stream, memory.clone()));
            while visits.try_join_next().is_some() {}
        }
    });
    let end = Instant::now() + VISITS_TIME;
    let mut bytes = 0;
    let mut visits = 0;
    while Instant::now() < end && (visits < VISITS_MAX || scene.is_victim()) {
        match visit(scene, at).await? {
            Outcome::Intact { bytes: more } => bytes += more,
            other => return Ok(other),
        }
        visits += 1;
        tokio::time::sleep(PAUSE).await;
    }
    Ok(Outcome::Intact { bytes })
}

async fn visit(scene: &Scene, at: SocketAddr) -> Result<Outcome, Outcome> {
    let mut connection = stream::connect(scene, at).await?;
    let seed = scene.draw();
    let mut flight = bytes_of(seed, FLIGHT_BYTES);
    if let Some(first) = flight.first_mut() {
        // No printable character, so that no rule about printable beginnings spares it.
        *first |= 0x80;
    }
    prove(&mut flight);
    scene.wait(0, connection.write_all(&flight)).await?;
    let mut answer = vec![0; ANSWER_BYTES];
    scene.wait(0, connection.read_exact(&mut answer)).await?;
    let expected = bytes_of(salt_of(&flight).unwrap_or_default(), ANSWER_BYTES);
    if answer != expected {
        return Ok(Outcome::Altered { at: 0 });
    }
    Ok(Outcome::Intact { bytes: u64::try_from(ANSWER_BYTES).unwrap_or_default() })
}

async fn serve(mut stream: TcpStream, memory: Option<Memory>) -> io::Result<()> {
    let mut flight = vec![0; FLIGHT_BYTES];
    stream.read_exact(&mut flight).await?;
    let is_new = |salt: &u64| match &memory {
        Some(memory) => memory.lock().unwrap_or_else(PoisonError::into_inner).insert(*salt),
        None => true,
    };
    match salt_of(&flight).filter(is_new) {
        Some(salt) => stream.write_all(&bytes_of(salt, ANSWER_BYTES)).await?,
        None => {
            // A stranger learns nothing, and is read for ever.
            while stream.read(&mut flight).await? > 0 {}
        }
    }
    stream.shutdown().await
}

/// Writes the proof behind the salt.
fn prove(flight: &mut [u8]) {
    let Some((salt, rest)) = flight.split_first_chunk_mut::<SALT_BYTES>() else { return };
    let proof = fastrand::Rng::with_seed(u64::from_le_bytes(*salt) ^ KEY).u64(..);
    if let Some(place) = rest.first_chunk_mut() {
        *place = proof.to_le_bytes();
    }
}

/// The salt of a flight that proves the key.
fn salt_of(flight: &[u8]) -> Option<u64> {
    let mut proven = flight.to_vec();
    prove(&mut proven);
    let (salt, _) = flight.split_first_chunk::<SALT_BYTES>()?;
    (proven == flight).then(|| u64::from_le_bytes(*salt))
}

fn bytes_of(seed: u64, count: usize) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(seed);
    (0..count).map(|_| random.u8(..)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_holds_the_key_is_answered() {
        let mut flight = bytes_of(7, FLIGHT_BYTES);
        assert_eq!(salt_of(&flight), None);
        prove(&mut flight);
        assert!(salt_of(&flight).is_some());
        flight[3] ^= 1;
        assert_eq!(salt_of(&flight), None);
    }
}
