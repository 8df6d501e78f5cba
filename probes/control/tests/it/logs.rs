//! Nothing in the logs says who asked for what.

use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
};

use commucat_control::wire;
use tokio::io::AsyncWriteExt as _;
use tracing_subscriber::fmt::MakeWriter;

use crate::support::{connect, get, rest, start};

#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl io::Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Captured {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[tokio::test]
async fn no_address_and_no_name_is_logged() {
    let captured = Captured::default();
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter("info,commucat_control=trace")
        .with_ansi(false)
        .with_writer(captured.clone())
        .finish();
    // This test runs on one thread, and so do its server's tasks.
    let _guard = tracing::subscriber::set_default(subscriber);
    let server = start().await;
    let mut peer = connect(&server).await;
    assert_eq!(get(&mut peer, wire::WHOAMI).await.status, 200);
    let mut broken = connect(&server).await;
    broken.write_all(b"POST /sink HTTP/1.1\r\nContent-Length: 9\r\n\r\nx").await.unwrap();
    broken.shutdown().await.unwrap();
    rest(&mut broken).await;
    drop(peer);
    server.stop().await;
    let log = String::from_utf8(captured.0.lock().unwrap().clone()).unwrap();
    assert!(log.contains("the control server listens") && log.contains("a connection ended"), "{log}");
    assert!(log.contains("[redacted]") && !log.contains("127.0.0.1"), "{log}");
}
