//! `host:port` as text.

use std::str;

use commucat_transport_api::HostPort;

pub(crate) fn run(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    let Ok(endpoint) = text.parse::<HostPort>() else { return };
    let again: HostPort = endpoint.to_string().parse().expect("what was written is an endpoint");
    assert_eq!(again, endpoint);
}
