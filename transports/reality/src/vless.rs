//! VLESS: the request that stands at the head of a stream, and the answer's head. No cryptography of its own.

pub(crate) mod datagrams;
pub(crate) mod resume;
pub(crate) mod stream;
pub(crate) mod vision;
pub(crate) mod xudp;

use std::net::IpAddr;

use bytes::{Buf as _, BufMut as _};
use commucat_transport_api::{Host, HostPort};
use serde::Deserialize;

/// The only version there is.
const VERSION: u8 = 0;
/// Bytes of a user's id.
pub(crate) const UUID_BYTES: usize = 16;
/// Longest request: version, id, addons, command, port, a name.
pub(crate) const MAX_REQUEST_BYTES: usize = 1 + UUID_BYTES + 1 + 255 + 1 + 2 + 1 + 1 + 255;

/// The flow whose inner TLS goes past the outer one.
pub(crate) const VISION: &str = "xtls-rprx-vision";

/// How the bytes of a stream are framed. The second Vision says in links that UDP to port 443 may be carried; on the wire it
/// is the first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub(crate) enum Flow {
    #[default]
    #[serde(rename = "")]
    Plain,
    #[serde(rename = "xtls-rprx-vision")]
    Vision,
    #[serde(rename = "xtls-rprx-vision-udp443")]
    VisionUdp443,
}

impl Flow {
    /// As links and parameters write it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Vision => VISION,
            Self::VisionUdp443 => "xtls-rprx-vision-udp443",
        }
    }

    /// As requests write it.
    pub(crate) const fn on_wire(self) -> &'static str {
        if self.is_vision() { VISION } else { "" }
    }

    /// Whether there are blocks and padding.
    pub(crate) const fn is_vision(self) -> bool {
        matches!(self, Self::Vision | Self::VisionUdp443)
    }

    /// The flow of that name.
    pub(crate) fn of(name: &str) -> Option<Self> {
        [Self::Plain, Self::Vision, Self::VisionUdp443].into_iter().find(|flow| flow.name() == name)
    }
}

/// What a stream is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Command {
    Tcp,
    /// Datagrams to and from one peer, each with two bytes of length.
    Udp,
    /// Many things in one stream; of these the datagrams with addresses (XUDP) are spoken here.
    Mux,
}

/// The head of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) user: [u8; UUID_BYTES],
    pub(crate) flow: String,
    pub(crate) command: Command,
    /// Where to; a mux has none.
    pub(crate) address: Option<HostPort>,
}

/// What is wrong with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RequestError {
    #[error("it is no VLESS request")]
    Malformed,
    #[error("command {0} is not spoken here")]
    Command(u8),
}

impl Request {
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        out.put_u8(VERSION);
        out.put_slice(&self.user);
        if self.flow.is_empty() {
            out.put_u8(0);
        } else {
            // Protobuf: field 1, a string.
            let length = u8::try_from(self.flow.len()).unwrap_or_default();
            out.put_u8(length.saturating_add(2));
            out.put_slice(&[0x0a, length]);
            out.put_slice(self.flow.as_bytes());
        }
        out.put_u8(match self.command {
            Command::Tcp => 1,
            Command::Udp => 2,
            Command::Mux => 3,
        });
        if let Some(address) = &self.address {
            encode_address(address, out);
        }
    }

    /// Reads a request at the head of `input`, which is moved behind it; `None` when it is not whole yet.
    pub(crate) fn decode(input: &mut &[u8]) -> Result<Option<Self>, RequestError> {
        let mut rest = *input;
        let Some(request) = decode_head(&mut rest)? else { return Ok(None) };
        let (user, flow, command) = request;
        let command = match command {
            1 => Command::Tcp,
            2 => Command::Udp,
            3 => Command::Mux,
            other => return Err(RequestError::Command(other)),
        };
        let address = match command {
            Command::Mux => None,
            Command::Tcp | Command::Udp => match decode_address(&mut rest)? {
                Some(address) => Some(address),
                None => return Ok(None),
            },
        };
        *input = rest;
        Ok(Some(Self { user, flow, command, address }))
    }
}

type Head = ([u8; UUID_BYTES], String, u8);

fn decode_head(rest: &mut &[u8]) -> Result<Option<Head>, RequestError> {
    match rest.first() {
        None => return Ok(None),
        Some(&VERSION) => {}
        Some(_) => return Err(RequestError::Malformed),
    }
    let mut read = || {
        let (_, body) = rest.split_first()?;
        let (user, body) = body.split_first_chunk::<UUID_BYTES>()?;
        let (length, body) = body.split_first()?;
        let (addons, body) = body.split_at_checked((*length).into())?;
        let (command, body) = body.split_first()?;
        *rest = body;
        Some((*user, addons, *command))
    };
    let Some((user, addons, command)) = read() else { return Ok(None) };
    Ok(Some((user, flow_of(addons)?, command)))
}

/// The flow among the addons: protobuf fields of which only strings occur.
fn flow_of(mut addons: &[u8]) -> Result<String, RequestError> {
    let mut flow = String::new();
    while let Some((tag, rest)) = addons.split_first() {
        let (length, rest) = rest.split_first().ok_or(RequestError::Malformed)?;
        let (value, rest) = rest.split_at_checked((*length).into()).ok_or(RequestError::Malformed)?;
        if *tag == 0x0a {
            flow = String::from_utf8(value.to_vec()).map_err(|_invalid| RequestError::Malformed)?;
        }
        addons = rest;
    }
    Ok(flow)
}

