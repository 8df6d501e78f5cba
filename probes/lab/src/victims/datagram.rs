//! Clients over UDP: questions to the resolver, and datagrams of any shape.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use commucat_dissect::dns;
use tokio::net::UdpSocket;

use super::{Outcome, Scene};

/// Largest datagram, in bytes.
const DATAGRAM_BYTES_MAX: usize = 65_535;
/// DNS's type of an IPv4 address.
const A: u16 = 1;

/// A socket that talks to one peer.
pub(super) async fn connect(scene: &Scene, to: SocketAddr) -> Result<UdpSocket, Outcome> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).await.map_err(Outcome::failed)?;
    scene.wait(0, socket.connect(to)).await?;
    Ok(socket)
}

/// Asks the resolver for a name and believes the first answer, as every stub resolver does.
pub(super) async fn resolve(scene: &Scene, name: &str) -> Outcome {
    match try_resolve(scene, name).await {
        Ok(outcome) | Err(outcome) => outcome,
    }
}

async fn try_resolve(scene: &Scene, name: &str) -> Result<Outcome, Outcome> {
    let id = u16::try_from(scene.seed() & 0xffff).unwrap_or_default();
    let query = dns::query(id, name, A).ok_or_else(|| Outcome::failed("no domain name"))?;
    let socket = connect(scene, scene.plan().resolver).await?;
    scene.wait(0, socket.send(&query)).await?;
    let answer = receive(scene, &socket, 0).await?;
    let bytes = u64::try_from(answer.len()).unwrap_or_default();
    let answer = dns::parse(&answer).ok_or_else(|| Outcome::failed("the answer is no DNS message"))?;
    if answer.id != id || !answer.response {
        return Err(Outcome::failed("the answer is to another question"));
    }
    let addresses: Vec<IpAddr> = answer.addresses().collect();
    let zone = scene.plan().zone();
    let truth = zone.iter().find(|(known, _)| known == name).map(|(_, address)| *address);
    let honest = truth.is_some_and(|truth| addresses == [truth]);
    Ok(if honest { Outcome::Intact { bytes } } else { Outcome::Forged { addresses } })
}

/// The next datagram.
pub(super) async fn receive(scene: &Scene, socket: &UdpSocket, bytes: u64) -> Result<Vec<u8>, Outcome> {
    let mut buffer = vec![0; DATAGRAM_BYTES_MAX];
    let read = scene.wait(bytes, socket.recv(&mut buffer)).await?;
    buffer.truncate(read);
    Ok(buffer)
}

/// Sends datagrams to a control server's UDP echo, one after the other, and expects each back without its last byte.
pub(super) async fn echo(scene: &Scene, to: SocketAddr, datagrams: &[Vec<u8>]) -> Outcome {
    match try_echo(scene, to, datagrams).await {
        Ok(outcome) | Err(outcome) => outcome,
    }
}

async fn try_echo(scene: &Scene, to: SocketAddr, datagrams: &[Vec<u8>]) -> Result<Outcome, Outcome> {
    let socket = connect(scene, to).await?;
    let mut bytes = 0;
    for datagram in datagrams {
        scene.wait(bytes, socket.send(datagram)).await?;
        let answer = receive(scene, &socket, bytes).await?;
        if datagram.split_last().is_none_or(|(_, expected)| answer != expected) {
            return Ok(Outcome::Altered { at: bytes });
        }
        bytes += u64::try_from(answer.len()).unwrap_or_default();
    }
    Ok(Outcome::Intact { bytes })
}
