//! What stands at the other side of the tests: the bridge end of the small transport, and origin servers.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime},
};

use commucat_client::{Options, Runtime};
use commucat_net::SystemNet;
use commucat_transport_api::HostPort;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream, UdpSocket},
    task::{AbortHandle, JoinSet},
};

use crate::mini::{Params, bundle, link};

/// How the bridge behaves; may be changed while it runs.
#[derive(Clone, Debug)]
pub(crate) struct Manner {
    pub(crate) key: &'static str,
    pub(crate) user: &'static str,
    pub(crate) min_version: u32,
    pub(crate) full: bool,
    /// Whether it answers the hello with a line.
    pub(crate) answers: bool,
    pub(crate) after_hello: AfterHello,
    /// What its own HTTP answers with.
    pub(crate) api: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AfterHello {
    Serve,
    Reset,
    Silence,
    Close,
}

impl Default for Manner {
    fn default() -> Self {
        Self {
            key: "key",
            user: "ann",
            min_version: 1,
            full: false,
            answers: true,
            after_hello: AfterHello::Serve,
            api: None,
        }
    }
}

/// A bridge of the small transport. Ends with the test.
pub(crate) struct Bridge {
    pub(crate) address: HostPort,
    pub(crate) dials: Arc<AtomicUsize>,
    manner: Arc<Mutex<Manner>>,
    _task: Ends,
}

/// Aborts a task when dropped.
pub(crate) struct Ends(AbortHandle);

impl Drop for Ends {
    fn drop(&mut self) {
        self.0.abort();
    }
}

pub(crate) fn in_background(future: impl Future<Output = ()> + Send + 'static) -> Ends {
    Ends(tokio::spawn(future).abort_handle())
}

impl Bridge {
    pub(crate) async fn start(manner: Manner) -> Self {
        Self::start_at("127.0.0.1:0".parse().unwrap(), manner).await
    }

    pub(crate) async fn start_at(at: SocketAddr, manner: Manner) -> Self {
        let listener = TcpListener::bind(at).await.unwrap();
        let address = listener.local_addr().unwrap().into();
        let (manner, dials) = (Arc::new(Mutex::new(manner)), Arc::new(AtomicUsize::new(0)));
        let (shared, count) = (Arc::clone(&manner), Arc::clone(&dials));
        let task = in_background(async move {
            let mut open = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                count.fetch_add(1, Ordering::SeqCst);
                let manner = Arc::clone(&shared);
                open.spawn(serve(stream, manner));
            }
        });
        Self { address, dials, manner, _task: task }
    }

    pub(crate) fn change(&self, change: impl FnOnce(&mut Manner)) {
        change(&mut self.manner.lock().unwrap());
    }

    pub(crate) fn dials(&self) -> usize {
        self.dials.load(Ordering::SeqCst)
    }
}

async fn serve(stream: TcpStream, manner: Arc<Mutex<Manner>>) {
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    if stream.read_line(&mut line).await.unwrap_or(0) == 0 {
        return;
    }
    let manner = manner.lock().unwrap().clone();
    match manner.after_hello {
        AfterHello::Serve => {}
        AfterHello::Reset => return stream.into_inner().set_zero_linger().unwrap(),
        AfterHello::Close => return,
        AfterHello::Silence => return std::future::pending().await,
    }
    let words: Vec<_> = line.split_ascii_whitespace().collect();
    let [key, user, version, time, target] = words[..] else { return };
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs() as i64;
    let ahead = time.parse::<i64>().unwrap() - now;
    let verdict = if key != manner.key {
        "key".to_owned()
    } else if ahead.abs() > 30 {
        format!("skew {ahead}")
    } else if user != manner.user {
        "user".to_owned()
    } else if version.parse::<u32>().unwrap() < manner.min_version {
        "version".to_owned()
    } else if manner.full {
        "full".to_owned()
    } else {
        "ok".to_owned()
    };
    let (answers, text) = (manner.answers, format!("{verdict}\n"));
    if verdict != "ok" {
        if answers {
            stream.write_all(text.as_bytes()).await.unwrap();
        }
        return;
    }
    match target {
        "bridge" => {
            stream.write_all(b"ok\n").await.unwrap();
            if let Some(body) = manner.api {
                read_some(stream.get_mut()).await;
                let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
                stream.write_all((head + &body).as_bytes()).await.unwrap();
            }
        }
        "datagrams" => {
            if answers {
                stream.write_all(text.as_bytes()).await.unwrap();
            }
            datagrams(stream).await;
        }
        target => match TcpStream::connect(target).await {
            Ok(mut remote) => {
                if answers {
                    stream.write_all(text.as_bytes()).await.unwrap();
                }
                splice(&mut stream, &mut remote).await;
            }
            Err(_) if answers => stream.write_all(b"target\n").await.unwrap(),
            Err(_) => {}
        },
    }
}

