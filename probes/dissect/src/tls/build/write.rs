//! Puts the parts of a hello together.

use super::{
    BuildError, Extension, GREASE, HelloSpec,
    draw::Draw,
    shares::{share, x25519_key},
};
use crate::tls::CLIENT_HELLO;

const HEADER_BYTES: usize = 4;
const EXTENSION_HEADER_BYTES: usize = 4;
const HOST_NAME: u8 = 0;

pub(super) fn message(spec: &HelloSpec, seed: u64) -> Result<Vec<u8>, BuildError> {
    let mut draw = Draw::new(seed);
    let grease = Greases::draw(&mut draw);
    let mut body = vec![3, 3];
    body.extend(draw.array::<32>());
    vector8(&mut body, if spec.session_id { draw.bytes(32) } else { Vec::new() }, "the session id")?;
    vector16(&mut body, u16s(&spec.cipher_suites, grease.cipher), "the cipher suites")?;
    vector8(&mut body, vec![0], "compression")?;

    let mut extensions = Vec::new();
    let before = HEADER_BYTES + body.len() + 2;
    let mut greases = grease.extensions.into_iter().cycle();
    for part in ordered(spec, &mut draw) {
        let length = before + extensions.len();
        let Some(content) = content(part, spec, &grease, length, &mut draw)? else { continue };
        let number = part.number().or_else(|| greases.next()).unwrap_or(GREASE);
        extensions.extend(number.to_be_bytes());
        vector16(&mut extensions, content, "an extension")?;
    }
    vector16(&mut body, extensions, "the extensions")?;

    let mut message = vec![CLIENT_HELLO];
    let length = u32::try_from(body.len()).ok().filter(|length| *length < 1 << 24);
    let [_, length @ ..] = length.ok_or(BuildError::TooLong("the hello"))?.to_be_bytes();
    message.extend(length);
    message.append(&mut body);
    Ok(message)
}

/// The values that stand for GREASE in one hello.
struct Greases {
    cipher: u16,
    group: u16,
    version: u16,
    algorithm: u16,
    /// Two that differ: a hello must not hold an extension twice.
    extensions: [u16; 2],
}

impl Greases {
    fn draw(draw: &mut Draw) -> Self {
        let first = draw.grease();
        let second = draw.grease();
        let second = if first == second { second ^ 0x1010 } else { second };
        Self {
            cipher: draw.grease(),
            group: draw.grease(),
            version: draw.grease(),
            algorithm: draw.grease(),
            extensions: [first, second],
        }
    }
}

/// The extensions in the order they are sent.
fn ordered<'a>(spec: &'a HelloSpec, draw: &mut Draw) -> Vec<&'a Extension> {
    if !spec.shuffle {
        return spec.extensions.iter().collect();
    }
    let mut moving: Vec<_> = spec.extensions.iter().filter(|extension| !extension.stays()).collect();
    draw.shuffle(&mut moving);
    let mut moving = moving.into_iter();
    let next = |extension| if Extension::stays(extension) { Some(extension) } else { moving.next() };
    spec.extensions.iter().filter_map(next).collect()
}

/// The body of an extension; `None` when it is left out. `length` is how long the message is before it.
fn content(
    part: &Extension,
    spec: &HelloSpec,
    grease: &Greases,
    length: usize,
    draw: &mut Draw,
) -> Result<Option<Vec<u8>>, BuildError> {
    let mut out = Vec::new();
    match part {
        Extension::ServerName => {
            let Some(name) = &spec.server_name else { return Ok(None) };
            let mut entry = vec![HOST_NAME];
            vector16(&mut entry, name.as_bytes().to_vec(), "the server name")?;
            vector16(&mut out, entry, "the server name")?;
        }
        Extension::Groups(groups) => vector16(&mut out, u16s(groups, grease.group), "the groups")?,
        Extension::SignatureAlgorithms(algorithms) => {
            vector16(&mut out, u16s(algorithms, grease.algorithm), "the signature algorithms")?;
        }
        Extension::Alpn(protocols) => {
            let mut list = Vec::new();
            for protocol in protocols {
                vector8(&mut list, protocol.clone(), "a protocol name")?;
            }
            vector16(&mut out, list, "the protocol names")?;
        }
        Extension::Versions(versions) => vector8(&mut out, u16s(versions, grease.version), "the versions")?,
        Extension::KeyShares { groups, one_x25519 } => {
            let x25519 = one_x25519.then(|| x25519_key(draw));
            let mut list = Vec::new();
            for group in groups {
                let number = if *group == GREASE { grease.group } else { *group };
                list.extend(number.to_be_bytes());
                vector16(&mut list, share(*group, x25519, draw)?, "a key share")?;
            }
            vector16(&mut out, list, "the key shares")?;
        }
        Extension::EchGrease { aeads, payloads } => out = ech_grease(aeads, payloads, draw)?,
        Extension::Padding(whole) => match whole.checked_sub(length + EXTENSION_HEADER_BYTES) {
            Some(zeros) => out.resize(zeros, 0),
            None => return Ok(None),
        },
        Extension::Grease(body) | Extension::Raw(_, body) => out.clone_from(body),
        Extension::PreSharedKey { identity, binder } => {
            let mut identities = Vec::new();
            vector16(&mut identities, draw.bytes(usize::from(*identity)), "the identity")?;
            identities.extend(draw.array::<4>());
            vector16(&mut out, identities, "the identities")?;
            let mut binders = Vec::new();
            vector8(&mut binders, draw.bytes(usize::from(*binder)), "the binder")?;
            vector16(&mut out, binders, "the binders")?;
        }
    }
    Ok(Some(out))
}

/// An outer hello of RFC 9849 §6.2: HKDF-SHA256, a random configuration, key and payload.
fn ech_grease(aeads: &[u16], payloads: &[u16], draw: &mut Draw) -> Result<Vec<u8>, BuildError> {
    let mut out = vec![0, 0, 1];
    out.extend(draw.one_of(aeads).unwrap_or(1).to_be_bytes());
    out.push(draw.byte());
    vector16(&mut out, x25519_key(draw).to_vec(), "the encapsulated key")?;
    let payload = draw.one_of(payloads).unwrap_or_default();
    vector16(&mut out, draw.bytes(usize::from(payload)), "the payload")?;
    Ok(out)
}

fn u16s(values: &[u16], grease: u16) -> Vec<u8> {
    let drawn = |value: &u16| if *value == GREASE { grease } else { *value };
    values.iter().map(drawn).flat_map(u16::to_be_bytes).collect()
}

fn vector8(out: &mut Vec<u8>, content: Vec<u8>, what: &'static str) -> Result<(), BuildError> {
    out.push(u8::try_from(content.len()).ok().ok_or(BuildError::TooLong(what))?);
    out.extend(content);
    Ok(())
}

fn vector16(out: &mut Vec<u8>, content: Vec<u8>, what: &'static str) -> Result<(), BuildError> {
    let length = u16::try_from(content.len()).ok().ok_or(BuildError::TooLong(what))?;
    out.extend(length.to_be_bytes());
    out.extend(content);
    Ok(())
}
