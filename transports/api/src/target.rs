//! What a dialled channel should reach, and the one address encoding our transports share (RFC 1928 §5).

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str,
};

use bytes::{Buf, BufMut};

use crate::{Host, HostPort, MAX_HOST_NAME_BYTES};

/// The name under which an address-carrying transport reaches the bridge itself ([`Target::Bridge`]). The top-level
/// domain `invalid` never resolves (RFC 2606), so no real host is shadowed.
pub const BRIDGE_HOST: &str = "bridge.commucat.invalid";
/// The port that goes with [`BRIDGE_HOST`].
pub const BRIDGE_PORT: u16 = 80;
/// The name under which an address-carrying transport asks for a multiplexed session ([`Target::Mux`]).
pub const MUX_HOST: &str = "mux.commucat.invalid";
/// The port that goes with [`MUX_HOST`].
pub const MUX_PORT: u16 = 80;
/// Longest encoded address: type, length byte, name, port.
pub const MAX_ADDRESS_BYTES: usize = 1 + 1 + MAX_HOST_NAME_BYTES + 2;

const ATYP_V4: u8 = 1;
const ATYP_NAME: u8 = 3;
const ATYP_V6: u8 = 4;

/// What the other end of a channel is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Target {
    /// The bridge itself: its HTTP API, later its CCP-1 service.
    Bridge,
    /// A byte stream to this host, dialled by the bridge.
    Stream(HostPort),
    /// A datagram association: each datagram names its own peer (as SOCKS5 UDP ASSOCIATE does).
    Datagrams,
    /// Raw IP packets.
    IpTunnel,
    /// A multiplexed session: further channels are opened inside it.
    Mux,
}

/// Why bytes are no address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TargetError {
    /// More bytes are needed; nothing was consumed.
    #[error("the address is incomplete")]
    Incomplete,
    /// The type byte is none of 1, 3, 4.
    #[error("unknown address type {0}")]
    UnknownType(u8),
    /// The name is empty or has bytes of no host name.
    #[error("the address holds no valid host name")]
    BadName,
}

impl Target {
    /// The target that an address stands for, [`BRIDGE_HOST`] and [`MUX_HOST`] included.
    pub fn from_address(address: HostPort) -> Self {
        match &address.host {
            Host::Name(name) if &**name == BRIDGE_HOST => Self::Bridge,
            Host::Name(name) if &**name == MUX_HOST => Self::Mux,
            Host::Name(_) | Host::Ip(_) => Self::Stream(address),
        }
    }

    /// The address that stands for this target where the protocol can only say addresses.
    pub fn to_address(&self) -> Option<HostPort> {
        match self {
            Self::Bridge => Some(HostPort { host: Host::Name(BRIDGE_HOST.into()), port: BRIDGE_PORT }),
            Self::Mux => Some(HostPort { host: Host::Name(MUX_HOST.into()), port: MUX_PORT }),
            Self::Stream(address) => Some(address.clone()),
            Self::Datagrams | Self::IpTunnel => None,
        }
    }
}

impl HostPort {
    /// Bytes that [`Self::encode`] will write.
    pub fn encoded_len(&self) -> usize {
        1 + 2
            + match &self.host {
                Host::Ip(IpAddr::V4(_)) => 4,
                Host::Ip(IpAddr::V6(_)) => 16,
                Host::Name(name) => 1 + name.len(),
            }
    }

    /// Writes type, host and port as SOCKS5 and Shadowsocks do: port big-endian.
    pub fn encode(&self, out: &mut impl BufMut) {
        match &self.host {
            Host::Ip(IpAddr::V4(ip)) => {
                out.put_u8(ATYP_V4);
                out.put_slice(&ip.octets());
            }
            Host::Ip(IpAddr::V6(ip)) => {
                out.put_u8(ATYP_V6);
                out.put_slice(&ip.octets());
            }
            Host::Name(name) => {
                out.put_u8(ATYP_NAME);
                // `Host::parse` admits no name over 255 bytes; one made by hand is cut rather than misframed.
                let length = u8::try_from(name.len()).unwrap_or(u8::MAX);
                out.put_u8(length);
                out.put_slice(name.as_bytes().get(..usize::from(length)).unwrap_or_default());
            }
        }
        out.put_u16(self.port);
    }

    /// Reads one address from the front of `input`, consuming exactly it.
    ///
    /// # Errors
    /// [`TargetError::Incomplete`] consumes nothing; call again with more bytes.
    pub fn decode(input: &mut &[u8]) -> Result<Self, TargetError> {
        let mut rest = *input;
        let kind = rest.try_get_u8().map_err(incomplete)?;
        let host = match kind {
            ATYP_V4 => Host::Ip(Ipv4Addr::from(rest.try_get_u32().map_err(incomplete)?).into()),
            ATYP_V6 => Host::Ip(Ipv6Addr::from(rest.try_get_u128().map_err(incomplete)?).into()),
            ATYP_NAME => {
                let length = usize::from(rest.try_get_u8().map_err(incomplete)?);
                let name = rest.get(..length).ok_or(TargetError::Incomplete)?;
                rest.advance(length);
                let name = str::from_utf8(name).map_err(|_not_text: str::Utf8Error| TargetError::BadName)?;
                Host::parse(name).map_err(|_not_a_name: crate::HostPortError| TargetError::BadName)?
            }
            other => return Err(TargetError::UnknownType(other)),
        };
        let port = rest.try_get_u16().map_err(incomplete)?;
        *input = rest;
        Ok(Self { host, port })
    }
}

/// Bytes of an encoded address that begins with these two; `None` when no address does.
pub(crate) fn address_len(kind: u8, next: u8) -> Option<usize> {
    match kind {
        ATYP_V4 => Some(1 + 4 + 2),
        ATYP_V6 => Some(1 + 16 + 2),
        ATYP_NAME => Some(1 + 1 + usize::from(next) + 2),
        _ => None,
    }
}

const fn incomplete(_short: bytes::TryGetError) -> TargetError {
    TargetError::Incomplete
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_round_trip_at_every_cut() {
        for text in ["example.org:443", "192.0.2.7:80", "[2001:db8::1]:53"] {
            let address: HostPort = text.parse().unwrap();
            let mut bytes = Vec::new();
            address.encode(&mut bytes);
            assert_eq!(bytes.len(), address.encoded_len());
            assert_eq!(address_len(bytes[0], bytes[1]), Some(bytes.len()));
            for cut in 0..bytes.len() {
                let mut short = &bytes[..cut];
                assert_eq!(HostPort::decode(&mut short), Err(TargetError::Incomplete));
                assert_eq!(short.len(), cut, "nothing is consumed");
            }
            bytes.push(0xaa);
            let mut input = &bytes[..];
            assert_eq!(HostPort::decode(&mut input), Ok(address));
            assert_eq!(input, [0xaa]);
        }
    }

    #[test]
    fn hostile_addresses_are_errors() {
        assert_eq!(HostPort::decode(&mut &[9, 0, 0][..]), Err(TargetError::UnknownType(9)));
        assert_eq!(HostPort::decode(&mut &[3, 0, 0, 0][..]), Err(TargetError::BadName));
        assert_eq!(HostPort::decode(&mut &[3, 2, 0xff, 0xfe, 0, 1][..]), Err(TargetError::BadName));
    }

    #[test]
    fn the_bridge_and_a_session_have_addresses() {
        for target in [Target::Bridge, Target::Mux] {
            let address = target.to_address().unwrap();
            assert_eq!(Target::from_address(address), target);
        }
    }
}
