//! First bytes of browsers, as `commucat_dissect` writes them: nobody has the keys in them, so a server answers and no
//! connection comes of it.

use commucat_dissect::tls::{build::HelloSpec, split_records};

use super::Scene;

/// Bytes of a TLS record's header (RFC 8446 §5.1).
const RECORD_HEADER_BYTES: usize = 5;

/// The hello of a Chrome of this year: GREASE, permuted extensions, a post-quantum key, an encrypted hello.
pub(super) fn current(scene: &Scene, name: &str) -> Vec<u8> {
    record(scene, HelloSpec::chrome_current(), name)
}

/// The hello of Chrome 134, which Telegram's "fake TLS" copied, and which is blocked in Russia by its JA4.
pub(super) fn stale(scene: &Scene, name: &str) -> Vec<u8> {
    record(scene, HelloSpec::chrome_stale(), name)
}

fn record(scene: &Scene, spec: HelloSpec, name: &str) -> Vec<u8> {
    // What these browsers say always fits its length fields; an empty hello would fail the case that sent it.
    spec.with_server_name(name).record(scene.draw()).unwrap_or_default()
}

/// Where the middle of the server name stands in a hello; the middle of the hello when it has no such name.
pub(super) fn middle_of(hello: &[u8], name: &str) -> usize {
    let found = hello.windows(name.len()).position(|bytes| bytes == name.as_bytes());
    found.map_or(hello.len() / 2, |at| at + name.len() / 2)
}

/// The same handshake message in two records, cut in the middle of the server name.
pub(super) fn in_records(hello: &[u8], name: &str) -> Vec<u8> {
    let message = hello.get(RECORD_HEADER_BYTES..).unwrap_or_default();
    split_records(message, &[middle_of(message, name)])
}
