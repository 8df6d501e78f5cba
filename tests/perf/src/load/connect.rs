//! One connection through an inbound, by blocking sockets: the cheapest and steadiest clock.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use anyhow::{Context, bail};

use super::{STEP_LIMIT, mode};

/// How to get to the target.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Entry {
    /// A port that forwards to the target.
    Forward(SocketAddr),
    /// A SOCKS5 proxy and the target to name to it.
    Socks {
        /// The proxy.
        proxy: SocketAddr,
        /// The target; IPv4 only.
        target: SocketAddr,
    },
}

/// A connection to the target, ready for its first byte.
///
/// # Errors
/// When the inbound refuses, is silent, or a SOCKS5 proxy says no.
pub fn open(entry: Entry) -> anyhow::Result<TcpStream> {
    let address = match entry {
        Entry::Forward(address) | Entry::Socks { proxy: address, .. } => address,
    };
    let mut stream = TcpStream::connect_timeout(&address, STEP_LIMIT).context("connecting to the inbound")?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(STEP_LIMIT))?;
    stream.set_write_timeout(Some(STEP_LIMIT))?;
    if let Entry::Socks { target, .. } = entry {
        socks_connect(&mut stream, target)?;
    }
    Ok(stream)
}

/// Opens a connection, sends one byte, waits for one. The connection stays open.
///
/// # Errors
/// As [`open`], and when no answer comes.
pub fn ping(entry: Entry) -> anyhow::Result<(TcpStream, Duration)> {
    let start = Instant::now();
    let mut stream = open(entry)?;
    stream.write_all(&[mode::ECHO])?;
    let mut answer = [0];
    stream.read_exact(&mut answer).context("waiting for the first byte")?;
    Ok((stream, start.elapsed()))
}

/// Microseconds from connect to first byte of `count` connections, one after the other.
///
/// # Errors
/// As [`ping`].
pub fn first_bytes(entry: Entry, count: usize) -> anyhow::Result<Vec<u32>> {
    (0..count)
        .map(|_| {
            let (_stream, elapsed) = ping(entry)?;
            Ok(u32::try_from(elapsed.as_micros()).unwrap_or(u32::MAX))
        })
        .collect()
}

/// RFC 1928: no authentication, CONNECT to an IPv4 address.
fn socks_connect(stream: &mut TcpStream, target: SocketAddr) -> anyhow::Result<()> {
    let SocketAddr::V4(target) = target else { bail!("the target must be IPv4") };
    stream.write_all(&[5, 1, 0])?;
    let mut method = [0; 2];
    stream.read_exact(&mut method).context("waiting for the SOCKS5 method")?;
    if method != [5, 0] {
        bail!("the SOCKS5 proxy wants method {method:?}");
    }
    let mut request = vec![5, 1, 0, 1];
    request.extend(target.ip().octets());
    request.extend(target.port().to_be_bytes());
    stream.write_all(&request)?;
    let mut reply = [0; 4];
    stream.read_exact(&mut reply).context("waiting for the SOCKS5 reply")?;
    let [_, code, _, kind] = reply;
    if code != 0 {
        bail!("the SOCKS5 proxy answered {code}");
    }
    let rest = match kind {
        1 => 4 + 2,
        4 => 16 + 2,
        3 => {
            let mut length = [0];
            stream.read_exact(&mut length)?;
            usize::from(length[0]) + 2
        }
        _ => bail!("the SOCKS5 proxy bound an address of kind {kind}"),
    };
    let mut bound = vec![0; rest];
    stream.read_exact(&mut bound)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::{net::TcpListener, thread};

    use super::*;
    use crate::load::target::Target;

    #[test]
    fn first_bytes_come_from_the_target() {
        let target = Target::start().unwrap();
        assert_eq!(first_bytes(Entry::Forward(target.address()), 5).unwrap().len(), 5);
    }

    #[test]
    fn socks_names_the_target_and_reads_any_bound_address() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let proxy = listener.local_addr().unwrap();
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut hello = [0; 3];
            stream.read_exact(&mut hello).unwrap();
            stream.write_all(&[5, 0]).unwrap();
            let mut request = [0; 10];
            stream.read_exact(&mut request).unwrap();
            stream.write_all(&[5, 0, 0, 3, 2, b'a', b'b', 0, 80]).unwrap();
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            stream.write_all(&byte).unwrap();
            request
        });
        ping(Entry::Socks { proxy, target: "127.0.0.1:258".parse().unwrap() }).unwrap();
        assert_eq!(server.join().unwrap(), [5, 1, 0, 1, 127, 0, 0, 1, 1, 2]);
    }
}
