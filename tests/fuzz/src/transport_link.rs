//! `ss://`, `commucat-ws://`: a link that is read makes a client, and that client's own link says the same.

use std::{str, sync::LazyLock};

use commucat_bundle::Bundle;

static BUNDLE: LazyLock<Bundle> = LazyLock::new(Bundle::standard);

pub(crate) fn run(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    let Some(first) = written_again(text) else { return };
    assert_eq!(written_again(&first).expect("a link that we wrote is read"), first);
}

/// The link that the client of this link gives.
fn written_again(link: &str) -> Option<String> {
    let spec = BUNDLE.parse_link(link).ok()?;
    match BUNDLE.client(&spec) {
        Ok(client) => client.link("").map(|link| link.expose().clone()),
        // A transport does not know the parameters of its carrier.
        Err(_) if spec.via.is_some() => None,
        Err(error) => panic!("a link that was read is no valid configuration: {error:?}"),
    }
}
