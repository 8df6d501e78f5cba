//! The resolver of the lab's network: it knows one small zone, and that nothing else exists.

use std::{collections::BTreeMap, io, net::IpAddr, sync::Arc, time::Duration};

use hickory_proto::{
    op::{Edns, Message, MessageType, Metadata, OpCode, ResponseCode},
    rr::{Name, RData, Record, RecordType, rdata::SOA},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream, UdpSocket},
    sync::Semaphore,
    time::timeout,
};

use super::accept;

/// How long a client may keep an answer, in seconds. Long enough to be usual, short enough not to outlive a lab by much.
pub const TTL_S: u32 = 60;

/// Largest query over UDP, in bytes.
const DATAGRAM_BYTES_MAX: usize = 4096;
/// Datagram size that the resolver says it takes (RFC 6891 §6.2.3; the DNS Flag Day 2020 value).
const EDNS_PAYLOAD_BYTES: u16 = 1232;
/// Longest time without a byte on a TCP connection.
const IDLE: Duration = Duration::from_secs(10);

/// Names and their addresses.
#[derive(Clone, Debug)]
pub(super) struct Zone(Arc<BTreeMap<String, IpAddr>>);

impl Zone {
    pub(super) fn new(names: impl IntoIterator<Item = (String, IpAddr)>) -> Self {
        let key = |name: String| name.trim_end_matches('.').to_ascii_lowercase();
        Self(Arc::new(names.into_iter().map(|(name, at)| (key(name), at)).collect()))
    }

    /// The answer to a query; nothing for what is not a query, because two servers could else talk for ever.
    fn answer(&self, query: &[u8]) -> Option<Vec<u8>> {
        let Ok(query) = Message::from_vec(query) else { return malformed(query) };
        if query.metadata.message_type != MessageType::Query {
            return None;
        }
        let mut answer = Message::response(query.metadata.id, query.metadata.op_code);
        answer.metadata = Metadata::response_from_request(&query.metadata);
        answer.metadata.authoritative = false;
        answer.metadata.recursion_available = true;
        answer.queries.clone_from(&query.queries);
        if query.edns.is_some() {
            let mut edns = Edns::new();
            edns.set_max_payload(EDNS_PAYLOAD_BYTES);
            answer.edns = Some(edns);
        }
        answer.metadata.response_code = self.fill(&query, &mut answer);
        answer.to_vec().ok()
    }

    fn fill(&self, query: &Message, answer: &mut Message) -> ResponseCode {
        if query.metadata.op_code != OpCode::Query {
            return ResponseCode::NotImp;
        }
        let [question] = query.queries.as_slice() else { return ResponseCode::FormErr };
        let name = question.name().to_utf8();
        let Some(address) = self.0.get(&name.trim_end_matches('.').to_ascii_lowercase()) else {
            answer.authorities.push(no_such_record());
            return ResponseCode::NXDomain;
        };
        let data = match (address, question.query_type()) {
            (IpAddr::V4(address), RecordType::A | RecordType::ANY) => RData::A((*address).into()),
            (IpAddr::V6(address), RecordType::AAAA | RecordType::ANY) => RData::AAAA((*address).into()),
            _ => {
                answer.authorities.push(no_such_record());
                return ResponseCode::NoError;
            }
        };
        answer.answers.push(Record::from_rdata(question.name().clone(), TTL_S, data));
        ResponseCode::NoError
    }
}

/// Answers datagrams until its task is aborted.
pub(super) async fn serve_udp(socket: UdpSocket, zone: Zone) {
    let mut buffer = vec![0; DATAGRAM_BYTES_MAX];
    loop {
        // An error here is an ICMP message about an earlier answer: the next datagram is none the worse.
        let Ok((read, from)) = socket.recv_from(&mut buffer).await else { continue };
        if let Some(answer) = zone.answer(buffer.get(..read).unwrap_or_default()) {
            // A client that has gone is not waited for.
            drop(socket.send_to(&answer, from).await);
        }
    }
}

