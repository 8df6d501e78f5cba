//! What comes to a REALITY bridge: hellos, and inside the tunnel VLESS requests, Vision blocks, XUDP frames. The first byte
//! chooses which.

use commucat_reality::fuzzing;

pub(crate) fn run(data: &[u8]) {
    let Some((kind, data)) = data.split_first() else { return };
    let kept = match kind % 4 {
        0 => fuzzing::judgement(data),
        1 => fuzzing::request(data),
        2 => fuzzing::vision(data),
        _ => fuzzing::xudp(data),
    };
    assert!(kept);
}
