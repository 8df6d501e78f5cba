//! For `tests/fuzz` alone, no part of the API: what reads a stranger's bytes, each as a question about any bytes. The
//! answer is whether it keeps its promise.

use std::time::Duration;

use commucat_transport_api::Spec;

use crate::{
    config::ServerConfig,
    judge::{Judgement, is_cut, judge},
    vless::{Request, UUID_BYTES, response_bytes, vision::Unpadder, xudp},
};

/// Whoever does not know the bridge's key is a stranger, and one who was known for one stays one with more bytes, except
/// while a record is not whole: then nothing is said.
pub fn judgement(data: &[u8]) -> bool {
    let Some(config) = config() else { return false };
    let judged = |bytes| judge(&config, bytes, Duration::from_secs(1_790_000_000));
    let whole = judged(data);
    let shorter = judged(data.get(..data.len() / 2).unwrap_or_default());
    !matches!(whole, Judgement::Ours(_))
        && (matches!(shorter, Judgement::Undecided)
            || matches!(whole, Judgement::Stranger(_))
            || is_cut(data))
}

/// A request that is read was not whole before its last byte, and is written and read again the same.
pub fn request(data: &[u8]) -> bool {
    let mut rest = data;
    let Ok(Some(request)) = Request::decode(&mut rest) else { return true };
    let length = data.len() - rest.len();
    let mut written = Vec::new();
    request.encode(&mut written);
    Request::decode(&mut written.as_slice()) == Ok(Some(request))
        && (0..length).all(|end| Request::decode(&mut data.get(..end).unwrap_or_default()) == Ok(None))
        && response_bytes(data).is_ok()
}

/// Blocks give the same content however they are cut, and never more bytes than came. Half of the inputs begin as if they
/// knew the user.
pub fn vision(data: &[u8]) -> bool {
    let Some((&kind, data)) = data.split_first() else { return true };
    let user = [kind; UUID_BYTES];
    let wire = if kind % 2 == 0 { [&user, data].concat() } else { data.to_vec() };
    let (mut once, mut unpadder) = (Vec::new(), Unpadder::new(user));
    let mut rest = wire.as_slice();
    let ended = unpadder.take(&mut rest, &mut once);
    let (mut bytes, mut unpadder, mut last) = (Vec::new(), Unpadder::new(user), Ok(None));
    let mut behind = 0;
    for byte in wire.chunks(1) {
        let mut input = byte;
        if matches!(last, Ok(None)) {
            last = unpadder.take(&mut input, &mut bytes);
        }
        behind += input.len();
    }
    let same = match (&ended, &last) {
        (Ok(once), Ok(bytes)) => once == bytes && rest.len() == behind,
        (Err(once), Err(bytes)) => once == bytes,
        _ => false,
    };
    same && once.len() <= wire.len() && (ended.is_err() || once == bytes)
}

/// A frame is not whole before its last byte.
pub fn xudp(data: &[u8]) -> bool {
    let mut rest = data;
    let Ok(Some(_frame)) = xudp::decode(&mut rest) else { return true };
    let length = data.len() - rest.len();
    (0..length).all(|end| xudp::decode(&mut data.get(..end).unwrap_or_default()) == Ok(None))
}

fn config() -> Option<ServerConfig> {
    let params = serde_json::json!({
        "target": "192.0.2.1:443", "server_names": ["www.example.com"], "short_ids": [""],
        "private_key": "WLTZYAAgODIEQ3dDmMtIC0lOo0Ib4rdK1QRzVNUCrXo",
    });
    let spec = Spec::new(crate::ID, "192.0.2.2:443".parse().ok()?, params).ok()?;
    ServerConfig::from_spec(&spec, &crate::hellos::Browsers::default()).ok()
}
