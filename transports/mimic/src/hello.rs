//! The ClientHello: drawn once from a template, written once or, after a HelloRetryRequest, twice.

use std::time::Duration;

use aws_lc_rs::agreement::{PrivateKey, X25519};
use zeroize::Zeroizing;

use crate::{
    Code, Error, Extension, NoRandomness, Order, Random, Template, Ticket,
    codec::{extension, handshake, vec8, vec16},
    grease::Grease,
    message::CLIENT_HELLO,
    random::{array, below, pick, shuffle},
    shares::{GROUP_X25519, Share, X25519_MLKEM768},
    ticket,
};

/// Bytes of the session id that every browser sends.
pub const SESSION_ID_BYTES: usize = 32;
/// Where the session id stands in the handshake message: after type, length, version, random and its own length.
pub const SESSION_ID_AT: usize = 1 + 3 + 2 + 32 + 1;
/// cookie (RFC 8446 §4.2.2), only in a second hello.
const COOKIE: u16 = 44;
/// psk_key_exchange_modes; browsers with a fixed order send the cookie before it.
const PSK_MODES: u16 = 45;
/// encrypted_client_hello.
const ECH: u16 = 0xfe0d;
/// HPKE KDF HKDF-SHA256, the only one browsers use in GREASE ECH.
const HKDF_SHA256: u16 = 1;

/// Fills the session id of a hello, for protocols that hide something there.
pub trait SessionId {
    /// The 32 bytes, made from the hello with zeros in their place.
    ///
    /// # Errors
    /// None can be made; the connection is not begun.
    fn session_id(&mut self, hello: &Unsealed<'_>) -> Result<[u8; SESSION_ID_BYTES], Error>;
}

/// A hello whose session id is still zeros.
#[derive(Debug)]
pub struct Unsealed<'a> {
    message: &'a [u8],
    random: &'a [u8; 32],
    shares: &'a [Share],
}

impl Unsealed<'_> {
    /// The handshake message, without a record's header.
    pub const fn message(&self) -> &[u8] {
        self.message
    }

    /// The hello's random.
    pub const fn random(&self) -> &[u8; 32] {
        self.random
    }

    /// The secret that the hello's stand-alone X25519 share has with `peer`; of the hybrid share's X25519 part where
    /// there is no stand-alone one.
    ///
    /// # Errors
    /// The hello has no X25519 share, or `peer` is no point.
    pub fn agree_x25519(&self, peer: &[u8; 32]) -> Result<Zeroizing<Vec<u8>>, Error> {
        let of = |group| self.shares.iter().find(|share| share.group() == group);
        of(GROUP_X25519)
            .or_else(|| of(X25519_MLKEM768))
            .and_then(|share| share.agree_x25519(peer))
            .ok_or(Error::Crypto("a hello without an X25519 share"))?
    }
}

/// What a hello offers to resume.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Resume<'a> {
    /// Nothing.
    No,
    /// This ticket, at this time.
    With(&'a Ticket, Duration),
    /// Random bytes of a ticket's shape, which no server takes.
    Fake,
}

/// Everything of a hello that is drawn once: a second hello has it, too.
#[derive(Debug)]
pub(crate) struct Draft {
    template: Template,
    name: Option<String>,
    pub(crate) random: [u8; 32],
    session_id: [u8; SESSION_ID_BYTES],
    grease: Grease,
    order: Vec<Slot>,
    ech: Vec<u8>,
    pub(crate) shares: Vec<Share>,
    fake_ticket: (Vec<u8>, u32, Vec<u8>),
}

/// A place in the order of extensions.
#[derive(Clone, Copy, Debug)]
enum Slot {
    Extension(usize),
    Cookie,
}

/// What a second hello answers (RFC 8446 §4.1.2).
#[derive(Clone, Debug, Default)]
pub(crate) struct Retry {
    /// The one group that gets a share; `None` keeps the shares.
    pub(crate) group: Option<u16>,
    pub(crate) cookie: Option<Vec<u8>>,
}

impl Draft {
    /// Lets go of all that only a handshake needs, its keys first.
    pub(crate) fn forget(&mut self) {
        self.shares = Vec::new();
        (self.template.extensions, self.template.cipher_suites) = (Vec::new(), Vec::new());
        (self.order, self.ech, self.fake_ticket) = (Vec::new(), Vec::new(), (Vec::new(), 0, Vec::new()));
    }

