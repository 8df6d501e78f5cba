//! What a prober who knows REALITY sends: hellos of ours that were recorded, changed or cut, and records that no client
//! sends.

use commucat_battery::{Family, Probe, Step, client_hello};
use commucat_tests_interop::RelayBridge;

use crate::{
    hellos::{changed, in_two_records, late, ours, without_tls_1_3},
    targets::NAME,
};

const CHANGE_CIPHER_SPEC: [u8; 6] = [20, 3, 3, 0, 1, 1];
/// One byte more than a record's ciphertext may have (RFC 8446 §5.2).
const TOO_LONG: u16 = (1 << 14) + 256 + 1;

/// The probes; each call makes hellos that the bridge has not seen.
pub(crate) async fn probes(bridge: &RelayBridge) -> Vec<Probe> {
    let mut all = of_strangers(bridge).await;
    all.extend(of_recorders(bridge).await);
    all.extend(of_no_hello());
    all
}

/// A hello of ours that is too old for that bridge.
pub(crate) async fn another_version(bridge: &RelayBridge) -> Probe {
    send("another-version", ours(bridge).await)
}

/// Hellos that are not ours.
async fn of_strangers(bridge: &RelayBridge) -> Vec<Probe> {
    let hello = client_hello(NAME).unwrap();
    let half = hello[..hello.len() / 2].to_vec();
    let with =
        |key: &'static str, value: &'static str| changed(bridge, move |spec| spec.params[key] = value.into());
    vec![
        send("another-name", with("server_name", "www.example.net").await),
        send("another-short-id", with("short_id", "ffffffffffffffff").await),
        send("another-key", with("public_key", "jNXHt1yRo0vDuchQlIP6Z0ZvjT3KtzVI-T4E7RoLJS0").await),
        send("another-time", late(bridge).await),
        send("without-tls-1.3", without_tls_1_3()),
        send("half-a-hello", half.clone()),
        steps("half-a-hello-and-an-end", vec![Step::Send(half), Step::HalfClose]),
        send("two-hellos", hello.repeat(2)),
        send("in-two-records", in_two_records(&hello)),
        send("hello-and-noise", [&hello[..], &[0x7f; 100]].concat()),
        steps("hello-and-an-end", vec![Step::Send(hello.clone()), Step::Listen, Step::HalfClose]),
        then("hello-and-change-cipher-specs", &hello, CHANGE_CIPHER_SPEC.repeat(20)),
    ]
}

/// Hellos of ours that somebody took on the way and brings himself, before their owner or after.
async fn of_recorders(bridge: &RelayBridge) -> Vec<Probe> {
    let finished = [&CHANGE_CIPHER_SPEC[..], &[23, 3, 3, 0, 53], &[7; 53]].concat();
    let once = ours(bridge).await;
    vec![
        send("taken-and-silence", ours(bridge).await),
        steps("taken-and-an-end", vec![Step::Send(ours(bridge).await), Step::Listen, Step::HalfClose]),
        then("taken-with-another-finished", &ours(bridge).await, finished.clone()),
        then("taken-and-an-alert", &ours(bridge).await, vec![21, 3, 3, 0, 2, 2, 40]),
        then("taken-and-a-long-record", &ours(bridge).await, long_record(23)),
        then("taken-and-an-empty-record", &ours(bridge).await, vec![23, 3, 3, 0, 0]),
        then("taken-and-noise", &ours(bridge).await, vec![0x7f; 100]),
        then("taken-and-a-second-hello", &ours(bridge).await, client_hello(NAME).unwrap()),
        then("taken-and-change-cipher-specs", &ours(bridge).await, CHANGE_CIPHER_SPEC.repeat(20)),
        then("taken-and-more-change-cipher-specs", &ours(bridge).await, CHANGE_CIPHER_SPEC.repeat(60)),
        send("taken-in-two-records", in_two_records(&ours(bridge).await)),
        then("replayed-with-another-finished", &once, finished),
    ]
}

/// Records that begin no handshake.
fn of_no_hello() -> Vec<Probe> {
    vec![
        send("change-cipher-specs", CHANGE_CIPHER_SPEC.repeat(100)),
        send("a-long-handshake-record", long_record(22)),
        send("a-long-data-record", long_record(23)),
        send("an-alert", vec![21, 3, 1, 0, 2, 2, 40]),
        send("a-close-notify", vec![21, 3, 3, 0, 2, 1, 0]),
        send("empty-handshake-records", [22, 3, 1, 0, 0].repeat(100)),
        send("empty-data-records", [23, 3, 3, 0, 0].repeat(100)),
        send("data-first", [&[23, 3, 3, 0, 53][..], &[7; 53]].concat()),
        send("a-server-hello", [&[22, 3, 3, 0, 44, 2, 0, 0, 40, 3, 3][..], &[5; 38]].concat()),
        send("a-longer-hello-than-hellos", [&[22, 3, 1, 0, 100, 1, 0xff, 0xff, 0xff][..], &[3; 96]].concat()),
        steps("one-byte", vec![Step::Send(vec![22])]),
        steps("one-byte-and-an-end", vec![Step::Send(vec![22]), Step::HalfClose]),
    ]
}

fn long_record(kind: u8) -> Vec<u8> {
    [&[kind, 3, 3][..], &TOO_LONG.to_be_bytes(), &vec![9; usize::from(TOO_LONG)]].concat()
}

fn send(name: &str, bytes: Vec<u8>) -> Probe {
    steps(name, vec![Step::Send(bytes)])
}

/// A hello, and once it was answered something else.
fn then(name: &str, hello: &[u8], bytes: Vec<u8>) -> Probe {
    steps(name, vec![Step::Send(hello.to_vec()), Step::Listen, Step::Send(bytes)])
}

fn steps(name: &str, steps: Vec<Step>) -> Probe {
    Probe::steps(name, Family::TlsRelay, steps)
}
