//! Whether a hello is from one of our clients. Pure: it gets the bytes and the time, and answers.

use std::time::Duration;

use aws_lc_rs::agreement::{self, UnparsedPublicKey, X25519};
use commucat_dissect::tls::{ClientHello, Defragment, Hello, MAX_RECORD_BYTES, client_hello};
use zeroize::Zeroizing;

use crate::{
    auth::{AuthKey, Claim},
    config::ServerConfig,
    target::Class,
};

const GROUP_X25519: u16 = 0x001d;
/// X25519MLKEM768.
const GROUP_HYBRID: u16 = 0x11ec;
/// Bytes of a client's hybrid share: an ML-KEM-768 key and an X25519 key.
const HYBRID_SHARE_BYTES: usize = 1216;
const TLS_1_3: u16 = 0x0304;
/// Content type of handshake records.
const HANDSHAKE: u8 = 22;
/// Bytes of a record's header.
const RECORD_HEADER_BYTES: usize = 5;

/// What the first bytes of a connection are.
#[derive(Debug)]
pub(crate) enum Judgement {
    /// More bytes are needed.
    Undecided,
    /// Not one of ours, and why: for our log, never for the wire.
    Stranger(Stranger),
    /// One of ours.
    Ours(Box<Client>),
}

/// Why a hello is not from one of our clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Stranger {
    #[error("no TLS")]
    NotTls,
    #[error("no TLS 1.3 hello")]
    OldTls,
    #[error("another server name")]
    ServerName,
    #[error("no hybrid key share before the X25519 one")]
    KeyShare,
    #[error("the session id was not made with our key")]
    Unauthenticated,
    #[error("an unknown short id")]
    ShortId,
    #[error("the clock is too far off")]
    Time,
    #[error("the client is too old")]
    Version,
    #[error("a replayed hello")]
    Replayed,
    #[error("too many hellos to remember")]
    MemoryFull,
}

/// A hello of ours.
#[derive(Debug)]
pub(crate) struct Client {
    /// The handshake message.
    pub(crate) hello: Vec<u8>,
    pub(crate) session_id: Vec<u8>,
    pub(crate) auth: AuthKey,
    pub(crate) class: Class,
}

/// Judges the bytes that a connection began with, at `now` (time since 1970).
pub(crate) fn judge(config: &ServerConfig, bytes: &[u8], now: Duration) -> Judgement {
    if is_cut(bytes) {
        return Judgement::Undecided;
    }
    match client_hello(bytes, Defragment::Records) {
        Hello::Incomplete => Judgement::Undecided,
        Hello::Complete(hello) => match client(config, &hello, now) {
            Ok(client) => Judgement::Ours(Box::new(client)),
            Err(stranger) => Judgement::Stranger(stranger),
        },
        Hello::NotTls | Hello::Fragmented => Judgement::Stranger(Stranger::NotTls),
    }
}

/// Whether the bytes end inside a handshake record: then nothing can be decided yet, and nothing is parsed. Whoever sends
/// a hello byte by byte costs a look at a header a byte, not a hello a byte.
pub(crate) fn is_cut(mut bytes: &[u8]) -> bool {
    while let Some((&[HANDSHAKE, 3, minor, high, low], rest)) =
        bytes.split_first_chunk::<RECORD_HEADER_BYTES>()
    {
        let length = usize::from(u16::from_be_bytes([high, low]));
        if minor > 4 || length == 0 || length > MAX_RECORD_BYTES {
            return false;
        }
        if rest.len() < length {
            return true;
        }
        bytes = rest.get(length..).unwrap_or_default();
    }
    false
}

fn client(config: &ServerConfig, hello: &ClientHello, now: Duration) -> Result<Client, Stranger> {
    if !hello.supported_versions().contains(&TLS_1_3) {
        return Err(Stranger::OldTls);
    }
    let name = hello.server_name().unwrap_or_default();
    if !config.server_names.iter().any(|known| known == name) {
        return Err(Stranger::ServerName);
    }
    let key = auth_key(config, hello)?;
    let claim = key.open(hello.message(), &hello.random).ok_or(Stranger::Unauthenticated)?;
    check(config, &claim, now)?;
    Ok(Client {
        hello: hello.message().to_vec(),
        session_id: hello.session_id().to_vec(),
        auth: key,
        class: Class::of(hello.alpn()),
    })
}

