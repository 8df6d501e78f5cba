//! The `commucat://` link.

use std::str;

use commucat_proto::link::{Link, MAX_ENDPOINTS};

pub(crate) fn run(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    let Ok(link) = Link::parse(text) else { return };
    assert!((1..=MAX_ENDPOINTS).contains(&link.endpoints.len()));
    let again = Link::parse(link.to_text().expose()).expect("what was written is a link");
    assert_eq!(again, link);
}
