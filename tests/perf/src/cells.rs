//! What can be measured: the rows (a protocol) and the cells (one kind of load).

use std::{fmt, str::FromStr};

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};

/// A protocol that several products speak, so that they can be compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Row {
    /// Shadowsocks 2022 with `2022-blake3-aes-128-gcm`.
    #[serde(rename = "ss")]
    Shadowsocks,
    /// WebSocket inside TLS 1.3.
    #[serde(rename = "ws")]
    WebSocket,
    /// VLESS over REALITY without a flow: every byte is inside the outer TLS.
    Reality,
    /// VLESS over REALITY with `xtls-rprx-vision`, and TLS 1.3 inside: the bulk goes past the outer TLS.
    Vision,
}

/// What a bulk load carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Inside {
    /// Bytes without any form.
    Plain,
    /// A handshake of TLS 1.3, and then records of it.
    Tls,
}

impl Row {
    /// Every row, in the order of the report.
    pub const ALL: [Self; 4] = [Self::Shadowsocks, Self::WebSocket, Self::Reality, Self::Vision];

    /// The short name, used in options, file names and markers.
    #[must_use]
    pub const fn id(self) -> &'static str {
        match self {
            Self::Shadowsocks => "ss",
            Self::WebSocket => "ws",
            Self::Reality => "reality",
            Self::Vision => "vision",
        }
    }

    /// The heading of the row.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Shadowsocks => "Shadowsocks 2022 (2022-blake3-aes-128-gcm)",
            Self::WebSocket => "WebSocket + TLS 1.3",
            Self::Reality => "REALITY, framed (VLESS without a flow)",
            Self::Vision => "REALITY, direct (VLESS with xtls-rprx-vision, TLS 1.3 inside)",
        }
    }

    /// The largest plaintext that one AEAD operation covers in this protocol, in bytes; `None` where bulk is not encrypted again.
    #[must_use]
    pub const fn record_bytes(self) -> Option<usize> {
        match self {
            // SIP022: the length of a chunk is a u16.
            Self::Shadowsocks => Some(0xFFFF),
            // RFC 8446, section 5.1: 2^14.
            Self::WebSocket | Self::Reality => Some(16_384),
            Self::Vision => None,
        }
    }

    /// What the bulk loads of this row carry.
    #[must_use]
    pub const fn inside(self) -> Inside {
        match self {
            Self::Shadowsocks | Self::WebSocket | Self::Reality => Inside::Plain,
            Self::Vision => Inside::Tls,
        }
    }

    /// Whether a server of this row imitates a site.
    #[must_use]
    pub const fn imitates(self) -> bool {
        matches!(self, Self::Reality | Self::Vision)
    }
}

impl FromStr for Row {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|row| row.id() == text)
            .with_context(|| format!("no such row: {text} ({})", Self::ALL.map(Self::id).join(", ")))
    }
}

/// The way of the payload, seen from the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Direction {
    /// The client sends.
    Up,
    /// The target sends.
    Down,
}

/// Which inbound of the client the load goes through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Route {
    /// The TCP port forward.
    Forward,
    /// SOCKS5 CONNECT.
    Socks,
}

/// One kind of load. Its text form (`up/16`) is what samples carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
#[non_exhaustive]
pub enum Cell {
    /// Bulk transfer over this many parallel streams.
    Bulk {
        /// The way of the payload.
        direction: Direction,
        /// Parallel connections.
        streams: usize,
    },
    /// Connect, send one byte, wait for one byte; one connection after the other.
    FirstByte {
        /// The inbound.
        route: Route,
    },
    /// New connections, this many at a time, each with one byte there and back.
    Connections {
        /// Connections under way at once.
        in_flight: usize,
    },
    /// New connections one after the other, each with one byte there and back, for what a handshake costs.
    Handshake {
        /// How many.
        connections: usize,
    },
    /// Memory that this many idle connections take.
    IdleMemory {
        /// Connections held open.
        connections: usize,
    },
    /// How late the end of a stream arrives, and whether a half-closed upload still gets its answer.
    EndOfStream,
    /// The cost of the row's cipher, without any product.
    Cipher,
}

impl Cell {
    /// Whether a visit is short and does not drift, so that once a round is enough.
    #[must_use]
    pub const fn once_a_round(self) -> bool {
        matches!(self, Self::IdleMemory { .. } | Self::EndOfStream | Self::Cipher)
    }

    /// In how many rounds the cell is visited at most: memory takes long to measure and hardly varies.
    #[must_use]
    pub const fn rounds_max(self) -> u32 {
        match self {
            Self::IdleMemory { .. } => 2,
            _ => u32::MAX,
        }
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bulk { direction: Direction::Up, streams } => write!(f, "up/{streams}"),
            Self::Bulk { direction: Direction::Down, streams } => write!(f, "down/{streams}"),
            Self::FirstByte { route: Route::Forward } => f.write_str("first-byte/forward"),
            Self::FirstByte { route: Route::Socks } => f.write_str("first-byte/socks5"),
            Self::Connections { in_flight } => write!(f, "connections/{in_flight}"),
            Self::Handshake { connections } => write!(f, "handshake/{connections}"),
            Self::IdleMemory { connections } => write!(f, "idle/{connections}"),
            Self::EndOfStream => f.write_str("end-of-stream"),
            Self::Cipher => f.write_str("cipher"),
        }
    }
}

impl From<Cell> for String {
    fn from(cell: Cell) -> Self {
        cell.to_string()
    }
}

impl TryFrom<String> for Cell {
    type Error = anyhow::Error;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl FromStr for Cell {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (kind, argument) = text.split_once('/').unwrap_or((text, ""));
        let number =
            || argument.parse().with_context(|| format!("cell {text:?}: a number must follow the slash"));
        Ok(match (kind, argument) {
            ("up", _) => Self::Bulk { direction: Direction::Up, streams: number()? },
            ("down", _) => Self::Bulk { direction: Direction::Down, streams: number()? },
            ("first-byte", "forward") => Self::FirstByte { route: Route::Forward },
            ("first-byte", "socks5") => Self::FirstByte { route: Route::Socks },
            ("connections", _) => Self::Connections { in_flight: number()? },
            ("handshake", _) => Self::Handshake { connections: number()? },
            ("idle", _) => Self::IdleMemory { connections: number()? },
            ("end-of-stream", "") => Self::EndOfStream,
            ("cipher", "") => Self::Cipher,
            _ => bail!("no such cell: {text:?}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_read_back_what_they_print() {
        for text in [
            "up/1",
            "down/128",
            "first-byte/forward",
            "first-byte/socks5",
            "connections/32",
            "handshake/300",
            "idle/1000",
            "end-of-stream",
            "cipher",
        ] {
            let cell: Cell = text.parse().unwrap();
            assert_eq!(cell.to_string(), text);
            let json = serde_json::to_string(&cell).unwrap();
            assert_eq!(json, format!("{text:?}"));
            assert_eq!(serde_json::from_str::<Cell>(&json).unwrap(), cell);
        }
        assert!("up/".parse::<Cell>().is_err());
        assert!("sideways/1".parse::<Cell>().is_err());
    }

    #[test]
    fn rows_are_named_in_options_as_in_samples() {
        for row in Row::ALL {
            assert_eq!(row.id().parse::<Row>().unwrap(), row);
            assert_eq!(serde_json::to_string(&row).unwrap(), format!("{:?}", row.id()));
        }
        assert!("quic".parse::<Row>().is_err());
    }
}
