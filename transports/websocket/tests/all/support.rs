//! A bridge that echoes, users, and raw HTTP for those who are none.

use std::{net::Ipv4Addr, sync::Arc, time::Duration};

use commucat_transport_api::{
    AcceptError, Accepted, BoxStream, Channel, Client, Cx, DialError, HostPort, Net, PluggableTransport as _,
    Secret, Server, Spec, Target, User, UserTable,
};
use commucat_websocket::{ID, WebSocket};
use serde_json::{Map, Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    sync::mpsc,
    task::JoinSet,
};

/// Time for anything that must happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) fn user(name: &str, secret: u8) -> User {
    User { id: name.parse().unwrap(), secret: Secret::new([secret; 32]) }
}

/// A running echo bridge.
pub(crate) struct Bridge {
    pub(crate) net: Arc<dyn Net>,
    pub(crate) at: HostPort,
    pub(crate) server: Arc<dyn Server>,
    pub(crate) users: Arc<UserTable>,
    pub(crate) outcomes: mpsc::Receiver<Result<String, AcceptError>>,
    _tasks: JoinSet<()>,
}

/// Fresh parameters with these over them.
pub(crate) fn params(over: Value) -> Value {
    let mut params = WebSocket::new().generate_server_params().unwrap();
    params.as_object_mut().unwrap().extend(over.as_object().unwrap().clone());
    params
}

impl Bridge {
    pub(crate) async fn start(net: Arc<dyn Net>, params: Value) -> Self {
        Self::at(net, params, (Ipv4Addr::LOCALHOST, 0).into()).await
    }

    pub(crate) async fn at(net: Arc<dyn Net>, params: Value, local: std::net::SocketAddr) -> Self {
        let users = Arc::new(UserTable::new(vec![user("anna", 1)]));
        let spec = Spec::new(ID, local.into(), params).unwrap();
        let server = WebSocket::new().server(&spec, &users).unwrap();
        let mut listener = server.listen(&cx(&net)).await.unwrap();
        let at = listener.local_addr().unwrap().into();
        let (tell, outcomes) = mpsc::channel(20_000);
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut running = JoinSet::new();
            loop {
                let incoming = listener.accept().await.unwrap();
                let tell = tell.clone();
                running.spawn(async move {
                    let accepted = incoming.handshake().await;
                    let said = match &accepted {
                        Ok(accepted) => Ok(format!("{:?} for {:?}", accepted.target, accepted.user)),
                        Err(_) => Err(()),
                    };
                    match (accepted, said) {
                        (Ok(accepted), Ok(said)) => {
                            tell.send(Ok(said)).await.ok();
                            echo(accepted).await;
                        }
                        (Err(error), _) => drop(tell.send(Err(error)).await),
                        (Ok(_), Err(())) => unreachable!("said follows accepted"),
                    }
                });
                while running.try_join_next().is_some() {}
            }
        });
        Self { net, at, server, users, outcomes, _tasks: tasks }
    }

    /// The spec of anna, with these parameters over it.
    pub(crate) fn spec(&self, over: Value) -> Spec {
        self.spec_of(&user("anna", 1), over)
    }

    pub(crate) fn spec_of(&self, user: &User, over: Value) -> Spec {
        let mut spec = self.server.client_spec(&self.at, user).unwrap();
        let params: &mut Map<String, Value> = spec.params.as_object_mut().unwrap();
        params.extend(over.as_object().unwrap().clone());
        spec
    }

    pub(crate) fn client(&self, over: Value) -> Arc<dyn Client> {
        WebSocket::new().client(&self.spec(over)).unwrap()
    }

    /// Dials an echo.
    pub(crate) async fn dial(&self, over: Value) -> Result<BoxStream, DialError> {
        dial(&*self.client(over), &self.net).await
    }

    /// Sends these bytes as they are and reads to the end, or until nothing comes for a while.
    pub(crate) async fn raw(&self, sent: &[u8]) -> Vec<u8> {
        let mut stream = self.net.connect_stream(&self.at).await.unwrap();
        stream.write_all(sent).await.unwrap();
        stream.flush().await.unwrap();
        let mut answer = Vec::new();
        tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await.expect("an end").ok();
        answer
    }
}

pub(crate) async fn dial(client: &dyn Client, net: &Arc<dyn Net>) -> Result<BoxStream, DialError> {
    let target = Target::Stream("echo.example:7".parse().unwrap());
    Ok(client.dial(&cx(net), &target).await?.channel.into_stream().unwrap())
}

pub(crate) fn cx(net: &Arc<dyn Net>) -> Cx {
    Cx::new(Arc::clone(net), PATIENCE)
}

pub(crate) fn real() -> Arc<dyn Net> {
    commucat_net::SystemNet::new()
}

/// Sends bytes and reads as many back.
pub(crate) async fn exchange(stream: &mut BoxStream, bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    stream.write_all(bytes).await?;
    stream.flush().await?;
    let mut back = vec![0; bytes.len()];
    stream.read_exact(&mut back).await?;
    Ok(back)
}

async fn echo(accepted: Accepted) {
    match accepted.channel {
        Channel::Stream(mut stream) => {
            let mut buf = vec![0; 64 * 1024];
            while let Ok(got) = stream.read(&mut buf).await {
                if got == 0 {
                    drop(stream.shutdown().await);
                    break;
                }
                if stream.write_all(&buf[..got]).await.is_err() || stream.flush().await.is_err() {
                    break;
                }
            }
        }
        Channel::Datagrams(mut datagrams) => {
            let mut buf = vec![0; 70_000];
            loop {
                let mut read = tokio::io::ReadBuf::new(&mut buf);
                let got = std::future::poll_fn(|cx| datagrams.poll_recv(cx, &mut read)).await;
                let Ok(Some(peer)) = got else { break };
                let bytes = read.filled().to_vec();
                if std::future::poll_fn(|cx| datagrams.poll_send(cx, &bytes, &peer)).await.is_err() {
                    break;
                }
            }
        }
        _ => {}
    }
}

pub(crate) fn tls_off() -> Value {
    json!({ "tls": "off" })
}
