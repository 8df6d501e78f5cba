//! A DNS message, and the answer a censor makes up for it.

use commucat_dissect::dns;

pub(crate) fn run(data: &[u8]) {
    let _count = dns::tcp_messages(data).filter_map(dns::parse).count();
    let addresses = ["198.51.100.7".parse().unwrap(), "2001::1".parse().unwrap()];
    let forged = dns::forge_answer(data, &addresses, 60);
    let Some(message) = dns::parse(data) else {
        assert_eq!(forged, None);
        return;
    };
    let Some(forged) = forged else { return };
    let answer = dns::parse(&forged).expect("a forged answer parses");
    assert!(answer.response && !message.response);
    assert_eq!((answer.id, answer.questions.first()), (message.id, message.questions.first()));
    assert!(answer.answers.iter().all(|record| record.ttl == 60));
}
