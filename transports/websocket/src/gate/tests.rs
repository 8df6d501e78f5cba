//! Judgements on heads that no client of ours would send: old versions, future ones, requests without sense.

use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::BytesMut;
use commucat_transport_api::{Secret, User};

use super::*;
use crate::wire::{
    head::take_request,
    token::{UserKey, VERSION},
};

const KEY: [u8; 32] = [7; 32];
const UNIX_S: u64 = 1_800_000_000;

fn gate() -> (Gate, Arc<UserTable>) {
    let anna = User { id: "anna".parse().unwrap(), secret: Secret::new([1; 32]) };
    let users = Arc::new(UserTable::new(vec![anna]));
    (
        Gate::new(
            "/p",
            Some(BridgeKeys::derive(&KEY)),
            &users,
            Terms { tolerance: Duration::from_secs(120), min_version: 1 },
        ),
        users,
    )
}

fn token(salt: u8, version: u8, unix_s: u64, secret: u8, body: &[u8]) -> Vec<u8> {
    token::seal(&BridgeKeys::derive(&KEY), &UserKey::derive(&[secret; 32]), [salt; 16], version, unix_s, body)
}

fn judge(gate: &Gate, path: &str, token: &[u8]) -> Judgement {
    let text = format!(
        "GET {path} HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: {}\r\n\r\n",
        URL_SAFE_NO_PAD.encode(token)
    );
    let head = take_request(&mut BytesMut::from(text.as_bytes())).unwrap().unwrap();
    gate.judge(&head, Now { monotonic: Instant::now(), unix: Duration::from_secs(UNIX_S) })
}

/// The reason that the id tells a holder of the key.
fn reason(judgement: &Judgement, salt: u8) -> Option<(Reason, u64)> {
    let Judgement::Cover { id, replayed: false } = *judgement else { panic!("{judgement:?}") };
    id.and_then(|id| verdict::open(&BridgeKeys::derive(&KEY), &[salt; 16], verdict::hex(&id).as_bytes()))
}

#[test]
fn a_good_token_opens_once() {
    let (gate, _users) = gate();
    let good = token(1, VERSION, UNIX_S, 1, &[3, 0, b'x']);
    let Judgement::Admit(admitted) = judge(&gate, "/p", &good) else { panic!("refused") };
    assert_eq!((admitted.target, &admitted.early[..]), (Target::Bridge, &b"x"[..]));
    assert_eq!(admitted.user.unwrap().as_str(), "anna");
    assert!(matches!(judge(&gate, "/p", &good), Judgement::Cover { id: None, replayed: true }));
}

#[test]
fn each_refusal_tells_its_reason_to_the_key_alone() {
    let (gate, users) = gate();
    let bridge = [3, 0];
    let cases = [
        (token(1, 0, UNIX_S, 1, &bridge), Reason::VersionTooOld),
        (token(2, VERSION, UNIX_S, 9, &bridge), Reason::UnknownUser),
        (token(3, VERSION, UNIX_S - 121, 1, &bridge), Reason::ClockSkew),
        (token(4, VERSION, UNIX_S + 121, 1, &bridge), Reason::ClockSkew),
        (token(5, VERSION, UNIX_S, 1, &[99]), Reason::BadRequest),
    ];
    for ((token, expected), salt) in cases.into_iter().zip(1..) {
        assert_eq!(reason(&judge(&gate, "/p", &token), salt), Some((expected, UNIX_S)));
    }
    users.set_full(true);
    assert_eq!(
        reason(&judge(&gate, "/p", &token(6, VERSION, UNIX_S, 1, &bridge)), 6),
        Some((Reason::BridgeFull, UNIX_S))
    );
    // A tag of another user under a known name is no known user.
    let mut forged = token(7, VERSION, UNIX_S, 1, &bridge);
    *forged.last_mut().unwrap() ^= 1;
    assert_eq!(reason(&judge(&gate, "/p", &forged), 7), Some((Reason::UnknownUser, UNIX_S)));
}

#[test]
fn a_newer_version_is_judged_by_its_proofs() {
    let (gate, _users) = gate();
    assert!(matches!(judge(&gate, "/p", &token(1, VERSION + 1, UNIX_S, 1, &[3, 0])), Judgement::Admit(_)));
}

#[test]
fn a_wrong_path_spends_nothing_and_tells_nothing() {
    let (gate, _users) = gate();
    let good = token(1, VERSION, UNIX_S, 1, &[3, 0]);
    let refused = token(2, VERSION, UNIX_S, 9, &[3, 0]);
    for path in ["/q", "/p/", "/pp", "/"] {
        assert!(matches!(judge(&gate, path, &good), Judgement::Cover { id: None, replayed: false }));
        assert!(matches!(judge(&gate, path, &refused), Judgement::Cover { id: None, replayed: false }));
    }
    assert!(matches!(judge(&gate, "/p", &good), Judgement::Admit(_)));
}
