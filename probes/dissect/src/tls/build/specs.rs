//! Ready specs, measured on recorded hellos (`tests/vectors`) or, for the stale Chrome, on its published fingerprint.

use super::{
    Extension, GREASE, HelloSpec, SECP256R1, SECP384R1, X25519, X25519_MLKEM768,
    extension::{
        APPLICATION_SETTINGS, COMPRESS_CERTIFICATE, DELEGATED_CREDENTIAL, EC_POINT_FORMATS, ENCRYPT_THEN_MAC,
        EXTENDED_MASTER_SECRET, POST_HANDSHAKE_AUTH, PSK_KEY_EXCHANGE_MODES, QUIC_TRANSPORT_PARAMETERS,
        RECORD_SIZE_LIMIT, RENEGOTIATION_INFO, SESSION_TICKET, SIGNED_CERTIFICATE_TIMESTAMP, STATUS_REQUEST,
        TRUST_ANCHORS,
    },
};

const TLS_1_3: u16 = 0x0304;
const TLS_1_2: u16 = 0x0303;
const CHROME_CIPHERS: [u16; 16] = [
    GREASE, 0x1301, 0x1302, 0x1303, 0xc02b, 0xc02f, 0xc02c, 0xc030, 0xcca9, 0xcca8, 0xc013, 0xc014, 0x009c,
    0x009d, 0x002f, 0x0035,
];
const CHROME_GROUPS: [u16; 5] = [GREASE, X25519_MLKEM768, X25519, SECP256R1, SECP384R1];
const CHROME_SHARES: [u16; 3] = [GREASE, X25519_MLKEM768, X25519];
/// Before 150.
const CHROME_ALGORITHMS_STALE: [u16; 8] = [0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0806, 0x0601];
/// Since 152: GREASE and the three of ML-DSA come first.
const CHROME_ALGORITHMS: [u16; 12] =
    [GREASE, 0x0904, 0x0905, 0x0906, 0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0806, 0x0601];
/// Payloads of the random ECH: a padded inner hello and a tag.
const CHROME_ECH_PAYLOADS: [u16; 4] = [144, 176, 208, 240];
const ECH_AES_128_GCM: u16 = 1;
const ECH_CHACHA20: u16 = 3;
/// Trust anchor ids of Chrome's root store in 156: a beginning, and the last byte of each id under it.
const TRUST_ANCHOR_IDS: [(&[u8], &[u8]); 3] = [
    (&[0x82, 0xdf, 0x13, 0x02], &[0x01, 0x06, 0x0d, 0x0e, 0x0f, 0x12, 0x13, 0x14]),
    (&[0x83, 0x9a, 0x64, 0x8c, 0x9b, 0x2d, 0x01], &[0x07, 0x08, 0x09, 0x0a, 0x0b, 0x0c, 0x0d, 0x12, 0x13]),
    (&[0xd6, 0x79, 0x09], &[0x01, 0x04, 0x05, 0x06, 0x07, 0x08, 0x0a, 0x0b, 0x0c, 0x0d, 0x0f]),
];

impl HelloSpec {
    /// Chromium 156: JA4 `t13d1517h2_8daaf6152771_cb7bf5808d99`, and with [`HelloSpec::resuming`]
    /// `t13d1518h2_8daaf6152771_e2d80978ab2e`.
    pub fn chrome_current() -> Self {
        chrome(&CHROME_ALGORITHMS, true)
    }

    /// Chrome 133 to 149, which many circumvention tools still imitate: JA4 `t13d1516h2_8daaf6152771_d8a2da3f94cd`.
    pub fn chrome_stale() -> Self {
        chrome(&CHROME_ALGORITHMS_STALE, false)
    }

