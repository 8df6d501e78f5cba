//! What speaks against a host, from what was seen of it. Pure.

use commucat_battery::RecordFact;
use commucat_transport_api::{Host, HostPort};

use super::{DestFacts, DestReason, Suitability};

/// TLS 1.3 on the wire.
const TLS_1_3: u16 = 0x0304;
/// X25519MLKEM768 on the wire.
const HYBRID: u16 = 0x11ec;
/// X25519 on the wire.
const X25519: u16 = 0x001d;
const CHANGE_CIPHER_SPEC: u8 = 20;
const APPLICATION_DATA: u8 = 23;
const HEADER_BYTES: u16 = 5;
/// An encrypted record longer than this, header included, is taken for the whole flight in one.
const COALESCED_FROM: u16 = 512;
/// Shortest records, headers included, in which the bridge's own messages fit: EncryptedExtensions, Certificate,
/// CertificateVerify, Finished with SHA-256; and all of them in one.
const MINIMA: [(&str, u16); 4] =
    [("EncryptedExtensions", 28), ("Certificate", 213), ("CertificateVerify", 94), ("Finished", 58)];
const COALESCED_MIN: u16 = 327;
/// What an ML-DSA-65 signature in the bridge's certificate adds, in bytes.
const ML_DSA_BYTES: u16 = 3_331;
/// From here on every stranger's connection takes noticeably longer through a bridge than its distance says.
const FAR_MS: u64 = 150;
/// Names that everybody knows from examples, so that censors and common clients distrust them.
const WORN_OUT: [&str; 3] = ["apple.com", "icloud.com", "microsoft.com"];
/// Top-level domains of countries that censor: who runs the host can see the bridge's strangers.
const WATCHED: [&str; 3] = ["ru", "ir", "cn"];

pub(super) fn reasons(host: &HostPort, facts: &DestFacts, unreachable: Option<&str>) -> Vec<DestReason> {
    let mut out = Reasons(Vec::new());
    if let Some(why) = unreachable {
        out.against(format!("It could not be looked at: {why}."));
    }
    name(host, &mut out);
    if facts.version.is_some() {
        handshake(facts, &mut out);
        flight(facts, &mut out);
        site(facts, &mut out);
    }
    out.0.sort_by_key(|reason| std::cmp::Reverse(reason.weight));
    out.0
}

struct Reasons(Vec<DestReason>);

impl Reasons {
    fn against(&mut self, text: String) {
        self.0.push(DestReason { weight: Suitability::Unsuitable, text });
    }

    fn less_good(&mut self, text: String) {
        self.0.push(DestReason { weight: Suitability::Usable, text });
    }
}

fn name(host: &HostPort, out: &mut Reasons) {
    let Host::Name(name) = &host.host else {
        out.against("It is an address: a hello needs a name that the bridge can live under.".to_owned());
        return;
    };
    let lower = name.to_ascii_lowercase();
    let under = |domain: &&str| lower == **domain || lower.ends_with(&format!(".{domain}"));
    if let Some(domain) = WORN_OUT.iter().find(|domain| under(domain)) {
        out.less_good(format!("{domain} is in everybody's examples; bridges in its name are looked for."));
    }
    if let Some(domain) = WATCHED.iter().find(|domain| under(domain)) {
        out.less_good(format!(
            "Hosts under .{domain} answer to a state that censors, and see the bridge's address."
        ));
    }
    if host.port != 443 {
        out.less_good(format!("Port {} is unusual for a site; 443 is what people expect.", host.port));
    }
}

fn handshake(facts: &DestFacts, out: &mut Reasons) {
    if facts.version != Some(TLS_1_3) {
        out.against("It does not speak TLS 1.3.".to_owned());
        return;
    }
    if facts.retry {
        out.against("It asks for a second hello; a bridge would forward every client to it.".to_owned());
    }
    match facts.group {
        Some(HYBRID) => {}
        Some(X25519) => out.less_good(
            "It chooses X25519 although X25519MLKEM768 was offered: its server hello is a thousand bytes shorter than \
             that of most large sites."
                .to_owned(),
        ),
        Some(other) => out.against(format!("It chooses group {other:04x}; a bridge can take over X25519 and X25519MLKEM768.")),
        None => out.against("Its server hello has no key share.".to_owned()),
    }
    if facts.alpn.as_deref() != Some("h2") {
        out.less_good("It does not speak HTTP/2, which browsers expect of a site of today.".to_owned());
    }
    if let Some(problem) = &facts.certificate_problem {
        out.against(format!("Its certificate does not hold: {problem}."));
    }
}

fn flight(facts: &DestFacts, out: &mut Reasons) {
    if facts.version != Some(TLS_1_3) || facts.retry {
        return;
    }
    if !facts.flight.iter().any(|record| record.kind == CHANGE_CIPHER_SPEC) {
        out.against("It sends no change_cipher_spec record, which bridges of this kind copy.".to_owned());
    }
    let whole = |record: &&RecordFact| record.kind == APPLICATION_DATA;
    let sealed: Vec<u16> =
        facts.flight.iter().filter(whole).map(|record| record.length.saturating_add(HEADER_BYTES)).collect();
    match sealed.as_slice() {
        [] => out.against("No encrypted record came with its server hello.".to_owned()),
        [first, rest @ ..] if *first > COALESCED_FROM => coalesced(*first, rest, out),
        four => {
            for ((message, least), length) in MINIMA.iter().zip(four) {
                if length < least {
                    out.against(format!(
                        "Its record of {length} bytes for {message} is too short: {least} are needed."
                    ));
                }
            }
            if four.len() < MINIMA.len() {
                out.against(format!(
                    "Its flight has {} encrypted records; one or four can be copied.",
                    four.len()
                ));
            } else if four.get(1).is_some_and(|length| *length < 213 + ML_DSA_BYTES) {
                out.less_good(
                    "Its certificate is too short for a post-quantum signature in the bridge's (ML-DSA-65)."
                        .to_owned(),
                );
            }
        }
    }
}

fn coalesced(first: u16, rest: &[u16], out: &mut Reasons) {
    if first < COALESCED_MIN {
        out.against(format!("Its flight of {first} bytes is too short: {COALESCED_MIN} are needed."));
    } else if first < COALESCED_MIN + ML_DSA_BYTES {
        out.less_good(
            "Its flight is too short for a post-quantum signature in the bridge's certificate (ML-DSA-65)."
                .to_owned(),
        );
    }
    if !rest.is_empty() {
        out.less_good(format!(
            "Its flight spans {} large records; Xray's bridges copy only the first of them, ours all.",
            rest.len() + 1
        ));
    }
}

fn site(facts: &DestFacts, out: &mut Reasons) {
    if let Some(to) = &facts.redirect {
        out.less_good(format!("Its front page leads to {to}: take that one, if it does as well."));
    }
    if let Some(status @ 500..) = facts.status {
        out.less_good(format!("Its front page answers with status {status}."));
    }
    if let Some(ms) = facts.connect_ms.filter(|ms| *ms > FAR_MS) {
        out.less_good(format!(
            "It is {ms} ms away: every stranger waits that much longer than the bridge's distance explains."
        ));
    }
}
