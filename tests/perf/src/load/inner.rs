//! TLS 1.3 inside the tunnel, as cheap for the load as it can be and still be TLS on the wire.
//!
//! A stream begins as a real one: a handshake by rustls, and short records there and back, as HTTP/2 has them before its first big transfer. Then
//! both ends put the library aside and move records made once: the header of application data, and random bytes of the length of a full record.
//! A tunnel looks at record headers and handshake messages and holds no key, so it cannot tell these from others; and the load spends no time on
//! a cipher that no product is measured by.

use std::{
    io,
    sync::{Arc, OnceLock},
};

use anyhow::Context;
use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer, ServerName},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::payload::incompressible;

/// The type of a handshake record (RFC 8446, section 5.1): with it every TLS connection begins.
pub const HANDSHAKE: u8 = 22;
/// The header of application data: type 23, version 3.3; a length follows.
const APPLICATION_DATA: [u8; 3] = [23, 3, 3];
/// A full record: 2^14 bytes, the content type, and the tag of AES-GCM.
const BODY_BYTES: u16 = (1 << 14) + 1 + 16;
/// Records of one write.
const RECORDS: usize = 16;
/// Short records that go each way before the big transfer.
const EXCHANGES: usize = 2;
/// Plaintext of a short record: about a frame of HTTP/2.
const SHORT_BYTES: usize = 40;
/// The record that tells the target what to do: its first byte is the mode.
const ORDER_BYTES: u8 = 64;
const NAME: &str = "inside.commucat.invalid";

/// Makes the stream one of TLS, tells the target `mode`, and hands the socket back, ready for [`records`].
///
/// # Errors
/// When the handshake fails or the stream breaks.
pub async fn connect(stream: TcpStream, mode: u8) -> anyhow::Result<TcpStream> {
    let name = ServerName::try_from(NAME)?;
    let connector = TlsConnector::from(Arc::clone(&pair()?.client));
    let mut tls = connector.connect(name, stream).await.context("the handshake inside the tunnel")?;
    let mut short = [0; SHORT_BYTES];
    for _ in 0..EXCHANGES {
        tls.write_all(&short).await?;
        tls.flush().await?;
        tls.read_exact(&mut short).await.context("waiting for a short record")?;
    }
    let (mut stream, _) = tls.into_inner();
    let mut order = [mode; 5 + ORDER_BYTES as usize];
    order[..3].copy_from_slice(&APPLICATION_DATA);
    order[3..5].copy_from_slice(&[0, ORDER_BYTES]);
    stream.write_all(&order).await?;
    Ok(stream)
}

/// The other end of [`connect`]: the socket and the mode.
///
/// # Errors
/// When the handshake fails or the stream breaks.
pub async fn accept(stream: TcpStream) -> io::Result<(TcpStream, u8)> {
    let pair = pair().map_err(io::Error::other)?;
    let mut tls = TlsAcceptor::from(Arc::clone(&pair.server)).accept(stream).await?;
    let mut short = [0; SHORT_BYTES];
    for _ in 0..EXCHANGES {
        tls.read_exact(&mut short).await?;
        tls.write_all(&short).await?;
        tls.flush().await?;
    }
    // The client says nothing between its last short record and the answer to it, so the library holds back no byte.
    let (mut stream, _) = tls.into_inner();
    let mut order = [0; 5 + ORDER_BYTES as usize];
    stream.read_exact(&mut order).await?;
    Ok((stream, order[5]))
}

/// Full records of random bytes, for one write; the same in every call.
///
/// # Errors
/// When the system has no random bytes.
pub fn records() -> io::Result<&'static [u8]> {
    static RECORD_BYTES: OnceLock<Vec<u8>> = OnceLock::new();
    if let Some(bytes) = RECORD_BYTES.get() {
        return Ok(bytes);
    }
    let mut random = incompressible()?.iter().copied().cycle();
    let mut bytes = Vec::new();
    for _ in 0..RECORDS {
        bytes.extend(APPLICATION_DATA);
        bytes.extend(BODY_BYTES.to_be_bytes());
        bytes.extend(random.by_ref().take(BODY_BYTES.into()));
    }
    Ok(RECORD_BYTES.get_or_init(|| bytes))
}

/// Both ends of the TLS inside, with a certificate of this run.
struct Pair {
    client: Arc<ClientConfig>,
    server: Arc<ServerConfig>,
}

fn pair() -> anyhow::Result<&'static Pair> {
    static PAIR: OnceLock<Pair> = OnceLock::new();
    if let Some(pair) = PAIR.get() {
        return Ok(pair);
    }
    let made = make_pair()?;
    Ok(PAIR.get_or_init(|| made))
}

fn make_pair() -> anyhow::Result<Pair> {
    let key = rcgen::KeyPair::generate()?;
    let certificate = rcgen::CertificateParams::new([NAME.to_owned()])?.self_signed(&key)?;
    let private = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let versions = [&rustls::version::TLS13];
    let server = ServerConfig::builder_with_protocol_versions(&versions)
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], private)?;
    let mut roots = RootCertStore::empty();
    roots.add(certificate.der().clone())?;
    let mut client = ClientConfig::builder_with_protocol_versions(&versions)
        .with_root_certificates(roots)
        .with_no_client_auth();
    // Every stream begins with a whole handshake: no figure may depend on which one came before.
    client.resumption = rustls::client::Resumption::disabled();
    Ok(Pair { client: Arc::new(client), server: Arc::new(server) })
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;
    use crate::load::mode;

    #[test]
    fn records_are_well_formed() {
        let mut rest = records().unwrap();
        let mut count = 0;
        while let [23, 3, 3, high, low, more @ ..] = rest {
            rest = &more[usize::from(u16::from_be_bytes([*high, *low]))..];
            count += 1;
        }
        assert_eq!((count, rest.len()), (RECORDS, 0));
    }

    #[tokio::test]
    async fn both_ends_are_left_at_the_same_place() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (server, _) = listener.accept().await.unwrap();
        let mut first = [0];
        let far = async {
            assert_eq!((server.peek(&mut first).await.unwrap(), first), (1, [HANDSHAKE]));
            accept(server).await
        };
        let (near, far) = tokio::join!(connect(client, mode::SINK), far);
        let (mut near, (mut far, mode)) = (near.unwrap(), far.unwrap());
        assert_eq!(mode, mode::SINK);
        near.write_all(b"up").await.unwrap();
        far.write_all(b"down").await.unwrap();
        let (mut up, mut down) = ([0; 2], [0; 4]);
        far.read_exact(&mut up).await.unwrap();
        near.read_exact(&mut down).await.unwrap();
        assert_eq!((&up, &down), (b"up", b"down"));
    }
}