/// The rule since Xray 26.9.8: the hybrid share once, before any X25519 share. The key is the stand-alone X25519 share
/// where there is one, else the hybrid's.
fn auth_key(config: &ServerConfig, hello: &ClientHello) -> Result<AuthKey, Stranger> {
    let shares = hello.key_shares();
    let place = |group: u16| shares.iter().position(|(known, _)| *known == group);
    let hybrid = place(GROUP_HYBRID).ok_or(Stranger::KeyShare)?;
    let once = shares.iter().filter(|(group, _)| *group == GROUP_HYBRID).count() == 1;
    let alone = place(GROUP_X25519);
    if !once || alone.is_some_and(|alone| alone < hybrid) {
        return Err(Stranger::KeyShare);
    }
    let (_, hybrid) = shares.get(hybrid).ok_or(Stranger::KeyShare)?;
    if hybrid.len() != HYBRID_SHARE_BYTES {
        return Err(Stranger::KeyShare);
    }
    let public = match alone.and_then(|alone| shares.get(alone)) {
        Some((_, share)) => *share,
        None => hybrid.last_chunk::<32>().ok_or(Stranger::KeyShare)?,
    };
    let public = UnparsedPublicKey::new(&X25519, public);
    let shared = agreement::agree(&config.private_key, public, Stranger::KeyShare, |secret| {
        Ok(Zeroizing::new(secret.to_vec()))
    })?;
    AuthKey::derive(&shared, &hello.random).ok_or(Stranger::Unauthenticated)
}

fn check(config: &ServerConfig, claim: &Claim, now: Duration) -> Result<(), Stranger> {
    if claim.version < config.min_version {
        return Err(Stranger::Version);
    }
    if Duration::from_secs(claim.time.into()).abs_diff(now) > config.max_time_diff {
        return Err(Stranger::Time);
    }
    // The short ids are no secret of their own: who made the session id knows the bridge's key.
    if !config.short_ids.contains(&claim.short_id) {
        return Err(Stranger::ShortId);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, OnceLock};

    use aws_lc_rs::agreement::PrivateKey;
    use commucat_mimic::{Client as Engine, ClientOptions, NoRandomness, Template};
    use commucat_transport_api::Spec;
    use serde_json::json;

    use super::*;
    use crate::{auth::VERSION, client::Hidden, config, verify::Anybody};

    const NOW: Duration = Duration::from_secs(1_790_000_000);
    const NAME: &str = "www.example.com";

    fn config() -> ServerConfig {
        let mut params = config::generate_server_params().unwrap();
        let more =
            json!({ "target": "192.0.2.1:443", "server_names": [NAME], "min_client_version": "26.3.27" });
        params.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let spec = Spec::new(crate::ID, "127.0.0.1:0".parse().unwrap(), params).unwrap();
        ServerConfig::from_spec(&spec, &crate::hellos::Browsers::default()).unwrap()
    }

    fn public(key: &PrivateKey) -> [u8; 32] {
        key.compute_public_key().unwrap().as_ref().try_into().unwrap()
    }

    fn hello(template: Template, name: &str, server: [u8; 32], claim: Claim) -> Vec<u8> {
        let mut seed = 0u8;
        let mut random = |bytes: &mut [u8]| -> Result<(), NoRandomness> {
            bytes.iter_mut().for_each(|byte| {
                seed = seed.wrapping_mul(5).wrapping_add(13);
                *byte = seed;
            });
            Ok(())
        };
        let auth = OnceLock::new();
        let mut hidden = Hidden { server: &server, claim, auth: &auth };
        let options = ClientOptions::new(template, Some(name), Arc::new(Anybody));
        let mut engine = Engine::with_session_id(options, NOW, &mut random, &mut hidden).unwrap();
        let mut wire = Vec::new();
        engine.poll_transmit(&mut wire);
        wire
    }

    fn why(config: &ServerConfig, bytes: &[u8]) -> Stranger {
        match judge(config, bytes, NOW) {
            Judgement::Stranger(why) => why,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn each_reason_is_its_own() {
        let config = config();
        let server = public(&config.private_key);
        let short_id = config.short_ids[0];
        let time = u32::try_from(NOW.as_secs()).unwrap();
        let claim = Claim { version: VERSION, time, short_id };
        for template in [Template::chromium_156().unwrap(), Template::firefox_153().unwrap()] {
            let good = hello(template.clone(), NAME, server, claim);
            let judged = judge(&config, &good, NOW);
            assert!(matches!(judged, Judgement::Ours(_)), "{judged:?}");
            for cut in [0, 1, 5, 100, good.len() - 1] {
                assert!(matches!(judge(&config, &good[..cut], NOW), Judgement::Undecided), "{cut}");
            }
            assert_eq!(
                why(&config, &hello(template.clone(), "www.example.org", server, claim)),
                Stranger::ServerName
            );
            assert_eq!(
                why(&config, &hello(template.clone(), NAME, [9; 32], claim)),
                Stranger::Unauthenticated
            );
            let other = |claim| why(&config, &hello(template.clone(), NAME, server, claim));
            assert_eq!(other(Claim { short_id: [1; 8], ..claim }), Stranger::ShortId);
            assert_eq!(other(Claim { time: time - 121, ..claim }), Stranger::Time);
            assert_eq!(other(Claim { time: time + 121, ..claim }), Stranger::Time);
            assert_eq!(other(Claim { version: [26, 3, 26], ..claim }), Stranger::Version);
        }
        assert_eq!(why(&config, b"GET / HTTP/1.1\r\n\r\n"), Stranger::NotTls);
    }
}
