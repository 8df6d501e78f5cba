//! What a hello looked like on the wire.

use commucat_dissect::tls::{ClientHello, Defragment, Hello, Transport, client_hello};

use crate::wire::HelloAnswer;

/// Fills in name and JA4 from the first bytes of a TLS connection.
pub(crate) fn read_stream(first: &[u8], answer: &mut HelloAnswer) {
    if let Hello::Complete(hello) = client_hello(first, Defragment::Records) {
        read(&hello, Transport::Tcp, answer);
    }
}

/// Fills in name and JA4 from the CRYPTO stream of a QUIC client, as far as it was seen.
pub(crate) fn read_crypto(stream: &[u8], answer: &mut HelloAnswer) {
    // A handshake message: type, length in three bytes, body (RFC 8446 §4).
    let Some([_, high, middle, low]) = stream.first_chunk() else { return };
    let body = usize::from(*high) << 16 | usize::from(*middle) << 8 | usize::from(*low);
    if let Some(hello) = stream.get(..HEADER_BYTES + body).and_then(ClientHello::parse) {
        read(&hello, Transport::Quic, answer);
    }
}

/// Type and length of a handshake message.
const HEADER_BYTES: usize = 4;

fn read(hello: &ClientHello, transport: Transport, answer: &mut HelloAnswer) {
    answer.server_name = hello.server_name().map(str::to_owned);
    answer.ja4 = Some(hello.ja4(transport));
}
