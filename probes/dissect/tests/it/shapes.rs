//! Shapes of OpenVPN 2.6.14 and of wireguard-go as these programs sent them over the loopback interface, and of DTLS.

use commucat_dissect::{
    dtls,
    openvpn::{self, Opcode, Wrapping, opcode, reset},
    tls::Transport,
    wireguard::{self, Message},
};
use proptest::prelude::*;

/// Wrapping, what the client sent first, what the server answered.
const SESSIONS: [(Wrapping, &str, &str); 5] = [
    (Wrapping::Plain, "38873cc650203d166b0000000000", "40be2e895b5a457e1d0100000000873cc650203d166b00000000"),
    (
        Wrapping::Auth(20),
        "38c504f0e5001195a5b448c84525c20574462f15fcd80a1f922d72e993000000016b01d37e0000000000",
        "40ffcca83f24ad93c2212fafaf7bf2efafe8d512e357a2279055dc131c000000016b01d37e0100000000c504f0e5001195a500000000",
    ),
    (
        Wrapping::Auth(32),
        "38bb514357eda8f3e7136218831d495bc603e68428bfbd7df662ffb09388e2b131631b6da674b90af9000000016b01d3830000000000",
        "400d37fdc8ca19ffe46f6fb5ad4ef14a74614ba466e32990f7e2fa662ec40c2335ee1fa5f0c22beb56000000016b01d38301000000\
         00bb514357eda8f3e700000000",
    ),
    (
        Wrapping::Auth(64),
        "3827df54be136bb39aa6182dbdb40784df64cd72b1100b2725534d2de81fdb7d42c3c8f5cfb846cf842ea8016b77cbd560675edf81\
         4c6006a7df60be1d3e5b07009567cec26981e46b000000016b01d3880000000000",
        "4069ad1e8d48a8345ad62fc1a3286a7ca52e60c5293b6be90ee7c396b1a700b57dba4247ec6d1bbd0e36816affb387287a76dbe964\
         42ee01dfa6a350a649e446b746ec12d792cf1795000000016b01d388010000000027df54be136bb39a00000000",
    ),
    (
        Wrapping::Crypt,
        "3867b265cb3a5dbc36000000016b01d38cfcb7204e5a49450cb6e778441425090b109135ed2825120bf20280af88903cf2bf5c3fa2bb",
        "403a2ac637c7b270c9000000016b01d38c34f6b7f6a21454d30a5b80274f6aa0be472cd1029f399e8e2fc85efea116f48a19957858\
         41ea6e65a4d6598d33657d8faf",
    ),
];

fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    let pair = |pair: &[u8]| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(pair).collect()
}

/// A handshake of wireguard-go and the beginnings of its first two data messages, which were 128 bytes long.
const WIREGUARD: [&str; 4] = [
    "010000004a1ff309e137e93f21719c1996f0e29bf762772de7b6096a978af08d2270cabb83af4d3578a7025d6d4e05bb589d19eeaca1de89\
     b88e244347151338afb49f7bc9886fd08a89f2cc09e5d4cd815cd76dd8fa85f1efd402fc5b0fa2414de84a722d722eeeb98cf54e355c8be9\
     86b2a67fbeefdd97dfe413050f201604cfdcc4f300000000000000000000000000000000",
    "020000004d28dae74a1ff309736be7ec5d9f7353ffc4f5bb9c9cbf9f26543614db072e7faf83ed7d8ee0500f2746e605e721077df888ba29\
     9cb64d9701ce016d0d4918789678b015ae90160100000000000000000000000000000000",
    "040000004d28dae70000000000000000ae75102adec778c85fbde9ef94198993",
    "040000004d28dae701000000000000008d8ccb958e66cf78d1a7e4f8e5b92beb",
];

#[test]
fn a_session_of_wireguard() {
    let [question, answer, first, second] = WIREGUARD.map(|text| wireguard::message(&unhex(text)).unwrap());
    assert_eq!(question, Message::Initiation { sender: 0x09f3_1f4a });
    assert_eq!(answer, Message::Response { sender: 0xe7da_284d, receiver: 0x09f3_1f4a });
    assert!(answer.answers(&question));
    assert_eq!(first, Message::Data { receiver: 0xe7da_284d, counter: 0 });
    assert_eq!(second, Message::Data { receiver: 0xe7da_284d, counter: 1 });
}

