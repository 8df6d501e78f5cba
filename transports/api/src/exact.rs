//! Whole messages over a stream, for handshakes that are simple enough to be written as straight code. A [`crate::Handshake`]
//! is the other way: it holds no stream, and can be tested without one.

use std::{future::poll_fn, io, pin::Pin};

use tokio::io::ReadBuf;

use crate::{AcceptError, ByteStream, HostPort, Target, target::address_len};

/// Fills all of `into`, and takes no byte more from the stream.
///
/// # Errors
/// Those of the stream; [`io::ErrorKind::UnexpectedEof`] when it ends before.
pub async fn read_exact(io: &mut impl ByteStream, into: &mut [u8]) -> io::Result<()> {
    let mut buf = ReadBuf::new(into);
    while buf.remaining() > 0 {
        let before = buf.remaining();
        poll_fn(|cx| Pin::new(&mut *io).poll_read(cx, &mut buf)).await?;
        if buf.remaining() == before {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(())
}

/// Writes all of `bytes`, and flushes.
///
/// # Errors
/// Those of the stream; [`io::ErrorKind::WriteZero`] when it takes no more.
pub async fn write_all(io: &mut impl ByteStream, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        let written = poll_fn(|cx| Pin::new(&mut *io).poll_write(cx, bytes)).await?;
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        bytes = bytes.get(written..).unwrap_or_default();
    }
    poll_fn(|cx| Pin::new(&mut *io).poll_flush(cx)).await
}

/// Says where a stream should go: [`HostPort::encode`] of the target's address.
///
/// # Errors
/// Those of the stream; [`io::ErrorKind::Unsupported`] for a target that has no address.
pub async fn write_target(io: &mut impl ByteStream, target: &Target) -> io::Result<()> {
    let address = target.to_address().ok_or(io::ErrorKind::Unsupported)?;
    let mut bytes = Vec::with_capacity(address.encoded_len());
    address.encode(&mut bytes);
    write_all(io, &bytes).await
}

/// Reads what [`write_target`] wrote, at most [`crate::MAX_ADDRESS_BYTES`], and takes no byte more from the stream.
///
/// # Errors
/// [`AcceptError::Unauthenticated`] when it is no address; [`AcceptError::Io`] when the stream failed or ended.
pub async fn read_target(io: &mut impl ByteStream) -> Result<Target, AcceptError> {
    let mut head = [0; 2];
    read_exact(io, &mut head).await.map_err(AcceptError::Io)?;
    let [kind, next] = head;
    let mut address = head.to_vec();
    address.resize(address_len(kind, next).ok_or(AcceptError::Unauthenticated)?, 0);
    read_exact(io, address.get_mut(head.len()..).unwrap_or_default()).await.map_err(AcceptError::Io)?;
    let address = HostPort::decode(&mut &*address)
        .map_err(|_no_address: crate::TargetError| AcceptError::Unauthenticated)?;
    Ok(Target::from_address(address))
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    use super::*;

    #[tokio::test]
    async fn targets_pass_in_single_bytes_and_nothing_more_is_taken() {
        for text in ["example.org:443", "a:1", "192.0.2.7:80", "[2001:db8::1]:53"] {
            let target = Target::Stream(text.parse().unwrap());
            let (mut near, mut far) = duplex(1);
            let writing = async {
                write_target(&mut near, &target).await.unwrap();
                near.write_all(b"rest").await.unwrap();
                near.shutdown().await.unwrap();
            };
            let reading = async {
                assert_eq!(read_target(&mut far).await.unwrap(), target);
                let mut rest = Vec::new();
                far.read_to_end(&mut rest).await.unwrap();
                assert_eq!(rest, b"rest");
            };
            tokio::join!(writing, reading);
        }
    }

    #[tokio::test]
    async fn what_is_no_address_is_refused_before_it_is_read_on() {
        for hostile in [&[9, 1][..], &[3, 0, 0, 0], &[3, 2, 0xff, 0xfe, 0, 1]] {
            // The writing end stays open: whoever reads on would wait for ever.
            let (mut near, mut far) = duplex(64);
            near.write_all(hostile).await.unwrap();
            assert!(matches!(read_target(&mut far).await, Err(AcceptError::Unauthenticated)));
        }
    }

    #[tokio::test]
    async fn an_end_in_the_middle_is_an_error() {
        let (mut near, mut far) = duplex(64);
        near.write_all(&[3, 11, b'e', b'x']).await.unwrap();
        near.shutdown().await.unwrap();
        let Err(AcceptError::Io(error)) = read_target(&mut far).await else { panic!("it is cut short") };
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }

    #[tokio::test]
    async fn a_target_without_an_address_is_not_written() {
        let (mut near, mut far) = duplex(64);
        let error = write_target(&mut near, &Target::Datagrams).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::Unsupported);
        drop(near);
        assert_eq!(far.read(&mut [0; 8]).await.unwrap(), 0);
    }
}
