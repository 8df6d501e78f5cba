//! A bridge with everything around it.

use std::{sync::Arc, time::Duration};

use commucat_net::SystemNet;
use commucat_reality::Reality;
use commucat_transport_api::{
    Channel, Client, Cx, HostPort, Net, PluggableTransport as _, Secret, Spec, Target, User, UserTable,
};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

use crate::support::{NAME, site};

pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A bridge that echoes, a client of it, and the site behind it.
pub(crate) struct Place {
    pub(crate) bridge: HostPort,
    pub(crate) site: HostPort,
    pub(crate) spec: Spec,
    pub(crate) client: Arc<dyn Client>,
}

impl Place {
    /// In front of a site of its own.
    pub(crate) async fn start() -> Self {
        let net: Arc<dyn Net> = SystemNet::new();
        Self::before(site(&net).await.at).await
    }

    /// In front of that site.
    pub(crate) async fn before(site: HostPort) -> Self {
        Self::with(site, json!({})).await
    }

    /// In front of that site, with these parameters as well.
    pub(crate) async fn with(site: HostPort, more: serde_json::Value) -> Self {
        let net: Arc<dyn Net> = SystemNet::new();
        let transport = Reality::new();
        let mut all = transport.generate_server_params().unwrap();
        all["target"] = site.to_string().into();
        all["server_names"] = json!([NAME]);
        // What is looked at here is one connection.
        all["carriers"] = 0.into();
        all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let spec = Spec::new(commucat_reality::ID, "127.0.0.1:0".parse().unwrap(), all).unwrap();
        let user = User { id: "anna".parse().unwrap(), secret: Secret::new([1; 32]) };
        let users = Arc::new(UserTable::new(vec![user.clone()]));
        let server = transport.server(&spec, &users).unwrap();
        let cx = Cx::new(net, PATIENCE);
        let mut listener = server.listen(&cx).await.unwrap();
        let bridge = HostPort::from(listener.local_addr().unwrap());
        tokio::spawn(async move {
            while let Ok(incoming) = listener.accept().await {
                tokio::spawn(async move {
                    let accepted = incoming.handshake().await.ok()?;
                    let Channel::Stream(stream) = accepted.channel else { return None };
                    let (mut read, mut write) = tokio::io::split(stream);
                    let mut buffer = vec![0; 16 << 10];
                    while let Ok(count @ 1..) = read.read(&mut buffer).await {
                        write.write_all(&buffer[..count]).await.ok()?;
                        write.flush().await.ok()?;
                    }
                    write.shutdown().await.ok()
                });
            }
        });
        let spec = server.client_spec(&bridge, &user).unwrap();
        let client = transport.client(&spec).unwrap();
        Self { bridge, site, spec, client }
    }

    /// One of ours says something and hears it.
    pub(crate) async fn serves(&self) {
        self.says(&*self.client).await;
    }

    /// A client says something and hears it.
    pub(crate) async fn says(&self, client: &dyn Client) {
        let cx = Cx::new(SystemNet::new(), PATIENCE);
        let target = Target::Stream("echo.example:7".parse().unwrap());
        let opened = timeout(PATIENCE, client.dial(&cx, &target)).await.unwrap().unwrap();
        let mut stream = opened.channel.into_stream().unwrap();
        stream.write_all(b"still here").await.unwrap();
        stream.flush().await.unwrap();
        let mut heard = [0; 10];
        timeout(PATIENCE, stream.read_exact(&mut heard)).await.unwrap().unwrap();
        assert_eq!(&heard, b"still here");
    }

    /// What a place answers to these bytes and an end, and whether it ended in order.
    pub(crate) async fn answer(at: &HostPort, sent: &[u8]) -> (Vec<u8>, bool) {
        let mut stream = TcpStream::connect(at.socket_addr().unwrap()).await.unwrap();
        // A server that has heard enough may refuse the rest.
        let written = stream.write_all(sent).await.is_ok() && stream.shutdown().await.is_ok();
        let mut answer = Vec::new();
        let ended = timeout(PATIENCE, stream.read_to_end(&mut answer)).await.expect("an end");
        (answer, written && ended.is_ok())
    }
}