#[test]
fn openvpn_in_each_wrapping() {
    for (wrapping, client, server) in SESSIONS {
        let (client, server) = (unhex(client), unhex(server));
        assert_eq!(
            (opcode(&client), opcode(&server)),
            (Some(Opcode::ClientReset), Some(Opcode::ServerReset))
        );
        let (question, answer) = (reset(&client).unwrap(), reset(&server).unwrap());
        assert_eq!((question.wrapping, question.server), (wrapping, false));
        assert_eq!((answer.wrapping, answer.server), (wrapping, true));
        assert!(answer.answers(&question) && !question.answers(&answer));
        if wrapping != Wrapping::Crypt {
            assert_eq!(answer.answered, Some(question.session));
            let mut other = question;
            other.session[0] ^= 1;
            assert!(!answer.answers(&other));
        }
        for length in 0..client.len() {
            assert_eq!(reset(&client[..length]), None);
        }
        let length = u16::try_from(client.len()).unwrap().to_be_bytes();
        let stream = [&length[..], &client, &length, &client[..5]].concat();
        assert_eq!(openvpn::tcp_packets(&stream).collect::<Vec<_>>(), [&client[..]]);
    }
}

#[test]
fn openvpn_with_a_wrapped_client_key() {
    // By the text of its documentation: a reset in tls-crypt and behind it a key that ends in its own length.
    let mut packet = vec![0x50];
    packet.extend([7; 8]);
    packet.extend([0x0f, 0, 0, 1]);
    packet.extend([0x9c; 4 + 32 + 5]);
    packet.extend([0x77; 300]);
    packet.extend(302_u16.to_be_bytes());
    assert_eq!(reset(&packet).unwrap().wrapping, Wrapping::CryptV2);
    packet.pop();
    assert_eq!(reset(&packet), None);
}

#[test]
fn what_is_no_openvpn() {
    // A random byte has one of the opcodes in nearly a third of all cases; a reset is another matter.
    assert_eq!(reset(b"8 bottles of beer on the wall and some more of them also!!"), None);
    assert_eq!(reset(&[0x38; 42]), None);
    assert_eq!((opcode(&[]), opcode(&[0]), opcode(&[0xff])), (None, None, None));
    assert_eq!(opcode(&[0x48]), Some(Opcode::Data));
}

/// A ClientHello with the ciphers of a WebRTC library, as RFC 6347 writes it.
fn dtls_hello() -> Vec<u8> {
    let mut body = vec![0xfe, 0xfd];
    body.extend([0x5a; 32]);
    body.extend([0, 0, 0, 4, 0xc0, 0x2b, 0xc0, 0x2f, 1, 0]);
    let extensions = [0, 10, 0, 8, 0, 6, 0, 0x1d, 0, 0x17, 0, 0x18, 0, 13, 0, 4, 0, 2, 4, 3, 0, 14, 0, 0];
    body.extend(u16::try_from(extensions.len()).unwrap().to_be_bytes());
    body.extend(extensions);
    let length = u8::try_from(body.len()).unwrap();
    let mut message = vec![1, 0, 0, length, 0, 0, 0, 0, 0, 0, 0, length];
    message.extend(body);
    let length = u16::try_from(message.len()).unwrap().to_be_bytes();
    [&[22, 0xfe, 0xff, 0, 0, 0, 0, 0, 0, 0, 0][..], &length, &message].concat()
}

#[test]
fn a_hello_of_dtls() {
    let datagram = dtls_hello();
    let hello = dtls::client_hello(&datagram).unwrap();
    assert_eq!((hello.legacy_version, &hello.cipher_suites[..]), (0xfefd, &[0xc02b, 0xc02f][..]));
    assert_eq!(hello.groups(), [0x1d, 0x17, 0x18]);
    assert!(hello.ja4(Transport::Dtls).starts_with("dd2i020300_"));
    for length in 0..datagram.len() {
        assert_eq!(dtls::client_hello(&datagram[..length]), None);
    }
    // A fragment of a longer message.
    let mut fragment = datagram;
    fragment[16] += 1;
    assert_eq!(dtls::client_hello(&fragment), None);
}

#[test]
fn snowflake_of_2021() {
    let mut payload = vec![0x16, 0xfe, 0xfd];
    payload.resize(0x5a, 0);
    payload.extend([0x1d, 0, 0x17, 0, 0x18]);
    assert!(dtls::is_snowflake_2021(&payload));
    payload.insert(20, 0);
    assert!(!dtls::is_snowflake_2021(&payload));
    assert!(!dtls::is_snowflake_2021(&dtls_hello()));
}

proptest! {
    #[test]
    fn any_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), first in 0_usize..6) {
        let bytes = [&[0x38, 0x40, 0x50, 0x16, 0x14, 0x01][first..=first], &bytes].concat();
        let _seen = (reset(&bytes), opcode(&bytes), wireguard::message(&bytes));
        let _seen = (dtls::client_hello(&bytes), dtls::records(&bytes).count(), dtls::is_snowflake_2021(&bytes));
        let _count = openvpn::tcp_packets(&bytes).count();
    }
}
