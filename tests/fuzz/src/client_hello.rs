//! The beginning of a TCP stream, read as TLS.

use commucat_dissect::tls::{
    ClientHello, Defragment, Hello, Transport, client_hello, client_hello_prefix, records, server_hello,
    split_records,
};

pub(crate) fn run(data: &[u8]) {
    let _count = records(data).count();
    let _answer = server_hello(data).map(|hello| (hello.version(), hello.group(), hello.is_retry()));
    if let Some(prefix) = client_hello_prefix(data) {
        use_all(&prefix);
    }
    let joined = client_hello(data, Defragment::Records);
    if let Hello::Complete(hello) = client_hello(data, Defragment::None) {
        let Hello::Complete(joined) = &joined else { panic!("joining records lost a hello") };
        assert_eq!(*joined, hello);
    }
    match joined {
        Hello::Complete(hello) => {
            use_all(&hello);
            // Spread in another way it is the same, and one byte less is no hello yet.
            let size = usize::from(data.last().copied().unwrap_or(1)).max(1);
            let stream = split_records(hello.message(), &[size]);
            let again = client_hello(&stream, Defragment::Records).complete().expect("the same hello");
            assert_eq!(again, hello);
            let (_last, shorter) = stream.split_last().expect("a hello has bytes");
            assert!(matches!(client_hello(shorter, Defragment::Records), Hello::Incomplete));
        }
        // More bytes may change it; less bytes must not have been refused.
        Hello::Incomplete => {
            let shorter = data.split_last().map_or(data, |(_last, shorter)| shorter);
            assert!(matches!(client_hello(shorter, Defragment::Records), Hello::Incomplete));
        }
        Hello::NotTls | Hello::Fragmented => {}
    }
}

fn use_all(hello: &ClientHello) {
    let ja4 = hello.ja4(Transport::Tcp);
    assert_eq!((ja4.len(), ja4.matches('_').count()), (36, 2), "{ja4}");
    let _lists =
        (hello.alpn().count(), hello.groups(), hello.key_shares().len(), hello.signature_algorithms());
    let _parts =
        (hello.server_name(), hello.session_id(), hello.highest_version(), hello.ja4_raw(Transport::Quic));
}
