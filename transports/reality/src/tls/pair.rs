//! Both ends of TLS after their handshake, and a carrier that hands over bytes in given portions; for tests.

use std::{
    collections::VecDeque,
    io,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
    time::Duration,
};

use commucat_mimic::{
    Client, ClientOptions, Flight, NoRandomness, Responder, SESSION_ID_AT, SESSION_ID_BYTES, TargetHello,
    Template,
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::verify::Anybody;

const NOW: Duration = Duration::from_secs(1_790_000_000);

fn seeded(mut seed: u8) -> impl FnMut(&mut [u8]) -> Result<(), NoRandomness> {
    move |bytes| {
        bytes.iter_mut().for_each(|byte| {
            seed = seed.wrapping_mul(5).wrapping_add(13);
            *byte = seed;
        });
        Ok(())
    }
}

/// The ServerHello of a target that chose X25519.
fn server_hello(session_id: &[u8]) -> Vec<u8> {
    let mut body = vec![3, 3];
    body.extend_from_slice(&[0x5a; 32]);
    body.push(32);
    body.extend_from_slice(session_id);
    body.extend_from_slice(&[0x13, 1, 0, 0, 46, 0, 0x2b, 0, 2, 3, 4, 0, 51, 0, 36, 0, 29, 0, 32]);
    body.extend_from_slice(&[0; 32]);
    [&[2, 0, 0, u8::try_from(body.len()).unwrap()][..], &body].concat()
}

/// A client and a bridge that are done with their handshake.
pub(crate) fn pair() -> (Client, Responder) {
    let options =
        ClientOptions::new(Template::chromium_156().unwrap(), Some("www.example.com"), Arc::new(Anybody));
    let mut client = Client::new(options, NOW, &mut seeded(1)).unwrap();
    let session_id = client.client_hello()[SESSION_ID_AT..SESSION_ID_AT + SESSION_ID_BYTES].to_vec();
    let target = TargetHello::read(&server_hello(&session_id), &session_id).unwrap();
    let mut responder = Responder::new(client.client_hello(), &target, &mut seeded(2)).unwrap();
    let flight = Flight::new(vec![2000]).unwrap();
    responder.answer(&flight, &[7; 100], 0x0807, &|_message| vec![9; 64]).unwrap();
    let mut wire = Vec::new();
    client.poll_transmit(&mut wire);
    wire.clear();
    responder.poll_transmit(&mut wire);
    client.handle_input(NOW, &wire).unwrap();
    wire.clear();
    client.poll_transmit(&mut wire);
    responder.handle_input(&wire).unwrap();
    while client.poll_event().is_some() {}
    assert!(client.is_open() && responder.is_open());
    (client, responder)
}

/// What a carrier was given to send, and whether its direction was ended.
pub(crate) type Written = Arc<Mutex<(Vec<u8>, bool)>>;

/// Hands over one portion a read, then the end; takes at most so many bytes a write.
#[derive(Debug)]
pub(crate) struct Portions {
    portions: VecDeque<Vec<u8>>,
    pub(crate) written: Written,
    most: usize,
}

impl Portions {
    pub(crate) fn new(portions: impl IntoIterator<Item = Vec<u8>>, most: usize) -> (Self, Written) {
        let written = Written::default();
        let portions = portions.into_iter().filter(|portion| !portion.is_empty()).collect();
        (Self { portions, written: Arc::clone(&written), most }, written)
    }
}

impl AsyncRead for Portions {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Some(mut portion) = self.portions.pop_front() {
            let rest = portion.split_off(portion.len().min(buf.remaining()));
            buf.put_slice(&portion);
            if !rest.is_empty() {
                self.portions.push_front(rest);
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Portions {
    fn poll_write(self: Pin<&mut Self>, _cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let taken = bytes.len().min(self.most);
        self.written.lock().unwrap().0.extend_from_slice(&bytes[..taken]);
        Poll::Ready(Ok(taken))
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.written.lock().unwrap().1 = true;
        Poll::Ready(Ok(()))
    }
}

/// A reader and a writer in tasks of their own: neither may take the other's place in the queue for the carrier.
#[tokio::test]
async fn reading_does_not_lose_a_writer_that_waits() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::{ClientEngine, TlsStream};

    const BYTES: usize = 300_000;
    let (client, bridge) = pair();
    // So narrow that the writer waits at every step.
    let (near, far) = tokio::io::duplex(1000);
    let ours = TlsStream::new(Box::new(near), ClientEngine::new(client));
    let (mut far_read, mut far_write) = tokio::io::split(TlsStream::new(Box::new(far), bridge));
    let echo = tokio::spawn(async move {
        let mut chunk = vec![0; 700];
        while let Ok(count @ 1..) = far_read.read(&mut chunk).await {
            far_write.write_all(&chunk[..count]).await.unwrap();
            far_write.flush().await.unwrap();
        }
        far_write.shutdown().await.unwrap();
    });
    let (mut read, mut write) = tokio::io::split(ours);
    let writing = tokio::spawn(async move {
        write.write_all(&vec![5; BYTES]).await.unwrap();
        write.shutdown().await.unwrap();
    });
    let mut heard = Vec::new();
    let all = tokio::time::timeout(Duration::from_secs(20), read.read_to_end(&mut heard));
    all.await.expect("nobody is forgotten").unwrap();
    assert_eq!(heard, [5; BYTES]);
    writing.await.unwrap();
    echo.await.unwrap();
}
