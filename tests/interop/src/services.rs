//! Targets on loopback: echoes, and a DNS server that knows one name.

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::{Result, ensure};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, UdpSocket},
};

/// The address that [`dns_service`] gives for every name (RFC 5737).
const DNS_ADDRESS: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 53);
const HEADER_BYTES: usize = 12;

/// A TCP service that sends back what it gets and ends when its client ends.
///
/// # Errors
/// The system has no port.
pub async fn echo_service() -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((mut stream, _peer)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut read, mut write) = stream.split();
                let mut buffer = vec![0; 64 * 1024];
                loop {
                    let count = read.read(&mut buffer).await?;
                    if count == 0 {
                        return write.shutdown().await;
                    }
                    write.write_all(buffer.get(..count).unwrap_or_default()).await?;
                }
            });
        }
    });
    Ok(address)
}

/// A UDP service that sends back what it gets.
///
/// # Errors
/// The system has no port.
pub async fn udp_echo_service() -> Result<SocketAddr> {
    udp_service(|datagram| Some(datagram.to_vec())).await
}

/// A DNS server that answers every question for an IPv4 address (RFC 1035).
///
/// # Errors
/// The system has no port.
pub async fn dns_service() -> Result<SocketAddr> {
    udp_service(dns_answer).await
}

async fn udp_service(answer: fn(&[u8]) -> Option<Vec<u8>>) -> Result<SocketAddr> {
    let socket = UdpSocket::bind("127.0.0.1:0").await?;
    let address = socket.local_addr()?;
    tokio::spawn(async move {
        let mut buffer = vec![0; 65_536];
        while let Ok((count, from)) = socket.recv_from(&mut buffer).await {
            if let Some(answer) = answer(buffer.get(..count).unwrap_or_default()) {
                socket.send_to(&answer, from).await.ok();
            }
        }
    });
    Ok(address)
}

/// A query for the IPv4 address of a name.
pub fn dns_query(id: u16, name: &str) -> Vec<u8> {
    let mut query = id.to_be_bytes().to_vec();
    // Recursion desired; one question.
    query.extend([1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    for label in name.split('.') {
        query.push(u8::try_from(label.len()).unwrap_or(u8::MAX));
        query.extend_from_slice(label.as_bytes());
    }
    query.extend([0, 0, 1, 0, 1]);
    query
}

/// The address in an answer to that query.
///
/// # Errors
/// It is no such answer.
pub fn dns_service_address(query: &[u8], answer: &[u8]) -> Result<Ipv4Addr> {
    ensure!(answer.get(..2) == query.get(..2), "another id");
    ensure!(answer.get(2).is_some_and(|flags| flags & 0x80 != 0), "no answer");
    ensure!(answer.get(HEADER_BYTES..query.len()) == query.get(HEADER_BYTES..), "another question");
    let address: Option<&[u8; 4]> = answer.last_chunk();
    let address = Ipv4Addr::from(*address.unwrap_or(&[0; 4]));
    ensure!(address == DNS_ADDRESS, "another address");
    Ok(address)
}

fn dns_answer(query: &[u8]) -> Option<Vec<u8>> {
    let (id, question) = (query.get(..2)?, query.get(HEADER_BYTES..)?);
    let mut answer = id.to_vec();
    // An answer, recursion available; one question, one record.
    answer.extend([0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0]);
    answer.extend_from_slice(question);
    // The name of the question, A, IN, 60 s, 4 bytes.
    answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4]);
    answer.extend(DNS_ADDRESS.octets());
    Some(answer)
}
