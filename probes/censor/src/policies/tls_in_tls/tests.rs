//! Connections by their sizes: a proxy that carries a browser's handshake, and pages that carry none.

use commucat_dissect::tls_in_tls::OVERHEAD_BYTES;

use crate::{
    event::Side,
    testing::{Bench, Connection, SEGMENT, hello, random_bytes},
};

const BRIDGE: &str = "203.0.113.10";
/// Bursts of Chrome's handshake with post-quantum keys (the model's means), and the packets each takes.
const CHROME: [(Side, usize, usize); 4] =
    [(Side::Client, 1850, 2), (Side::World, 4903, 4), (Side::Client, 785, 1), (Side::World, 1051, 1)];

/// An application data record that fills a packet of this many bytes.
fn data(bytes: usize) -> Vec<u8> {
    let length = u16::try_from(bytes - 5).unwrap().to_be_bytes();
    [&[23, 3, 3][..], &length, &random_bytes(bytes - 5)].concat()
}

/// The outer handshake of TLS 1.3, up to and with the client's Finished; `behind` comes in the same packet.
fn outer(bench: &mut Bench, behind: &[u8]) -> Connection {
    let mut connection = bench.connect(BRIDGE, 443);
    connection.client_says(bench, &hello("innocent.example"));
    connection.world_says(bench, &[&[22, 3, 3, 0, 90][..], &random_bytes(90)].concat());
    connection.world_says(bench, &data(3000.min(SEGMENT)));
    let finished = [&[20, 3, 3, 0, 1, 1][..], &data(58), behind].concat();
    connection.client_says(bench, &finished);
    connection
}

/// A burst of the inner connection, with what the outer TLS adds to each packet.
fn burst(bench: &mut Bench, connection: &mut Connection, (side, bytes, packets): (Side, usize, usize)) {
    let overhead = usize::try_from(OVERHEAD_BYTES).unwrap();
    let mut left = bytes;
    for packet in 0..packets {
        let part = left / (packets - packet);
        left -= part;
        connection.says(bench, side, &data(part + overhead));
    }
}

/// A proxy's request and answer, then a browser's handshake through it, then its request.
fn proxy(bench: &mut Bench, behind: &[u8]) -> Connection {
    let mut connection = outer(bench, behind);
    if behind.is_empty() {
        burst(bench, &mut connection, (Side::Client, 90, 1));
    }
    burst(bench, &mut connection, (Side::World, 60, 1));
    CHROME.into_iter().for_each(|one| burst(bench, &mut connection, one));
    burst(bench, &mut connection, (Side::Client, 400, 1));
    connection
}

#[test]
fn a_browser_through_a_proxy_is_silenced() {
    for behind in [vec![], data(114)] {
        let mut bench = Bench::new("tls-in-tls");
        let mut victim = proxy(&mut bench, &behind);
        assert!(victim.lost > 0, "{}", behind.len());
        let lost = victim.lost;
        victim.world_says(&mut bench, b"late");
        assert!(victim.lost > lost);
        let event = &bench.events()[0];
        assert_eq!(event.because("model").and_then(|model| model.as_str()), Some("ChromePostQuantum"));
    }
}

/// A proxy whose request needs no answer: the hello inside begins in the packet that ends the handshake outside.
#[test]
fn a_burst_that_begins_behind_finished_counts_from_there() {
    let mut bench = Bench::new("tls-in-tls");
    let overhead = usize::try_from(OVERHEAD_BYTES).unwrap();
    let mut victim = outer(&mut bench, &data(1_276 + overhead));
    burst(&mut bench, &mut victim, (Side::Client, 1_850 - 1_276, 1));
    CHROME.into_iter().skip(1).for_each(|one| burst(&mut bench, &mut victim, one));
    burst(&mut bench, &mut victim, (Side::Client, 400, 1));
    assert!(victim.lost > 0);
    let bursts = serde_json::json!([1850, 4903, 785, 1051]);
    assert_eq!(bench.events()[0].because("bursts"), Some(&bursts));
}

#[test]
fn the_same_sizes_without_a_hello_outside_pass() {
    let mut bench = Bench::new("tls-in-tls");
    let mut raw = bench.connect(BRIDGE, 443);
    CHROME.into_iter().for_each(|one| burst(&mut bench, &mut raw, one));
    CHROME.into_iter().for_each(|one| burst(&mut bench, &mut raw, one));
    burst(&mut bench, &mut raw, (Side::Client, 400, 1));
    assert!(raw.is_untouched());
}

#[test]
fn a_page_and_a_download_pass() {
    let mut bench = Bench::new("tls-in-tls");
    let mut page = outer(&mut bench, &[]);
    for _request in 0..6 {
        burst(&mut bench, &mut page, (Side::Client, 420, 1));
        burst(&mut bench, &mut page, (Side::World, 30_000, 25));
    }
    assert!(page.is_untouched());
}

#[test]
fn padding_that_changes_sizes_passes() {
    let mut bench = Bench::new("tls-in-tls");
    let mut padded = outer(&mut bench, &[]);
    for (side, bytes, packets) in CHROME {
        burst(&mut bench, &mut padded, (side, bytes + 2_500, packets + 2));
    }
    burst(&mut bench, &mut padded, (Side::Client, 400, 1));
    assert!(padded.is_untouched());
}

#[test]
fn it_can_only_mark_or_look_elsewhere() {
    for chain in ["tls-in-tls?act=tag", "tls-in-tls?p=0", "tls-in-tls?to=cdn"] {
        let mut bench = Bench::new(chain);
        assert!(proxy(&mut bench, &[]).is_untouched(), "{chain}");
        let marks = bench.events().len();
        assert_eq!(marks, usize::from(chain.ends_with("tag")), "{chain}");
    }
}