    /// Firefox 153: JA4 `t13d1617h2_86a278354501_3cbfd9057e0d`.
    pub fn firefox() -> Self {
        let algorithms =
            [0x0403, 0x0503, 0x0603, 0x0804, 0x0805, 0x0806, 0x0401, 0x0501, 0x0601, 0x0203, 0x0201];
        Self {
            server_name: None,
            cipher_suites: vec![
                0x1301, 0x1303, 0x1302, 0xc02b, 0xc02f, 0xcca9, 0xcca8, 0xc02c, 0xc030, 0xc00a, 0xc013,
                0xc014, 0x009c, 0x009d, 0x002f, 0x0035,
            ],
            extensions: vec![
                Extension::ServerName,
                Extension::Raw(EXTENDED_MASTER_SECRET, vec![]),
                Extension::Raw(RENEGOTIATION_INFO, vec![0]),
                Extension::Groups(vec![
                    X25519_MLKEM768,
                    X25519,
                    SECP256R1,
                    SECP384R1,
                    0x0019,
                    0x0100,
                    0x0101,
                ]),
                Extension::Raw(EC_POINT_FORMATS, vec![1, 0]),
                Extension::Raw(SESSION_TICKET, vec![]),
                h2_and_http1(),
                Extension::Raw(STATUS_REQUEST, vec![1, 0, 0, 0, 0]),
                Extension::Raw(DELEGATED_CREDENTIAL, vec![0, 8, 4, 3, 5, 3, 6, 3, 2, 3]),
                Extension::Raw(SIGNED_CERTIFICATE_TIMESTAMP, vec![]),
                Extension::KeyShares { groups: vec![X25519_MLKEM768, X25519, SECP256R1], one_x25519: true },
                Extension::Versions(vec![TLS_1_3, TLS_1_2]),
                Extension::SignatureAlgorithms(algorithms.to_vec()),
                Extension::Raw(PSK_KEY_EXCHANGE_MODES, vec![1, 1]),
                Extension::Raw(RECORD_SIZE_LIMIT, vec![0x40, 0x01]),
                Extension::Raw(COMPRESS_CERTIFICATE, vec![6, 0, 1, 0, 2, 0, 3]),
                Extension::EchGrease { aeads: vec![ECH_AES_128_GCM, ECH_CHACHA20], payloads: vec![239] },
            ],
            shuffle: false,
            session_id: true,
        }
    }

    /// curl 7.88 with OpenSSL 3.0: JA4 `t13d3112h2_e8f1e7e78f70_b26ce05bbdd6`.
    pub fn curl_like() -> Self {
        let algorithms = [
            0x0403, 0x0503, 0x0603, 0x0807, 0x0808, 0x0809, 0x080a, 0x080b, 0x0804, 0x0805, 0x0806, 0x0401,
            0x0501, 0x0601, 0x0303, 0x0301, 0x0302, 0x0402, 0x0502, 0x0602,
        ];
        let groups = [0x001d, 0x0017, 0x001e, 0x0019, 0x0018, 0x0100, 0x0101, 0x0102, 0x0103, 0x0104];
        Self {
            server_name: None,
            cipher_suites: vec![
                0x1302, 0x1303, 0x1301, 0xc02c, 0xc030, 0x009f, 0xcca9, 0xcca8, 0xccaa, 0xc02b, 0xc02f,
                0x009e, 0xc024, 0xc028, 0x006b, 0xc023, 0xc027, 0x0067, 0xc00a, 0xc014, 0x0039, 0xc009,
                0xc013, 0x0033, 0x009d, 0x009c, 0x003d, 0x003c, 0x0035, 0x002f, 0x00ff,
            ],
            extensions: vec![
                Extension::ServerName,
                Extension::Raw(EC_POINT_FORMATS, vec![3, 0, 1, 2]),
                Extension::Groups(groups.to_vec()),
                h2_and_http1(),
                Extension::Raw(ENCRYPT_THEN_MAC, vec![]),
                Extension::Raw(EXTENDED_MASTER_SECRET, vec![]),
                Extension::Raw(POST_HANDSHAKE_AUTH, vec![]),
                Extension::SignatureAlgorithms(algorithms.to_vec()),
                Extension::Versions(vec![TLS_1_3, TLS_1_2, 0x0302, 0x0301]),
                Extension::Raw(PSK_KEY_EXCHANGE_MODES, vec![1, 1]),
                Extension::KeyShares { groups: vec![X25519], one_x25519: false },
                Extension::Padding(512),
            ],
            shuffle: false,
            session_id: true,
        }
    }