/// Both directions, with half-close.
async fn splice(near: &mut BufReader<TcpStream>, far: &mut TcpStream) {
    let ahead = near.buffer().to_vec();
    far.write_all(&ahead).await.unwrap();
    let (mut near_read, mut near_write) = near.get_mut().split();
    let (mut far_read, mut far_write) = far.split();
    tokio::join!(pump(&mut near_read, &mut far_write), pump(&mut far_read, &mut near_write));
}

async fn pump(from: &mut (impl AsyncReadExt + Unpin), to: &mut (impl AsyncWriteExt + Unpin)) {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match from.read(&mut buffer).await {
            Ok(0) | Err(_) => break,
            Ok(read) => {
                if to.write_all(&buffer[..read]).await.is_err() {
                    return;
                }
            }
        }
    }
    to.shutdown().await.ok();
}

async fn datagrams(mut stream: BufReader<TcpStream>) {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let mut buffer = [0; 2048];
    loop {
        tokio::select! {
            length = stream.read_u16() => {
                let Ok(length) = length else { return };
                let mut frame = vec![0; length.into()];
                stream.read_exact(&mut frame).await.unwrap();
                let mut rest = &frame[..];
                let to = HostPort::decode(&mut rest).unwrap().socket_addr().unwrap();
                socket.send_to(rest, to).await.unwrap();
            }
            Ok((read, from)) = socket.recv_from(&mut buffer) => {
                let mut frame = Vec::new();
                HostPort::from(from).encode(&mut frame);
                frame.extend_from_slice(&buffer[..read]);
                stream.write_all(&u16::try_from(frame.len()).unwrap().to_be_bytes()).await.unwrap();
                stream.write_all(&frame).await.unwrap();
            }
        }
    }
}

/// A client over these bridges, on a free port.
pub(crate) async fn client(endpoints: &[(HostPort, Params)], options: Options) -> Runtime {
    let options = Options { listen: "127.0.0.1:0".parse().unwrap(), ..options };
    Runtime::start(SystemNet::new(), &bundle(), &link(endpoints), options).await.unwrap()
}

/// A client over one bridge that does as it should.
pub(crate) async fn plain(options: Options) -> (Bridge, Runtime) {
    let bridge = Bridge::start(Manner::default()).await;
    let client = client(&[(bridge.address.clone(), Params::default())], options).await;
    (bridge, client)
}

/// A server that handles each connection with `handle`.
pub(crate) async fn origin<F, R>(handle: F) -> (SocketAddr, Ends)
where
    F: Fn(TcpStream) -> R + Send + 'static,
    R: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let task = in_background(async move {
        let mut open = JoinSet::new();
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            open.spawn(handle(stream));
        }
    });
    (address, task)
}

/// Sends everything back.
pub(crate) async fn echo() -> (SocketAddr, Ends) {
    origin(|mut stream| async move {
        let (mut read, mut write) = stream.split();
        pump(&mut read, &mut write).await;
    })
    .await
}

/// Reads once: a request in these tests fits into one segment.
pub(crate) async fn read_some(stream: &mut TcpStream) {
    let read = stream.read(&mut [0; 4096]).await.unwrap();
    assert!(read > 0);
}

/// Fails a test that hangs.
pub(crate) async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(30), future).await.expect("hangs")
}