    pub(crate) fn new(
        template: Template,
        name: Option<String>,
        random: &mut dyn Random,
    ) -> Result<Self, Error> {
        let shares = draw_shares(&template, random)?;
        Ok(Self {
            name,
            random: array(random)?,
            session_id: array(random)?,
            grease: Grease::draw(random)?,
            order: draw_order(&template, random)?,
            ech: draw_ech(&template, random)?,
            shares,
            fake_ticket: draw_ticket(random)?,
            template,
        })
    }

    pub(crate) const fn template(&self) -> &Template {
        &self.template
    }

    pub(crate) fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    pub(crate) const fn session_id(&self) -> &[u8; SESSION_ID_BYTES] {
        &self.session_id
    }

    /// Lets `maker` fill the session id.
    pub(crate) fn seal(&mut self, maker: &mut dyn SessionId, resume: Resume<'_>) -> Result<(), Error> {
        self.session_id = [0; SESSION_ID_BYTES];
        let message = self.write(&Retry::default(), resume);
        let unsealed = Unsealed { message: &message, random: &self.random, shares: &self.shares };
        self.session_id = maker.session_id(&unsealed)?;
        Ok(())
    }

    /// Whether `group` is offered without a share, so that a server may ask for one.
    pub(crate) fn may_retry_with(&self, group: u16) -> bool {
        self.offers_group(group) && !self.shares.iter().any(|share| share.group() == group)
    }

    pub(crate) fn offers_group(&self, group: u16) -> bool {
        self.template.extensions.iter().any(|extension| {
            matches!(extension, Extension::SupportedGroups { groups } if groups.contains(&Code::Known(group)))
        })
    }

    pub(crate) fn offers_suite(&self, suite: u16) -> bool {
        self.template.cipher_suites.contains(&Code::Known(suite))
    }

    pub(crate) fn offers_scheme(&self, scheme: u16) -> bool {
        self.template.extensions.iter().any(|extension| {
            matches!(extension, Extension::SignatureAlgorithms { schemes } if schemes.contains(&Code::Known(scheme)))
        })
    }

    pub(crate) fn offers_protocol(&self, wanted: &[u8]) -> bool {
        self.template.extensions.iter().any(|extension| {
            matches!(extension, Extension::Alpn { protocols } if protocols.iter().any(|protocol| protocol.as_bytes() == wanted))
        })
    }

    pub(crate) fn offers_extension(&self, number: u16) -> bool {
        self.template.extensions.iter().any(|extension| extension.number() == Some(number))
    }

    /// The handshake message, binders included.
    pub(crate) fn write(&self, retry: &Retry, resume: Resume<'_>) -> Vec<u8> {
        let mut message = Vec::with_capacity(2600);
        let mut offered = None;
        handshake(&mut message, CLIENT_HELLO, |out| {
            out.extend_from_slice(&[3, 3]);
            out.extend_from_slice(&self.random);
            vec8(out, |out| out.extend_from_slice(&self.session_id));
            vec16(out, |out| {
                for suite in &self.template.cipher_suites {
                    put(out, *suite, self.grease.cipher);
                }
            });
            vec8(out, |out| out.push(0));
            vec16(out, |out| {
                for slot in &self.order {
                    self.write_slot(out, *slot, retry);
                }
                match resume {
                    Resume::No => {}
                    Resume::With(ticket, now) => offered = Some(ticket.offer(out, now)),
                    Resume::Fake => {
                        let (identity, age, binder) = &self.fake_ticket;
                        ticket::write(out, identity, *age, binder);
                    }
                }
            });
        });
        if let (Some(offered), Resume::With(ticket, _)) = (offered, resume) {
            bind(&mut message, offered.binders_from_end, ticket);
        }
        message
    }

    fn write_slot(&self, out: &mut Vec<u8>, slot: Slot, retry: &Retry) {
        match slot {
            Slot::Cookie => {
                if let Some(cookie) = &retry.cookie {
                    extension(out, COOKIE, |out| vec16(out, |out| out.extend_from_slice(cookie)));
                }
            }
            Slot::Extension(index) => {
                if let Some(wanted) = self.template.extensions.get(index) {
                    self.write_extension(out, wanted, retry);
                }
            }
        }
    }

