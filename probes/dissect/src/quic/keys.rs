//! The keys of Initial packets. They follow from the destination connection ID of the client's first packet, so they
//! protect against nobody on the path; that is what QUIC censorship by server name lives on.

use aws_lc_rs::{
    aead::{AES_128_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey, quic::HeaderProtectionKey},
    hkdf::{HKDF_SHA256, KeyType, Prk, Salt},
};

use super::{VERSION_1, VERSION_2};

/// Length of what header protection samples (RFC 9001 §5.4.2).
pub(super) const SAMPLE_BYTES: usize = 16;
/// Length of the tag behind each packet.
pub(super) const TAG_BYTES: usize = 16;

const KEY_BYTES: usize = 16;
const SECRET_BYTES: usize = 32;
/// RFC 9001 §5.2.
const SALT_V1: [u8; 20] = [
    0x38, 0x76, 0x2c, 0xf7, 0xf5, 0x59, 0x34, 0xb3, 0x4d, 0x17, 0x9a, 0xe6, 0xa4, 0xc8, 0x0c, 0xad, 0xcc,
    0xbb, 0x7f, 0x0a,
];
/// RFC 9369 §3.3.1.
const SALT_V2: [u8; 20] = [
    0x0d, 0xed, 0xe3, 0xde, 0xf7, 0x00, 0xa6, 0xdb, 0x81, 0x93, 0x81, 0xbe, 0x6e, 0x26, 0x9d, 0xcb, 0xf9,
    0xbd, 0x2e, 0xd9,
];

/// Who sent an Initial: each side has keys of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sender {
    /// Who opened the connection.
    Client,
    /// Who answers.
    Server,
}

/// The keys of one direction.
pub struct InitialKeys {
    aead: LessSafeKey,
    iv: [u8; NONCE_LEN],
    header: HeaderProtectionKey,
}

impl std::fmt::Debug for InitialKeys {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("InitialKeys").finish_non_exhaustive()
    }
}

impl InitialKeys {
    /// Derives the keys of a direction from the destination connection ID of the client's first Initial. `None` for a
    /// version other than 1 and 2.
    pub fn derive(version: u32, original_destination_id: &[u8], sender: Sender) -> Option<Self> {
        let (salt, key, iv, header) = match version {
            VERSION_1 => (SALT_V1, &b"quic key"[..], &b"quic iv"[..], &b"quic hp"[..]),
            VERSION_2 => (SALT_V2, &b"quicv2 key"[..], &b"quicv2 iv"[..], &b"quicv2 hp"[..]),
            _ => return None,
        };
        let side = match sender {
            Sender::Client => &b"client in"[..],
            Sender::Server => b"server in",
        };
        let initial = Salt::new(HKDF_SHA256, &salt).extract(original_destination_id);
        let secret: [u8; SECRET_BYTES] = expand_label(&initial, side)?;
        let secret = Prk::new_less_safe(HKDF_SHA256, &secret);
        let key: [u8; KEY_BYTES] = expand_label(&secret, key)?;
        let header: [u8; KEY_BYTES] = expand_label(&secret, header)?;
        Some(Self {
            aead: LessSafeKey::new(UnboundKey::new(&AES_128_GCM, &key).ok()?),
            iv: expand_label(&secret, iv)?,
            header: HeaderProtectionKey::new(&aws_lc_rs::aead::quic::AES_128, &header).ok()?,
        })
    }

    /// The five bytes that cover the first byte and the packet number.
    pub(super) fn mask(&self, sample: &[u8]) -> Option<[u8; 5]> {
        self.header.new_mask(sample).ok()
    }

    /// Opens a payload in place; gives it without the tag.
    pub(super) fn open<'a>(&self, number: u64, header: &[u8], payload: &'a mut [u8]) -> Option<&'a [u8]> {
        let opened = self.aead.open_in_place(self.nonce(number), Aad::from(header), payload).ok()?;
        Some(&*opened)
    }

    /// Seals a payload in place; appends the tag.
    pub(super) fn seal(&self, number: u64, header: &[u8], payload: &mut Vec<u8>) -> Option<()> {
        self.aead.seal_in_place_append_tag(self.nonce(number), Aad::from(header), payload).ok()
    }

    fn nonce(&self, number: u64) -> Nonce {
        let mut nonce = self.iv;
        for (byte, part) in nonce.iter_mut().rev().zip(number.to_le_bytes()) {
            *byte ^= part;
        }
        Nonce::assume_unique_for_key(nonce)
    }
}

/// HKDF-Expand-Label of RFC 8446 §7.1 with an empty context.
fn expand_label<const N: usize>(secret: &Prk, label: &[u8]) -> Option<[u8; N]> {
    let length = u16::try_from(N).ok()?.to_be_bytes();
    let label_len = [u8::try_from(label.len() + b"tls13 ".len()).ok()?];
    let info: [&[u8]; 5] = [&length, &label_len, b"tls13 ", label, &[0]];
    let mut out = [0; N];
    secret.expand(&info, Length(N)).ok()?.fill(&mut out).ok()?;
    Some(out)
}

struct Length(usize);

impl KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}
