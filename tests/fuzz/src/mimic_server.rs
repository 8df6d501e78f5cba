//! What a TLS server sends a client of ours: its answer, its sealed flight, records, compressed certificates. The first
//! byte chooses which.

use commucat_mimic::fuzzing;

pub(crate) fn run(data: &[u8]) {
    let Some((kind, data)) = data.split_first() else { return };
    let kept = match kind % 4 {
        0 => fuzzing::answer(data),
        1 => fuzzing::flight(data),
        2 => fuzzing::records(data),
        _ => fuzzing::certificate(data),
    };
    assert!(kept);
}
