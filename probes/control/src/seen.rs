//! What a hello looked like on the wire.

use commucat_dissect::tls::{ClientHello, Defragment, Hello, Transport, client_hello};

use crate::wire::HelloAnswer;

/// Fills in name and JA4 from the first bytes of a TLS connection.
pub(crate) fn read_stream(first: &[u8], answer: &mut HelloAnswer) {
    if let Hello::Complete(hello) = client_hello(first, Defragment::Records) {
        read(&hello, Transport::Tcp, answer);
    }
}

fn read(hello: &ClientHello, transport: Transport, answer: &mut HelloAnswer) {
    answer.server_name = hello.server_name().map(str::to_owned);
    answer.ja4 = Some(hello.ja4(transport));
}
