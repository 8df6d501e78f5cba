//! What comes to a REALITY bridge: hellos, and inside the tunnel VLESS requests, Vision blocks and XUDP frames.

use commucat_reality::fuzzing;

/// The first bytes of a connection.
pub(crate) fn hello(data: &[u8]) {
    assert!(fuzzing::judgement(data));
}

/// A VLESS request or response.
pub(crate) fn request(data: &[u8]) {
    assert!(fuzzing::request(data));
}

/// Blocks of Vision. The first byte chooses the user.
pub(crate) fn vision(data: &[u8]) {
    assert!(fuzzing::vision(data));
}

/// Frames of mux.cool.
pub(crate) fn xudp(data: &[u8]) {
    assert!(fuzzing::xudp(data));
}
