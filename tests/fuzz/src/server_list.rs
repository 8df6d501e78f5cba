//! Documents that list servers (SIP008, Outline's JSON): each server that is read makes a client.

use std::{str, sync::LazyLock};

use commucat_bundle::Bundle;

static BUNDLE: LazyLock<Bundle> = LazyLock::new(Bundle::standard);

pub(crate) fn run(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    for (_name, spec) in BUNDLE.parse_document(text).unwrap_or_default() {
        // A transport does not know the parameters of its carrier.
        if spec.via.is_none() {
            BUNDLE.client(&spec).expect("a server that was read is a valid configuration");
        }
    }
}
