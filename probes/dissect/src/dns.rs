//! DNS messages as a censor reads, forges and races them, and the questions a probe sends.

use std::net::IpAddr;

use hickory_proto::{
    op::{Message, MessageType, OpCode, Query, ResponseCode},
    rr::{DNSClass, Name, RData, Record, RecordType},
};

use crate::bytes::Reader;

/// Port of DNS over UDP and TCP.
pub const PORT: u16 = 53;
/// Type A.
pub const TYPE_A: u16 = 1;
/// Type AAAA.
pub const TYPE_AAAA: u16 = 28;
/// Response code of success.
pub const NO_ERROR: u8 = 0;
/// Response code for a name that does not exist.
pub const NX_DOMAIN: u8 = 3;
/// Response code for a refused question.
pub const REFUSED: u8 = 5;
/// Records of one message that are kept; the rest is not looked at.
pub const MAX_RECORDS: usize = 256;

const HEADER_BYTES: usize = 12;

/// A question or an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DnsMessage {
    /// Ties an answer to its question.
    pub id: u16,
    /// Whether it is an answer.
    pub response: bool,
    /// Response code, one of those above or another.
    pub code: u8,
    /// AA: the answer says that it comes from the owner of the zone.
    pub authoritative: bool,
    /// TC: the answer is cut off, ask by TCP.
    pub truncated: bool,
    /// What is asked; one question in practice.
    pub questions: Vec<Question>,
    /// The answer section.
    pub answers: Vec<Answer>,
}

/// One question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// The name in lower case, without the dot at the end.
    pub name: String,
    /// The type asked for, such as [`TYPE_A`].
    pub kind: u16,
}

/// One record of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The name it belongs to, in lower case, without the dot at the end.
    pub name: String,
    /// Its type.
    pub kind: u16,
    /// Seconds it may be kept.
    pub ttl: u32,
    /// The address of an A or AAAA record.
    pub address: Option<IpAddr>,
}

impl DnsMessage {
    /// The addresses among the answers.
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> + '_ {
        self.answers.iter().filter_map(|answer| answer.address)
    }
}

/// Reads one message, as it stands in a UDP datagram. `None` for what is no well-formed DNS.
pub fn parse(message: &[u8]) -> Option<DnsMessage> {
    if !may_be_dns(message) {
        return None;
    }
    let message = Message::from_vec(message).ok()?;
    let questions = message.queries.iter().take(MAX_RECORDS);
    let answers = message.answers.iter().take(MAX_RECORDS);
    Some(DnsMessage {
        id: message.metadata.id,
        response: message.metadata.message_type == MessageType::Response,
        code: message.metadata.response_code.low(),
        authoritative: message.metadata.authoritative,
        truncated: message.metadata.truncation,
        questions: questions
            .map(|query| Question { name: text(query.name()), kind: query.query_type().into() })
            .collect(),
        answers: answers
            .map(|record| Answer {
                name: text(&record.name),
                kind: record.record_type().into(),
                ttl: record.ttl,
                address: record.data.ip_addr(),
            })
            .collect(),
    })
}

/// The messages of a TCP stream, each behind its length in two bytes (RFC 1035 §4.2.2). Ends where one is cut off.
pub fn tcp_messages(stream: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut reader = Reader::new(stream);
    std::iter::from_fn(move || reader.vector16())
}

/// A question with recursion desired. `None` when the name is no domain name.
pub fn query(id: u16, name: &str, kind: u16) -> Option<Vec<u8>> {
    let mut name = Name::from_ascii(name).ok()?;
    name.set_fqdn(true);
    let mut message = Message::new(id, MessageType::Query, OpCode::Query);
    message.metadata.recursion_desired = true;
    message.add_query(Query::query(name, RecordType::from(kind)));
    message.to_vec().ok()
}

/// An answer to write.
#[derive(Clone, Copy, Debug)]
pub struct Forgery<'a> {
    /// Addresses to give; those of the other family than asked for are left out.
    pub addresses: &'a [IpAddr],
    /// Seconds the answer may be kept.
    pub ttl: u32,
    /// AA.
    pub authoritative: bool,
    /// Response code.
    pub code: u8,
}

impl Forgery<'_> {
    /// The answer to that question: same id, same question. `None` when it is no question.
    pub fn answer(&self, query: &[u8]) -> Option<Vec<u8>> {
        if !may_be_dns(query) {
            return None;
        }
        let question = Message::from_vec(query).ok()?;
        let asked = question.queries.first()?;
        if question.metadata.message_type != MessageType::Query {
            return None;
        }
        let mut answer = Message::response(question.metadata.id, question.metadata.op_code);
        answer.metadata.recursion_desired = question.metadata.recursion_desired;
        answer.metadata.recursion_available = true;
        answer.metadata.authoritative = self.authoritative;
        answer.metadata.response_code = ResponseCode::from(0, self.code);
        answer.add_query(asked.clone());
        for address in self.addresses {
            let data = match (address, asked.query_type()) {
                (IpAddr::V4(address), RecordType::A | RecordType::ANY) => RData::A((*address).into()),
                (IpAddr::V6(address), RecordType::AAAA | RecordType::ANY) => RData::AAAA((*address).into()),
                _other => continue,
            };
            let mut record = Record::from_rdata(asked.name().clone(), self.ttl, data);
            record.dns_class = DNSClass::IN;
            answer.add_answer(record);
        }
        answer.to_vec().ok()
    }
}

/// A plain answer with those addresses; see [`Forgery`].
pub fn forge_answer(query: &[u8], addresses: &[IpAddr], ttl: u32) -> Option<Vec<u8>> {
    Forgery { addresses, ttl, authoritative: false, code: NO_ERROR }.answer(query)
}

/// The quick look: a whole header, a known kind of operation, no more records than bytes could hold.
fn may_be_dns(message: &[u8]) -> bool {
    let Some(head) = message.first_chunk::<HEADER_BYTES>() else { return false };
    let [_, _, flags, _, q0, q1, counts @ ..] = head;
    let operation = flags >> 3 & 0x0f;
    let questions = u16::from_be_bytes([*q0, *q1]);
    // The shortest question takes five bytes, the shortest record eleven.
    let records: usize = crate::bytes::u16s(counts).map(usize::from).sum();
    let least = HEADER_BYTES + usize::from(questions) * 5 + records * 11;
    matches!(operation, 0..=2 | 4..=6) && least <= message.len()
}

fn text(name: &Name) -> String {
    let mut text = name.to_lowercase().to_ascii();
    if text.ends_with('.') && text.len() > 1 {
        text.pop();
    }
    text
}
