//! The beginning of a stream read as HTTP, SSH or as nothing known.

use commucat_dissect::{entropy, fet, http, ssh};

pub(crate) fn run(data: &[u8]) {
    let _banner = ssh::banner(data);
    let _exemption = fet::exemption(data);
    assert!((0.0..=8.0).contains(&entropy::shannon_bits(data)) && entropy::set_bits_per_byte(data) <= 8.0);
    if let Some(head) = http::request_head(data) {
        let _parts = (head.path(), head.header("cookie"));
        // Once the head is whole, what follows it changes nothing.
        let longer = [data, b"\r\nHost: other.example\r\n\r\n"].concat();
        let again = http::request_head(&longer).expect("more bytes do not take a head away");
        if head.complete {
            assert_eq!((again.method, again.target, again.host), (head.method, head.target, head.host));
        }
    }
    if let Some(head) = http::response_head(data) {
        assert!(head.status >= 100 && head.head_len.is_none_or(|length| length <= data.len()));
        let _value = head.header("server");
    }
}