/// Port and address, as VLESS orders them.
pub(crate) fn encode_address(address: &HostPort, out: &mut Vec<u8>) {
    out.put_u16(address.port);
    match &address.host {
        Host::Ip(IpAddr::V4(ip)) => {
            out.put_u8(1);
            out.put_slice(&ip.octets());
        }
        Host::Ip(IpAddr::V6(ip)) => {
            out.put_u8(3);
            out.put_slice(&ip.octets());
        }
        Host::Name(name) => {
            out.put_u8(2);
            out.put_u8(u8::try_from(name.len()).unwrap_or(u8::MAX));
            out.put_slice(name.as_bytes().get(..name.len().min(255)).unwrap_or_default());
        }
    }
}

/// Reads port and address; `None` when they are not whole yet.
pub(crate) fn decode_address(input: &mut &[u8]) -> Result<Option<HostPort>, RequestError> {
    let mut rest = *input;
    if rest.remaining() < 4 {
        return Ok(None);
    }
    let port = rest.get_u16();
    let host = match rest.get_u8() {
        1 => rest.split_first_chunk::<4>().map(|(ip, later)| (Host::Ip(IpAddr::from(*ip)), later)),
        3 => rest.split_first_chunk::<16>().map(|(ip, later)| (Host::Ip(IpAddr::from(*ip)), later)),
        2 => {
            let named = rest.split_first().and_then(|(length, body)| body.split_at_checked((*length).into()));
            match named {
                None => None,
                Some((name, later)) => {
                    let name = std::str::from_utf8(name).map_err(|_invalid| RequestError::Malformed)?;
                    Some((Host::parse(name).map_err(|_error| RequestError::Malformed)?, later))
                }
            }
        }
        _ => return Err(RequestError::Malformed),
    };
    let Some((host, later)) = host else { return Ok(None) };
    *input = later;
    Ok(Some(HostPort { host, port }))
}

/// The head of an answer, as we send it.
pub(crate) const RESPONSE: [u8; 2] = [VERSION, 0];

/// Bytes of an answer's head at the start of `input`; `None` when it is not whole yet.
pub(crate) fn response_bytes(input: &[u8]) -> Result<Option<usize>, RequestError> {
    match input {
        [] | [VERSION] => Ok(None),
        [VERSION, addons, ..] => {
            let whole = 2 + usize::from(*addons);
            Ok((input.len() >= whole).then_some(whole))
        }
        _ => Err(RequestError::Malformed),
    }
}

/// A user's id in VLESS: from the secret that all transports share, shaped as a random UUID (RFC 9562 §5.4).
pub(crate) fn uuid_of(secret: &[u8; 32]) -> [u8; UUID_BYTES] {
    let derived = blake3::derive_key("commucat reality user key v1", secret);
    let mut uuid = [0; UUID_BYTES];
    uuid.copy_from_slice(derived.split_at(UUID_BYTES).0);
    uuid[6] = (uuid[6] & 0x0f) | 0x40;
    uuid[8] = (uuid[8] & 0x3f) | 0x80;
    uuid
}

/// The id without the two bytes that a client may choose.
pub(crate) const fn without_route(mut uuid: [u8; UUID_BYTES]) -> [u8; UUID_BYTES] {
    uuid[6] = 0;
    uuid[7] = 0;
    uuid
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn request() -> impl Strategy<Value = Request> {
        let address = prop_oneof![
            any::<[u8; 4]>().prop_map(|ip| Host::Ip(IpAddr::from(ip))),
            any::<[u8; 16]>().prop_map(|ip| Host::Ip(IpAddr::from(ip))),
            "[a-z]{1,20}\\.[a-z]{2,10}".prop_map(|name| Host::parse(&name).unwrap()),
        ];
        let flow = prop_oneof![Just(String::new()), Just(VISION.to_owned())];
        (any::<[u8; 16]>(), flow, address, any::<u16>(), 0..3_u8).prop_map(
            |(user, flow, host, port, command)| {
                let command = [Command::Tcp, Command::Udp, Command::Mux][usize::from(command)];
                let address = (command != Command::Mux).then_some(HostPort { host, port });
                Request { user, flow, command, address }
            },
        )
    }

    proptest! {
        #[test]
        fn requests_survive_and_cut_ones_wait(request in request(), tail in any::<[u8; 3]>()) {
            let mut wire = Vec::new();
            request.encode(&mut wire);
            for cut in 0..wire.len() {
                prop_assert_eq!(Request::decode(&mut &wire[..cut]), Ok(None));
            }
            wire.extend(tail);
            let mut input = wire.as_slice();
            prop_assert_eq!(Request::decode(&mut input), Ok(Some(request)));
            prop_assert_eq!(input, tail);
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            Request::decode(&mut bytes.as_slice()).ok();
            response_bytes(&bytes).ok();
        }
    }

    /// The addons that Xray sends for Vision: eighteen bytes.
    #[test]
    fn the_addons_of_vision() {
        let request =
            Request { user: [7; 16], flow: VISION.to_owned(), command: Command::Mux, address: None };
        let mut wire = Vec::new();
        request.encode(&mut wire);
        assert_eq!(wire[17..20], [18, 0x0a, 0x10]);
        assert_eq!(wire[20..36], *VISION.as_bytes());
        assert_eq!(wire[36..], [3]);
    }
}
