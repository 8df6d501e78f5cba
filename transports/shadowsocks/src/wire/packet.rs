//! The body of UDP packets: SIP022 §3.2.3, and the bare address of AEAD-2017.

use bytes::{Buf, BufMut};
use commucat_transport_api::HostPort;

use super::{WireError, stream::short};

/// Body bytes before address and payload, without padding, in the longer direction: type, time, client session, length.
pub const PACKET_FIXED_BYTES: usize = 1 + 8 + 8 + 2;

const TYPE_CLIENT: u8 = 0;
const TYPE_SERVER: u8 = 1;

/// What a packet of a client says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientPacketHead {
    /// When it was made, in seconds since 1970.
    pub time: u64,
    /// Where the payload goes.
    pub address: HostPort,
    /// Body bytes before the payload.
    pub payload_at: usize,
}

/// What a packet of a server says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerPacketHead {
    /// When it was made, in seconds since 1970.
    pub time: u64,
    /// The session of the client that it answers.
    pub client_session: [u8; 8],
    /// Where the payload came from.
    pub address: HostPort,
    /// Body bytes before the payload.
    pub payload_at: usize,
}

/// Appends the body of a client's packet.
pub fn encode_client_packet(time: u64, padding: u16, address: &HostPort, payload: &[u8], out: &mut Vec<u8>) {
    out.put_u8(TYPE_CLIENT);
    out.put_u64(time);
    put_rest(padding, address, payload, out);
}

/// Appends the body of a server's packet.
pub fn encode_server_packet(
    time: u64,
    client_session: [u8; 8],
    padding: u16,
    address: &HostPort,
    payload: &[u8],
    out: &mut Vec<u8>,
) {
    out.put_u8(TYPE_SERVER);
    out.put_u64(time);
    out.put_slice(&client_session);
    put_rest(padding, address, payload, out);
}

/// Reads the body of a client's packet.
///
/// # Errors
/// What is wrong with it.
pub fn decode_client_packet(body: &[u8]) -> Result<ClientPacketHead, WireError> {
    let mut rest = body;
    let time = type_and_time(&mut rest, TYPE_CLIENT)?;
    let address = padding_and_address(&mut rest)?;
    Ok(ClientPacketHead { time, address, payload_at: body.len() - rest.len() })
}

/// Reads the body of a server's packet.
///
/// # Errors
/// What is wrong with it.
pub fn decode_server_packet(body: &[u8]) -> Result<ServerPacketHead, WireError> {
    let mut rest = body;
    let time = type_and_time(&mut rest, TYPE_SERVER)?;
    let client_session = *rest.first_chunk::<8>().ok_or(WireError::Truncated)?;
    rest.advance(client_session.len());
    let address = padding_and_address(&mut rest)?;
    Ok(ServerPacketHead { time, client_session, address, payload_at: body.len() - rest.len() })
}

/// Reads an AEAD-2017 packet of either side: the address and where the payload begins.
///
/// # Errors
/// [`WireError::Address`].
pub fn legacy_packet(body: &[u8]) -> Result<(HostPort, usize), WireError> {
    let mut rest = body;
    let address = HostPort::decode(&mut rest).map_err(WireError::Address)?;
    Ok((address, body.len() - rest.len()))
}

fn put_rest(padding: u16, address: &HostPort, payload: &[u8], out: &mut Vec<u8>) {
    out.put_u16(padding);
    out.put_bytes(0, usize::from(padding));
    address.encode(out);
    out.put_slice(payload);
}

fn type_and_time(rest: &mut &[u8], wanted: u8) -> Result<u64, WireError> {
    match rest.try_get_u8().map_err(short)? {
        kind if kind == wanted => rest.try_get_u64().map_err(short),
        other => Err(WireError::Type(other)),
    }
}

fn padding_and_address(rest: &mut &[u8]) -> Result<HostPort, WireError> {
    let padding = usize::from(rest.try_get_u16().map_err(short)?);
    *rest = rest.get(padding..).ok_or(WireError::Truncated)?;
    HostPort::decode(rest).map_err(WireError::Address)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn packets_round_trip_and_no_prefix_of_the_head_reads(
            time: u64, padding in 0u16..900, session: [u8; 8], ip: [u8; 4], port: u16,
            payload in prop::collection::vec(any::<u8>(), 0..50),
        ) {
            let address: HostPort = std::net::SocketAddr::from((ip, port)).into();
            let mut body = Vec::new();
            encode_client_packet(time, padding, &address, &payload, &mut body);
            let head = decode_client_packet(&body).unwrap();
            prop_assert_eq!((head.time, &head.address, &body[head.payload_at..]), (time, &address, &payload[..]));
            for cut in 0..head.payload_at {
                prop_assert!(decode_client_packet(&body[..cut]).is_err());
            }
            prop_assert_eq!(decode_server_packet(&body), Err(WireError::Type(0)));

            body.clear();
            encode_server_packet(time, session, padding, &address, &payload, &mut body);
            let head = decode_server_packet(&body).unwrap();
            prop_assert_eq!((head.time, head.client_session, head.address), (time, session, address));
            prop_assert_eq!(&body[head.payload_at..], &payload[..]);
            for cut in 0..head.payload_at {
                prop_assert!(decode_server_packet(&body[..cut]).is_err());
            }
        }

        #[test]
        fn garbage_does_not_panic(body in prop::collection::vec(any::<u8>(), 0..300)) {
            decode_client_packet(&body).ok();
            decode_server_packet(&body).ok();
            legacy_packet(&body).ok();
        }
    }
}
