//! For `tests/fuzz` alone, no part of the API: the parsers of foreign bytes, each as a question about any bytes. The
//! answer is whether the parser keeps its promise.

use crate::{
    http::{
        body::{Body, Framing},
        request::Request,
        response::Response,
    },
    socks::{udp, v4, v5},
};

/// SOCKS5 messages are whole only with their last byte, and take no byte of what follows.
pub fn socks5(data: &[u8]) -> bool {
    whole_at_once(data, |input| v5::greeting(input).map(|parsed| parsed.map(|(_methods, used)| used)))
        && whole_at_once(data, |input| v5::password(input).map(|parsed| parsed.map(|(_pair, used)| used)))
        && whole_at_once(data, |input| v5::request(input).map(|parsed| parsed.map(|(_request, used)| used)))
}

/// The same for SOCKS4 and 4a.
pub fn socks4(data: &[u8]) -> bool {
    whole_at_once(data, |input| v4::request(input).map(|parsed| parsed.map(|(_target, used)| used)))
}

/// A UDP datagram that is read is written and read again the same.
pub fn socks_udp(data: &[u8]) -> bool {
    let Ok((peer, payload)) = udp::decode(data) else { return true };
    let mut written = Vec::new();
    udp::encode(&peer, payload, &mut written);
    udp::decode(&written).is_ok_and(|(again, same)| again == peer && same == payload)
}

/// The head of a proxy request is whole only with its last byte.
pub fn http_request(data: &[u8]) -> bool {
    whole_at_once(data, |input| Request::parse(input).map(|parsed| parsed.map(|(_head, used)| used)))
}

/// The same for the head of an answer, whatever was asked.
pub fn http_response(data: &[u8]) -> bool {
    ["GET", "HEAD", "CONNECT"].into_iter().all(|method| {
        whole_at_once(data, |input| {
            Response::parse(input, method).map(|parsed| parsed.map(|(_head, used)| used))
        })
    })
}

/// A chunked body ends at the same byte however it is cut: what two readers disagree about can be used to smuggle.
pub fn http_chunked(data: &[u8]) -> bool {
    let mut whole = Body::new(Framing::Chunked);
    let at_once = whole.advance(data);
    let mut cut = Body::new(Framing::Chunked);
    let mut used = 0;
    for byte in data {
        match cut.advance(std::slice::from_ref(byte)) {
            Ok(taken) => used += taken,
            Err(_) => return at_once.is_err(),
        }
    }
    at_once.is_ok_and(|taken| taken == used) && whole.is_done() == cut.is_done()
}

fn whole_at_once<E>(data: &[u8], parse: impl Fn(&[u8]) -> Result<Option<usize>, E>) -> bool {
    let Ok(Some(length)) = parse(data) else { return true };
    length <= data.len()
        && (0..length).all(|end| parse(data.get(..end).unwrap_or_default()).is_ok_and(|used| used.is_none()))
        && parse(data.get(..length).unwrap_or_default()).is_ok_and(|used| used == Some(length))
}
