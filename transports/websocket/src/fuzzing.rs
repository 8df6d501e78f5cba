//! For `tests/fuzz` alone, no part of the API: the parsers of foreign bytes, each as a question about any bytes. The
//! answer is whether the parser keeps its promise.

use bytes::BytesMut;

use crate::wire::{
    frame::{self, Parsed, Role},
    head, request,
};

/// A frame header is asked for byte by byte, and each answer before the last is a need for more, never a mistake.
pub fn frame_header(data: &[u8]) -> bool {
    [Role::Client, Role::Server].into_iter().all(|us| {
        let Ok(Parsed::Done(header)) = frame::parse(data, us) else { return true };
        (0..data.len()).all(|end| match frame::parse(data.get(..end).unwrap_or_default(), us) {
            Ok(Parsed::Need(need)) => need > end && need <= data.len(),
            Ok(Parsed::Done(same)) => same == header,
            Err(_) => false,
        })
    })
}

/// The body of a close frame has a code that may be sent, or is refused.
pub fn close_body(data: &[u8]) -> bool {
    match frame::close_code(data) {
        Ok(Some(code)) => data.len() >= 2 && code >= 1000,
        Ok(None) => data.is_empty(),
        Err(_) => true,
    }
}

/// A request head that is whole was not whole before its last byte, and takes no byte of what follows.
pub fn request_head(data: &[u8]) -> bool {
    whole_at_once(data, |input| head::take_request(input).map(|head| head.is_some()))
}

/// The same for a response head.
pub fn response_head(data: &[u8]) -> bool {
    whole_at_once(data, |input| head::take_response(input).map(|head| head.is_some()))
}

/// A command that is read is written and read again the same.
pub fn command(data: &[u8]) -> bool {
    let mut rest = data;
    let Some(target) = request::decode(&mut rest) else { return rest.len() == data.len() };
    let mut written = Vec::new();
    request::encode(&target, 0, &mut written) && request::decode(&mut written.as_slice()) == Some(target)
}

fn whole_at_once<E>(data: &[u8], take: impl Fn(&mut BytesMut) -> Result<bool, E>) -> bool {
    let mut all = BytesMut::from(data);
    if !take(&mut all).unwrap_or(false) {
        return true;
    }
    let length = data.len() - all.len();
    (0..length).all(|end| {
        let mut part = BytesMut::from(data.get(..end).unwrap_or_default());
        take(&mut part).is_ok_and(|whole| !whole && part.len() == end)
    })
}
