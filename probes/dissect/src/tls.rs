//! TLS as a box on the path sees it: records, hellos and fingerprints; and hellos written from data.
//!
//! [`client_hello`] reads a stream prefix with the care a given censor takes: one record only, or a hello spread over
//! records. Spreading over segments is the caller's matter: it hands in as much of the stream as its censor collects.
//! [`client_hello_prefix`] shows what a censor without reassembly sees in one segment.

pub mod build;
mod fragments;
mod hello;
mod ja4;
mod record;
mod server;

pub use fragments::{Defragment, Hello, MAX_HELLO_BYTES, client_hello, client_hello_prefix};
pub use hello::{ClientHello, MAX_EXTENSIONS};
pub use ja4::Transport;
pub use record::{ContentType, MAX_RECORD_BYTES, Record, Records, records, split_records};
pub use server::{ServerHello, server_hello};

/// Handshake message type of a ClientHello (RFC 8446 §4).
pub const CLIENT_HELLO: u8 = 1;
/// Handshake message type of a ServerHello (RFC 8446 §4).
pub const SERVER_HELLO: u8 = 2;

/// Numbers of TLS extensions (IANA registry, and drafts where said).
pub mod extension {
    /// server_name, RFC 6066.
    pub const SERVER_NAME: u16 = 0;
    /// status_request, RFC 6066.
    pub const STATUS_REQUEST: u16 = 5;
    /// supported_groups, RFC 8422 and 8446.
    pub const SUPPORTED_GROUPS: u16 = 10;
    /// ec_point_formats, RFC 8422.
    pub const EC_POINT_FORMATS: u16 = 11;
    /// signature_algorithms, RFC 8446.
    pub const SIGNATURE_ALGORITHMS: u16 = 13;
    /// application_layer_protocol_negotiation, RFC 7301.
    pub const ALPN: u16 = 16;
    /// signed_certificate_timestamp, RFC 6962.
    pub const SIGNED_CERTIFICATE_TIMESTAMP: u16 = 18;
    /// padding, RFC 7685.
    pub const PADDING: u16 = 21;
    /// encrypt_then_mac, RFC 7366.
    pub const ENCRYPT_THEN_MAC: u16 = 22;
    /// extended_master_secret, RFC 7627.
    pub const EXTENDED_MASTER_SECRET: u16 = 23;
    /// compress_certificate, RFC 8879.
    pub const COMPRESS_CERTIFICATE: u16 = 27;
    /// record_size_limit, RFC 8449.
    pub const RECORD_SIZE_LIMIT: u16 = 28;
    /// delegated_credential, RFC 9345.
    pub const DELEGATED_CREDENTIAL: u16 = 34;
    /// session_ticket, RFC 5077.
    pub const SESSION_TICKET: u16 = 35;
    /// pre_shared_key, RFC 8446.
    pub const PRE_SHARED_KEY: u16 = 41;
    /// early_data, RFC 8446.
    pub const EARLY_DATA: u16 = 42;
    /// supported_versions, RFC 8446.
    pub const SUPPORTED_VERSIONS: u16 = 43;
    /// psk_key_exchange_modes, RFC 8446.
    pub const PSK_KEY_EXCHANGE_MODES: u16 = 45;
    /// post_handshake_auth, RFC 8446.
    pub const POST_HANDSHAKE_AUTH: u16 = 49;
    /// key_share, RFC 8446.
    pub const KEY_SHARE: u16 = 51;
    /// quic_transport_parameters, RFC 9001.
    pub const QUIC_TRANSPORT_PARAMETERS: u16 = 57;
    /// application_settings (ALPS), draft-vvv-tls-alps, the number Chrome uses since 133.
    pub const APPLICATION_SETTINGS: u16 = 0x44cd;
    /// trust_anchors, draft-ietf-tls-trust-anchor-ids, the number Chrome uses.
    pub const TRUST_ANCHORS: u16 = 0xca34;
    /// encrypted_client_hello, RFC 9849.
    pub const ENCRYPTED_CLIENT_HELLO: u16 = 0xfe0d;
    /// encrypted_server_name, draft-ietf-tls-esni-02: what China blocks since 2020.
    pub const ENCRYPTED_SERVER_NAME: u16 = 0xffce;
    /// renegotiation_info, RFC 5746.
    pub const RENEGOTIATION_INFO: u16 = 0xff01;
}

/// Whether a value is one of the sixteen reserved by GREASE (RFC 8701): `0x0a0a`, `0x1a1a` and so on.
pub const fn is_grease(value: u16) -> bool {
    let [high, low] = value.to_be_bytes();
    high == low && low & 0x0f == 0x0a
}