    fn write_extension(&self, out: &mut Vec<u8>, wanted: &Extension, retry: &Retry) {
        let number = wanted.number().unwrap_or_default();
        match wanted {
            Extension::GreaseFirst => extension(out, self.grease.first_extension, |_| {}),
            Extension::GreaseLast => extension(out, self.grease.last_extension, |out| out.push(0)),
            Extension::ServerName => {
                if let Some(name) = &self.name {
                    extension(out, number, |out| write_name(out, name));
                }
            }
            Extension::Raw { body, .. } => extension(out, number, |out| out.extend_from_slice(&body.0)),
            Extension::SupportedGroups { groups } => {
                extension(out, number, |out| vec16(out, |out| put_all(out, groups, self.grease.group)));
            }
            Extension::SignatureAlgorithms { schemes } => {
                extension(out, number, |out| vec16(out, |out| put_all(out, schemes, self.grease.signature)));
            }
            Extension::SupportedVersions { versions } => {
                extension(out, number, |out| vec8(out, |out| put_all(out, versions, self.grease.version)));
            }
            Extension::Alpn { protocols } | Extension::ApplicationSettings { protocols, .. } => {
                extension(out, number, |out| vec16(out, |out| write_protocols(out, protocols)));
            }
            Extension::CompressCertificate { algorithms } => extension(out, number, |out| {
                vec8(out, |out| {
                    algorithms.iter().for_each(|one| out.extend_from_slice(&one.0.to_be_bytes()));
                });
            }),
            Extension::RecordSizeLimit { limit } => {
                extension(out, number, |out| out.extend_from_slice(&limit.0.to_be_bytes()));
            }
            Extension::KeyShare { shares, .. } => {
                extension(out, number, |out| vec16(out, |out| self.write_shares(out, shares, retry)));
            }
            Extension::EchGrease { .. } => extension(out, ECH, |out| out.extend_from_slice(&self.ech)),
        }
    }

    /// A second hello has the share that was asked for, alone and without GREASE.
    fn write_shares(&self, out: &mut Vec<u8>, wanted: &[Code], retry: &Retry) {
        let mut put_share = |group: u16, public: &[u8]| {
            out.extend_from_slice(&group.to_be_bytes());
            vec16(out, |out| out.extend_from_slice(public));
        };
        if retry.group.is_some() {
            self.shares.iter().for_each(|share| put_share(share.group(), share.public()));
            return;
        }
        for code in wanted {
            match code {
                Code::Grease => put_share(self.grease.group, &[0]),
                Code::Known(group) => {
                    if let Some(share) = self.shares.iter().find(|share| share.group() == *group) {
                        put_share(*group, share.public());
                    }
                }
            }
        }
    }
}

fn write_name(out: &mut Vec<u8>, name: &str) {
    vec16(out, |out| {
        out.push(0);
        vec16(out, |out| out.extend_from_slice(name.as_bytes()));
    });
}

fn write_protocols(out: &mut Vec<u8>, protocols: &[String]) {
    for protocol in protocols {
        vec8(out, |out| out.extend_from_slice(protocol.as_bytes()));
    }
}

fn put(out: &mut Vec<u8>, code: Code, grease: u16) {
    let number = match code {
        Code::Grease => grease,
        Code::Known(number) => number,
    };
    out.extend_from_slice(&number.to_be_bytes());
}

fn put_all(out: &mut Vec<u8>, codes: &[Code], grease: u16) {
    codes.iter().for_each(|code| put(out, *code, grease));
}

/// Puts the binder of `ticket` where zeros stand: at the end of the message.
fn bind(message: &mut [u8], binders_from_end: usize, ticket: &Ticket) {
    let suite = ticket.suite();
    let hashed = message.len().saturating_sub(binders_from_end);
    let (head, binders) = message.split_at_mut(hashed);
    let binder = suite.resumption_binder(ticket.psk(), suite.digest(head).as_ref());
    if let Some(slot) = binders.get_mut(3..) {
        slot.copy_from_slice(&binder);
    }
}

