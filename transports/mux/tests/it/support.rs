//! Two ends of a session over a pipe, and what tests ask of streams.

use std::{net::Ipv4Addr, sync::Arc};

use commucat_mux::{Config, Session, accepted, dialled};
use commucat_testkit::sim::SimNet;
use commucat_transport_api::{BoxStream, Channel, MuxSession as _, Net, Target};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    task::JoinHandle,
};

/// What the pipe between two ends holds, in bytes: no multiple of a frame.
pub(crate) const PIPE_BYTES: usize = 50_000;

/// Two ends and their drivers.
pub(crate) struct Pair {
    pub(crate) near: Session,
    pub(crate) far: Session,
    pub(crate) near_driver: JoinHandle<()>,
    pub(crate) far_driver: JoinHandle<()>,
}

pub(crate) fn net() -> Arc<dyn Net> {
    Arc::new(SimNet::new(7).for_host(Ipv4Addr::new(10, 0, 0, 1).into()))
}

pub(crate) fn pair() -> Pair {
    let (one, other) = tokio::io::duplex(PIPE_BYTES);
    let (near, near_driver) = dialled(Box::new(one), net(), Config::default());
    let (far, far_driver) = accepted(Box::new(other), net(), Config::default());
    Pair { near, far, near_driver: tokio::spawn(near_driver), far_driver: tokio::spawn(far_driver) }
}

pub(crate) fn web() -> Target {
    Target::Stream("example.org:443".parse().unwrap())
}

impl Pair {
    /// A stream, seen from both ends.
    pub(crate) async fn stream(&self) -> (BoxStream, BoxStream) {
        let near = self.near.open(&web()).await.unwrap().into_stream().unwrap();
        let (channel, target) = self.far.accept().await.unwrap();
        assert_eq!(target, web());
        (near, channel.into_stream().unwrap())
    }
}

/// Answers every stream of a session with what it says, until the session ends.
pub(crate) async fn echo(session: Session) {
    while let Some((Channel::Stream(mut stream), _target)) = session.accept().await {
        tokio::spawn(async move {
            let mut bytes = vec![0; 40_000];
            while let Ok(read @ 1..) = stream.read(&mut bytes).await {
                if stream.write_all(&bytes[..read]).await.is_err() {
                    return;
                }
            }
            drop(stream.shutdown().await);
            // Both directions are to come to their ends.
            drop(stream.read(&mut bytes).await);
        });
    }
}

/// Says something and hears it back.
pub(crate) async fn round_trip(stream: &mut BoxStream, said: &[u8]) {
    stream.write_all(said).await.unwrap();
    let mut heard = vec![0; said.len()];
    stream.read_exact(&mut heard).await.unwrap();
    assert_eq!(heard, said);
}
