//! The parameters of both ends, as they stand in a spec, and what they become.

mod client;
mod fallback;
mod server;
mod text;

pub(crate) use self::{
    client::{ClientConfig, ClientFields, Fingerprint},
    fallback::{ByteLimit, DialLimits, FallbackLimit},
    server::{ServerConfig, generate_server_params},
    text::{bad, decode_key, encode_key, render_uuid},
};