/// Answers connections until its task is aborted.
pub(super) async fn serve_tcp(listener: TcpListener, slots: Arc<Semaphore>, zone: Zone) {
    accept::serve(listener, slots, |stream| converse(stream, zone.clone())).await;
}

async fn converse(mut stream: TcpStream, zone: Zone) -> io::Result<()> {
    loop {
        let Ok(length) = timeout(IDLE, stream.read_u16()).await? else { return Ok(()) };
        let mut query = vec![0; length.into()];
        timeout(IDLE, stream.read_exact(&mut query)).await??;
        let Some(answer) = zone.answer(&query) else { return Ok(()) };
        let length = u16::try_from(answer.len()).map_err(io::Error::other)?;
        // One write, because a censor in the lab may look at the first segment only.
        let framed = [&length.to_be_bytes(), answer.as_slice()].concat();
        stream.write_all(&framed).await?;
    }
}

/// `FORMERR` to what has at least an identifier and is a query (RFC 1035 §4.1.1).
fn malformed(query: &[u8]) -> Option<Vec<u8>> {
    let (&[high, low, flags], true) = (query.first_chunk::<3>()?, query.len() >= 12) else { return None };
    let is_response = flags & 0x80 != 0;
    if is_response {
        return None;
    }
    let id = u16::from_be_bytes([high, low]);
    Message::error_msg(id, OpCode::Query, ResponseCode::FormErr).to_vec().ok()
}

/// What a negative answer carries (RFC 2308 §3).
fn no_such_record() -> Record {
    let host = |label: &str| Name::from_ascii(label).unwrap_or_else(|_| Name::root());
    let soa = SOA::new(host("ns.lab.invalid."), host("hostmaster.lab.invalid."), 1, 3600, 600, 86_400, TTL_S);
    Record::from_rdata(Name::root(), TTL_S, RData::SOA(soa))
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use hickory_proto::op::Query;

    use super::*;

    const HERE: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 20);

    fn ask(name: &str, kind: RecordType) -> Message {
        let zone = Zone::new([("innocent.example".to_owned(), IpAddr::V4(HERE))]);
        let mut query = Message::query();
        query.add_query(Query::query(Name::from_ascii(name).unwrap(), kind)).set_edns(Edns::new());
        let answer = Message::from_vec(&zone.answer(&query.to_vec().unwrap()).unwrap()).unwrap();
        assert_eq!(answer.metadata.id, query.metadata.id);
        assert_eq!(answer.queries, query.queries);
        assert!(answer.edns.is_some());
        answer
    }

    #[test]
    fn a_name_of_the_zone_is_found_whatever_its_case() {
        let answer = ask("InnoCent.example.", RecordType::A);
        assert_eq!(answer.metadata.response_code, ResponseCode::NoError);
        assert_eq!(answer.answers.first().unwrap().data, RData::A(HERE.into()));
    }

    #[test]
    fn another_kind_of_a_known_name_is_empty_and_an_unknown_name_does_not_exist() {
        let empty = ask("innocent.example.", RecordType::AAAA);
        assert_eq!((empty.metadata.response_code, empty.answers.len()), (ResponseCode::NoError, 0));
        let unknown = ask("nowhere.example.", RecordType::A);
        assert_eq!((unknown.metadata.response_code, unknown.answers.len()), (ResponseCode::NXDomain, 0));
        assert_eq!(unknown.authorities.len(), 1);
    }

    #[test]
    fn only_queries_are_answered() {
        let zone = Zone::new([]);
        for bytes in [&b""[..], b"ab", b"abcdefghijk", &[0xff; 40]] {
            assert!(zone.answer(bytes).is_none());
        }
        let broken = zone.answer(&[0, 7, 1, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0xc0]).unwrap();
        let broken = Message::from_vec(&broken).unwrap();
        assert_eq!((broken.metadata.id, broken.metadata.response_code), (7, ResponseCode::FormErr));
    }
}
