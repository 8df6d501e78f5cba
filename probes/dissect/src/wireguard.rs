//! The shapes of WireGuard messages: a type, three zero bytes, and fixed lengths. AmneziaWG changes all of these, which
//! is why it passes where WireGuard does not.

use crate::bytes::Reader;

/// Length of a handshake initiation.
pub const INITIATION_BYTES: usize = 148;
/// Length of a handshake response.
pub const RESPONSE_BYTES: usize = 92;
/// Length of a cookie reply.
pub const COOKIE_REPLY_BYTES: usize = 64;
/// Length of a keepalive: transport data without data.
pub const KEEPALIVE_BYTES: usize = 32;
/// Transport data is padded to a multiple of this.
pub const DATA_MULTIPLE_BYTES: usize = 16;

/// A message, by its shape alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Message {
    /// Type 1: who opens the session.
    Initiation {
        /// The sender's index.
        sender: u32,
    },
    /// Type 2: the answer.
    Response {
        /// The sender's index.
        sender: u32,
        /// The index of who is answered.
        receiver: u32,
    },
    /// Type 3: the answer of a peer under load.
    CookieReply {
        /// The index of who is answered.
        receiver: u32,
    },
    /// Type 4.
    Data {
        /// The receiver's index.
        receiver: u32,
        /// Grows with each message.
        counter: u64,
    },
}

impl Message {
    /// Whether this answers `question`, by the indices: a check that random bytes do not pass.
    pub const fn answers(&self, question: &Self) -> bool {
        let Self::Initiation { sender: asked } = question else { return false };
        match self {
            Self::Response { receiver, .. } | Self::CookieReply { receiver } => *receiver == *asked,
            Self::Initiation { .. } | Self::Data { .. } => false,
        }
    }
}

/// The message a UDP payload has the shape of.
pub fn message(payload: &[u8]) -> Option<Message> {
    let mut reader = Reader::new(payload);
    let [kind, 0, 0, 0] = reader.array()? else { return None };
    let mut index = || reader.array().map(u32::from_le_bytes);
    match (kind, payload.len()) {
        (1, INITIATION_BYTES) => Some(Message::Initiation { sender: index()? }),
        (2, RESPONSE_BYTES) => Some(Message::Response { sender: index()?, receiver: index()? }),
        (3, COOKIE_REPLY_BYTES) => Some(Message::CookieReply { receiver: index()? }),
        (4, length) if length >= KEEPALIVE_BYTES && length % DATA_MULTIPLE_BYTES == 0 => {
            Some(Message::Data { receiver: index()?, counter: reader.array().map(u64::from_le_bytes)? })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(kind: u8, length: usize, indices: &[u32]) -> Vec<u8> {
        let mut bytes = vec![kind, 0, 0, 0];
        indices.iter().for_each(|index| bytes.extend(index.to_le_bytes()));
        bytes.resize(length, 0x9c);
        bytes
    }

    #[test]
    fn the_four_shapes() {
        let question = message(&bytes(1, 148, &[7])).unwrap();
        assert_eq!(question, Message::Initiation { sender: 7 });
        let answer = message(&bytes(2, 92, &[9, 7])).unwrap();
        assert_eq!(answer, Message::Response { sender: 9, receiver: 7 });
        assert!(answer.answers(&question) && !question.answers(&answer));
        assert!(!message(&bytes(2, 92, &[9, 8])).unwrap().answers(&question));
        assert!(message(&bytes(3, 64, &[7])).unwrap().answers(&question));
        assert_eq!(message(&bytes(4, 96, &[9, 1, 0])), Some(Message::Data { receiver: 9, counter: 1 }));
        assert!(message(&bytes(4, 32, &[9, 1, 0])).is_some());
    }

    #[test]
    fn other_shapes() {
        for (kind, length) in [(1, 147), (1, 149), (2, 148), (3, 92), (4, 16), (4, 97), (0, 148), (5, 64)] {
            assert_eq!(message(&bytes(kind, length, &[])), None, "{kind} {length}");
        }
        let mut changed = bytes(1, 148, &[7]);
        changed[2] = 1;
        assert_eq!(message(&changed), None);
        assert_eq!(message(&[1, 0, 0]), None);
    }
}