    /// A small hello for QUIC with ALPN h3; `parameters` are the encoded transport parameters (RFC 9000 §18).
    pub fn quic(parameters: Vec<u8>) -> Self {
        Self {
            server_name: None,
            cipher_suites: vec![0x1301, 0x1302, 0x1303],
            extensions: vec![
                Extension::ServerName,
                Extension::Groups(vec![X25519, SECP256R1, SECP384R1]),
                Extension::Alpn(vec![b"h3".to_vec()]),
                Extension::SignatureAlgorithms(CHROME_ALGORITHMS_STALE.to_vec()),
                Extension::Versions(vec![TLS_1_3]),
                Extension::Raw(PSK_KEY_EXCHANGE_MODES, vec![1, 1]),
                Extension::KeyShares { groups: vec![X25519], one_x25519: false },
                Extension::Raw(QUIC_TRANSPORT_PARAMETERS, parameters),
            ],
            shuffle: false,
            session_id: false,
        }
    }
}

fn chrome(algorithms: &[u16], trust_anchors: bool) -> HelloSpec {
    let mut extensions = vec![
        Extension::Grease(vec![]),
        Extension::ServerName,
        Extension::Raw(STATUS_REQUEST, vec![1, 0, 0, 0, 0]),
        Extension::Groups(CHROME_GROUPS.to_vec()),
        Extension::Raw(EC_POINT_FORMATS, vec![1, 0]),
        Extension::SignatureAlgorithms(algorithms.to_vec()),
        h2_and_http1(),
        Extension::Raw(APPLICATION_SETTINGS, vec![0, 3, 2, b'h', b'2']),
        Extension::Raw(SIGNED_CERTIFICATE_TIMESTAMP, vec![]),
        Extension::Raw(EXTENDED_MASTER_SECRET, vec![]),
        Extension::Raw(COMPRESS_CERTIFICATE, vec![2, 0, 2]),
        Extension::Raw(SESSION_TICKET, vec![]),
        Extension::Versions(vec![GREASE, TLS_1_3, TLS_1_2]),
        Extension::Raw(PSK_KEY_EXCHANGE_MODES, vec![1, 1]),
        Extension::KeyShares { groups: CHROME_SHARES.to_vec(), one_x25519: false },
        Extension::Raw(RENEGOTIATION_INFO, vec![0]),
        Extension::EchGrease { aeads: vec![ECH_AES_128_GCM], payloads: CHROME_ECH_PAYLOADS.to_vec() },
    ];
    if trust_anchors {
        extensions.push(Extension::Raw(TRUST_ANCHORS, trust_anchor_list()));
    }
    extensions.push(Extension::Grease(vec![0]));
    HelloSpec {
        server_name: None,
        cipher_suites: CHROME_CIPHERS.to_vec(),
        extensions,
        shuffle: true,
        session_id: true,
    }
}

fn h2_and_http1() -> Extension {
    Extension::Alpn(vec![b"h2".to_vec(), b"http/1.1".to_vec()])
}

/// A list of ids, each behind its length.
fn trust_anchor_list() -> Vec<u8> {
    let mut list = Vec::new();
    for (beginning, ends) in TRUST_ANCHOR_IDS {
        for end in ends {
            list.push(u8::try_from(beginning.len() + 1).unwrap_or(u8::MAX));
            list.extend(beginning);
            list.push(*end);
        }
    }
    let length = u16::try_from(list.len()).unwrap_or(u16::MAX).to_be_bytes();
    [&length[..], &list].concat()
}
