//! A bridge of any transport that dials what its clients ask for.

use std::{
    future::poll_fn,
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    task::Poll,
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use commucat_net::{RelayOptions, SystemNet, relay};
use commucat_transport_api::{
    Channel, Cx, DatagramChannel, HostPort, Incoming, Net, PluggableTransport, Server, Spec, Target, User,
    UserTable,
};
use tokio::{io::ReadBuf, net::UdpSocket, task::JoinHandle};

const DATAGRAM_BYTES_MAX: usize = 65_536;

/// A running bridge on loopback.
#[derive(Debug)]
pub struct RelayBridge {
    /// Where it listens.
    pub address: SocketAddr,
    server: Arc<dyn Server>,
    users_seen: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

impl RelayBridge {
    /// Starts one with these server parameters and users, on a free port.
    ///
    /// # Errors
    /// The parameters are bad, or the system has no port.
    pub async fn start(
        transport: &dyn PluggableTransport,
        params: serde_json::Value,
        users: Vec<User>,
    ) -> Result<Self> {
        let net: Arc<dyn Net> = SystemNet::new();
        let spec = Spec::new(transport.descriptor().id.clone(), "127.0.0.1:0".parse()?, params)?;
        let server = transport.server(&spec, &Arc::new(UserTable::new(users)))?;
        let cx = Cx::new(Arc::clone(&net), Duration::from_secs(30));
        let mut listener = server.listen(&cx).await?;
        let address = listener.local_addr().context("the bridge has no address")?;
        let users_seen = Arc::<Mutex<Vec<String>>>::default();
        let seen = Arc::clone(&users_seen);
        let task = tokio::spawn(async move {
            while let Ok(incoming) = listener.accept().await {
                tokio::spawn(serve(incoming, Arc::clone(&net), Arc::clone(&seen)));
            }
        });
        Ok(Self { address, server, users_seen, task })
    }

    /// What this user needs to reach it.
    ///
    /// # Errors
    /// The transport cannot express the user.
    pub fn client_spec(&self, user: &User) -> Result<Spec> {
        Ok(self.server.client_spec(&self.address.into(), user)?)
    }

    /// The users whose channels were accepted so far.
    pub fn users_seen(&self) -> Vec<String> {
        self.users_seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for RelayBridge {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(incoming: Box<dyn Incoming>, net: Arc<dyn Net>, seen: Arc<Mutex<Vec<String>>>) -> Result<()> {
    let accepted = incoming.handshake().await?;
    if let Some(user) = &accepted.user {
        seen.lock().unwrap_or_else(PoisonError::into_inner).push(user.to_string());
    }
    match (accepted.channel, accepted.target) {
        (Channel::Stream(stream), Target::Stream(address)) => {
            let target = net.connect_stream(&address).await?;
            relay(stream, target, &RelayOptions::default()).await?;
        }
        (Channel::Datagrams(datagrams), _) => relay_datagrams(datagrams).await?,
        (_, target) => bail!("nothing serves {target:?} here"),
    }
    Ok(())
}

async fn relay_datagrams(mut channel: Box<dyn DatagramChannel>) -> io::Result<()> {
    let socket = UdpSocket::bind("127.0.0.1:0").await?;
    let (mut up, mut down) = (vec![0; DATAGRAM_BYTES_MAX], vec![0; DATAGRAM_BYTES_MAX]);
    loop {
        let (mut from_client, mut from_target) = (ReadBuf::new(&mut up), ReadBuf::new(&mut down));
        let moved = poll_fn(|cx| {
            if let Poll::Ready(peer) = channel.poll_recv(cx, &mut from_client) {
                return Poll::Ready(peer.map(Moved::Up));
            }
            socket.poll_recv_from(cx, &mut from_target).map_ok(Moved::Down)
        })
        .await?;
        match moved {
            Moved::Up(None) => return Ok(()),
            Moved::Up(Some(peer)) => {
                if let Some(to) = peer.socket_addr() {
                    socket.send_to(from_client.filled(), to).await?;
                }
            }
            Moved::Down(from) => {
                let peer = HostPort::from(from);
                poll_fn(|cx| channel.poll_send(cx, from_target.filled(), &peer)).await?;
            }
        }
    }
}

enum Moved {
    Up(Option<HostPort>),
    Down(SocketAddr),
}
