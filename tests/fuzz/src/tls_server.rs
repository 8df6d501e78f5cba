//! What a TLS server sends to a client of ours: its answer to a hello, its sealed flight, the records after it, and a
//! compressed certificate.

use commucat_mimic::fuzzing;

/// Bytes of the wire from the first on.
pub(crate) fn answer(data: &[u8]) {
    assert!(fuzzing::answer(data));
}

/// Handshake messages under the handshake keys.
pub(crate) fn flight(data: &[u8]) {
    assert!(fuzzing::flight(data));
}

/// Records of an open connection.
pub(crate) fn records(data: &[u8]) {
    assert!(fuzzing::records(data));
}

/// A CompressedCertificate message.
pub(crate) fn certificate(data: &[u8]) {
    assert!(fuzzing::certificate(data));
}
