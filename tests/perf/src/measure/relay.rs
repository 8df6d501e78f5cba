//! The first half of the physical limit: a relay that only copies, with blocking threads and big buffers. It runs as a process of its own.

use std::{
    io::{self, Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    thread,
};

use anyhow::Context;

/// The buffer of each direction.
const BUFFER_BYTES: usize = 256 * 1024;
/// Stack of a copying thread: it holds nothing but the loop.
const STACK_BYTES: usize = 64 * 1024;

/// Accepts at `listen` and relays to `target` until the process is ended.
///
/// # Errors
/// When the port cannot be had.
pub fn run(listen: SocketAddr, target: SocketAddr) -> anyhow::Result<()> {
    let listener = TcpListener::bind(listen).with_context(|| format!("listening on {listen}"))?;
    serve(&listener, target)
}

fn serve(listener: &TcpListener, target: SocketAddr) -> anyhow::Result<()> {
    loop {
        let (client, _) = listener.accept().context("accepting")?;
        let thread = thread::Builder::new().stack_size(STACK_BYTES);
        // A connection that breaks ends its own threads and nothing else.
        thread.spawn(move || connect(client, target).ok())?;
    }
}

fn connect(client: TcpStream, target: SocketAddr) -> io::Result<()> {
    let server = TcpStream::connect(target)?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (client_too, server_too) = (client.try_clone()?, server.try_clone()?);
    thread::Builder::new().stack_size(STACK_BYTES).spawn(move || copy(server_too, client_too).ok())?;
    copy(client, server)
}

fn copy(mut from: TcpStream, mut to: TcpStream) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER_BYTES];
    let copied = loop {
        match from.read(&mut buffer) {
            Ok(0) => break Ok(()),
            Ok(length) => {
                if let Err(error) = to.write_all(buffer.get(..length).unwrap_or_default()) {
                    break Err(error);
                }
            }
            Err(error) => break Err(error),
        }
    };
    if copied.is_err() {
        // Wake the other direction, which may wait for data that will never come.
        from.shutdown(Shutdown::Both).ok();
    }
    to.shutdown(if copied.is_ok() { Shutdown::Write } else { Shutdown::Both })?;
    copied
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::{end, target::Target};

    #[test]
    fn the_relay_keeps_ends_of_streams() {
        let target = Target::start().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let entry = listener.local_addr().unwrap();
        let address = target.address();
        thread::spawn(move || serve(&listener, address));
        end::target_closes(entry, &target).unwrap();
        assert!(end::client_half_closes(entry, &target).unwrap().answered);
    }
}
