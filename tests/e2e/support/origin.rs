//! A web site that the bridge can reach: pages, a large file, an answer after the whole question.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    time::Duration,
};

/// Size of `/blob`.
const BLOB_BYTES: usize = 8 * 1024 * 1024;

/// The running site. Its threads end with the test process.
pub(crate) struct Origin {
    pub(crate) address: SocketAddr,
    pub(crate) blob: Vec<u8>,
}

impl Origin {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let mut blob = vec![0; BLOB_BYTES];
        blake3::Hasher::new().update(b"origin").finalize_xof().fill(&mut blob);
        let served = blob.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let blob = served.clone();
                std::thread::spawn(move || answer(stream, &blob));
            }
        });
        Self { address, blob }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// A server that reads to the end of stream and only then answers with how much it got.
    pub(crate) fn counting() -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            for mut stream in listener.incoming().map_while(Result::ok) {
                std::thread::spawn(move || {
                    let mut all = Vec::new();
                    if stream.read_to_end(&mut all).is_ok() {
                        stream.write_all(format!("got {} bytes", all.len()).as_bytes()).ok();
                    }
                });
            }
        });
        address
    }
}

fn answer(stream: TcpStream, blob: &[u8]) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut stream = stream;
    loop {
        let mut first = String::new();
        if reader.read_line(&mut first).unwrap_or(0) == 0 {
            return;
        }
        let mut length = 0;
        loop {
            let mut header = String::new();
            if reader.read_line(&mut header).unwrap_or(0) == 0 || header == "\r\n" {
                break;
            }
            if let Some(value) = header.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap_or(0);
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok();
        let path = first.split(' ').nth(1).unwrap_or("/").to_owned();
        let sent = match path.as_str() {
            "/blob" => respond(&mut stream, "200 OK", blob),
            "/slow" => slow(&mut stream, blob),
            "/page" => respond(&mut stream, "200 OK", b"<title>page</title>the page of the origin\n"),
            "/echo" => respond(&mut stream, "200 OK", &body),
            _ => respond(&mut stream, "404 Not Found", b"not here\n"),
        };
        if sent.is_err() {
            return;
        }
    }
}

fn respond(stream: &mut TcpStream, status: &str, body: &[u8]) -> std::io::Result<()> {
    write!(stream, "HTTP/1.1 {status}\r\ncontent-type: text/html\r\ncontent-length: {}\r\n\r\n", body.len())?;
    stream.write_all(body)
}

/// The large file, about one MiB a second, so that something can happen while it flows.
fn slow(stream: &mut TcpStream, blob: &[u8]) -> std::io::Result<()> {
    write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", blob.len())?;
    for piece in blob.chunks(64 * 1024) {
        stream.write_all(piece)?;
        std::thread::sleep(Duration::from_millis(60));
    }
    stream.shutdown(Shutdown::Write)
}
