//! DNS messages: questions, answers, forgeries, and what is none.

use std::net::IpAddr;

use commucat_dissect::dns::{self, Forgery, TYPE_A, TYPE_AAAA};
use proptest::prelude::*;

fn addresses() -> [IpAddr; 2] {
    ["198.51.100.7".parse().unwrap(), "2001:db8::7".parse().unwrap()]
}

#[test]
fn a_question_as_resolvers_send_it() {
    // dig www.blocked.example A, with EDNS.
    let bytes = [
        &[0x12, 0x34, 0x01, 0x20, 0, 1, 0, 0, 0, 0, 0, 1][..],
        b"\x03wWw\x07blocked\x07example\x00\x00\x01\x00\x01",
        &[0, 0, 0x29, 4, 0xd0, 0, 0, 0, 0, 0, 0],
    ]
    .concat();
    let message = dns::parse(&bytes).unwrap();
    assert_eq!((message.id, message.response), (0x1234, false));
    assert_eq!(message.questions[0].name, "www.blocked.example");
    assert_eq!(message.questions[0].kind, TYPE_A);

    let answer = dns::forge_answer(&bytes, &addresses(), 60).unwrap();
    // The question is mirrored as it was written, so that a resolver that mixes case takes the answer.
    assert!(answer.windows(3).any(|piece| piece == b"wWw"));
    let seen = dns::parse(&answer).unwrap();
    assert_eq!((seen.id, seen.response, seen.code, seen.authoritative), (0x1234, true, 0, false));
    assert_eq!(seen.addresses().collect::<Vec<_>>(), [addresses()[0]]);
    assert_eq!((seen.answers[0].ttl, seen.answers[0].name.as_str()), (60, "www.blocked.example"));
}

#[test]
fn forgeries_differ_as_injectors_do() {
    let query = dns::query(7, "Blocked.Example.", TYPE_AAAA).unwrap();
    assert_eq!(dns::parse(&query).unwrap().questions[0].name, "blocked.example");
    let forged = Forgery { addresses: &addresses(), ttl: 300, authoritative: true, code: 0 };
    let seen = dns::parse(&forged.answer(&query).unwrap()).unwrap();
    assert!(seen.authoritative);
    assert_eq!(seen.addresses().collect::<Vec<_>>(), [addresses()[1]]);
    let missing = Forgery { addresses: &[], ttl: 0, authoritative: false, code: dns::NX_DOMAIN };
    let seen = dns::parse(&missing.answer(&query).unwrap()).unwrap();
    assert_eq!((seen.code, seen.answers.len()), (dns::NX_DOMAIN, 0));
    // An answer is no question.
    assert_eq!(dns::forge_answer(&forged.answer(&query).unwrap(), &[], 1), None);
}

#[test]
fn over_tcp_a_length_comes_first() {
    let query = dns::query(7, "a.example", TYPE_A).unwrap();
    let length = u16::try_from(query.len()).unwrap().to_be_bytes();
    let stream = [&length, &query[..], &length, &query[..], &length, &query[..9]].concat();
    assert_eq!(dns::tcp_messages(&stream).collect::<Vec<_>>(), [&query[..], &query[..]]);
}

#[test]
fn what_is_no_dns() {
    for bytes in [&[][..], &[0; 11], b"GET / HTTP/1.1\r\n\r\n", &[0xff; 40]] {
        assert_eq!(dns::parse(bytes), None);
        assert_eq!(dns::forge_answer(bytes, &addresses(), 1), None);
    }
    // A name that points at itself.
    let looped = [0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0xc0, 12, 0, 1, 0, 1];
    assert_eq!(dns::parse(&looped), None);
    assert_eq!(dns::query(1, &"a".repeat(64), TYPE_A), None);
}

proptest! {
    #[test]
    fn any_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _seen = (dns::parse(&bytes), dns::forge_answer(&bytes, &addresses(), 1));
        let _count = dns::tcp_messages(&bytes).count();
    }

    #[test]
    fn any_name_comes_back(id: u16, name in "[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?(\\.[a-z0-9]{1,20}){0,4}") {
        let query = dns::query(id, &name, TYPE_A).unwrap();
        let seen = dns::parse(&query).unwrap();
        prop_assert_eq!((seen.id, seen.questions[0].name.as_str()), (id, name.as_str()));
    }
}
