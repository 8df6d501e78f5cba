//! A whole transport: it masks every byte with a key, and says in front where the stream should go.

// ANCHOR: transport
use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use commucat_transport_api::*;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

const ID: TransportId = TransportId::from_static("plainxor");

/// What both ends read from the parameters of a spec.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Params {
    key: u8,
}

/// The transport itself: it holds no connection.
#[derive(Debug)]
pub struct PlainXor;

impl StreamTransport for PlainXor {
    const DESCRIPTOR: &'static Descriptor =
        &Descriptor::new(ID, "bytes without structure", ChannelKinds::STREAM, Roles::Both, Addressing::Proxy);
    type Params = Params;

    fn generate_server_params(&self) -> Result<serde_json::Value, ConfigError> {
        Ok(serde_json::json!({ "key": 0x5a }))
    }
    async fn connect(&self, params: &Params, carrier: BoxStream, target: &Target) -> io::Result<BoxStream> {
        let mut stream = Masked(carrier, params.key);
        write_target(&mut stream, target).await?;
        Ok(Box::new(stream))
    }
    async fn accept(&self, params: &Params, carrier: BoxStream) -> Result<(BoxStream, Target), AcceptError> {
        let mut stream = Masked(carrier, params.key);
        let target = read_target(&mut stream).await?;
        Ok((Box::new(stream), target))
    }
}
// ANCHOR_END: transport

// ANCHOR: stream
#[derive(Debug)]
struct Masked(BoxStream, u8);

impl AsyncRead for Masked {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let Self(carrier, key) = self.get_mut();
        let old = buf.filled().len();
        let read = Pin::new(carrier).poll_read(cx, buf);
        buf.filled_mut().iter_mut().skip(old).for_each(|byte| *byte ^= *key);
        read
    }
}

impl AsyncWrite for Masked {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        let masked: Vec<u8> = data.iter().map(|byte| byte ^ self.1).collect();
        Pin::new(&mut self.0).poll_write(cx, &masked)
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
// ANCHOR_END: stream