fn draw_shares(template: &Template, random: &mut dyn Random) -> Result<Vec<Share>, Error> {
    let Some((wanted, one_x25519)) = template.extensions.iter().find_map(|extension| match extension {
        Extension::KeyShare { shares, one_x25519 } => Some((shares, *one_x25519)),
        _ => None,
    }) else {
        return Ok(Vec::new());
    };
    let common = Zeroizing::new(array::<32>(random)?);
    let common = one_x25519.then_some(&*common);
    wanted
        .iter()
        .filter_map(|code| match code {
            Code::Grease => None,
            Code::Known(group) => Some(*group),
        })
        .map(|group| Share::generate(group, random, common))
        .collect()
}

/// GREASE keeps both ends; everything between is permuted, with the cookie's place, which a first hello leaves empty.
fn draw_order(template: &Template, random: &mut dyn Random) -> Result<Vec<Slot>, NoRandomness> {
    let extensions = &template.extensions;
    if template.order == Order::Fixed {
        let cookie_at = extensions.iter().position(|one| one.number() == Some(PSK_MODES));
        let mut order: Vec<Slot> = (0..extensions.len()).map(Slot::Extension).collect();
        order.insert(cookie_at.unwrap_or(extensions.len()), Slot::Cookie);
        return Ok(order);
    }
    let indices = |wanted: fn(&Extension) -> bool| {
        extensions
            .iter()
            .enumerate()
            .filter(move |(_, one)| wanted(one))
            .map(|(index, _)| Slot::Extension(index))
    };
    let mut middle: Vec<Slot> =
        indices(|one| !matches!(one, Extension::GreaseFirst | Extension::GreaseLast)).collect();
    middle.push(Slot::Cookie);
    shuffle(random, &mut middle)?;
    let mut order: Vec<Slot> = indices(|one| matches!(one, Extension::GreaseFirst)).collect();
    order.append(&mut middle);
    order.extend(indices(|one| matches!(one, Extension::GreaseLast)));
    Ok(order)
}

/// GREASE for Encrypted Client Hello (RFC 9849 §6.2): a valid point and random bytes.
fn draw_ech(template: &Template, random: &mut dyn Random) -> Result<Vec<u8>, Error> {
    let Some((lengths, aeads)) = template.extensions.iter().find_map(|extension| match extension {
        Extension::EchGrease { payload_lengths, aeads } => Some((payload_lengths, aeads)),
        _ => None,
    }) else {
        return Ok(Vec::new());
    };
    let length = pick(random, lengths)?.unwrap_or_default();
    let aead = pick(random, aeads)?.map_or(0, |aead| aead.0);
    let [config_id] = array(random)?;
    let failed = |_unspecified| Error::Crypto("making a point for ECH");
    let point = PrivateKey::from_private_key(&X25519, &array::<32>(random)?)
        .map_err(|_source| Error::Crypto("making a key for ECH"))?
        .compute_public_key()
        .map_err(failed)?;
    let mut payload = vec![0; length.into()];
    random.fill(&mut payload)?;
    let mut body = vec![0];
    body.extend_from_slice(&HKDF_SHA256.to_be_bytes());
    body.extend_from_slice(&aead.to_be_bytes());
    body.push(config_id);
    vec16(&mut body, |out| out.extend_from_slice(point.as_ref()));
    vec16(&mut body, |out| out.extend_from_slice(&payload));
    Ok(body)
}

/// Bytes of the identity of an OpenSSL ticket and of a SHA-384 binder, which most servers' tickets look like.
const FAKE_IDENTITY_BYTES: [usize; 2] = [208, 224];
const FAKE_BINDER_BYTES: usize = 48;

fn draw_ticket(random: &mut dyn Random) -> Result<(Vec<u8>, u32, Vec<u8>), NoRandomness> {
    let which = below(random, FAKE_IDENTITY_BYTES.len())?;
    let mut identity = vec![0; FAKE_IDENTITY_BYTES.get(which).copied().unwrap_or(224)];
    let mut binder = vec![0; FAKE_BINDER_BYTES];
    random.fill(&mut identity)?;
    random.fill(&mut binder)?;
    Ok((identity, u32::from_be_bytes(array(random)?), binder))
}
