//! Makes a run fit to be shown to somebody else: addresses and private names become keyed hashes.
//!
//! Equal addresses stay equal within one key, so a helper can still see that two failures hit the same server; without
//! the key nobody can try addresses until one matches. What says nothing about the person stays: names that were
//! listed for measuring (innocent, believed blocked), answers that are known lies, figures and times.

mod key;
mod text;

use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv6Addr, SocketAddr},
};

use commucat_verdict::{
    Finding,
    observations::{Environment, Lookup, NameClass, Observations, Series, Trial},
};
use serde_json::Value;

pub use self::key::{KeyError, RedactionKey};
use crate::{Run, Status, SubtestReport};

/// The first 32 bits of every address that stands for another: the prefix for documentation (RFC 3849), which no host
/// has. The other 96 are the keyed hash.
const STAND_IN_PREFIX: u128 = 0x2001_0db8 << 96;
/// Hex digits of a name's hash.
const NAME_DIGITS: usize = 12;
/// Keys below which a subtest's details may hold credentials; their values are dropped whole.
const SECRET_KEYS: [&str; 10] =
    ["key", "password", "secret", "token", "uuid", "link", "uri", "public_key", "short_id", "user"];

/// Replaces what is private.
#[derive(Clone, Debug)]
pub struct Redactor {
    key: RedactionKey,
    hide: BTreeSet<String>,
}

impl Redactor {
    /// A redactor with this key.
    pub const fn new(key: RedactionKey) -> Self {
        Self { key, hide: BTreeSet::new() }
    }

    /// Replaces this host, name or word wherever it stands, also where a name would be kept.
    #[must_use]
    pub fn hide(mut self, what: &str) -> Self {
        if !what.trim().is_empty() {
            self.hide.insert(what.trim().to_lowercase());
        }
        self
    }

    /// The run without what is private.
    pub fn run(&self, run: &Run) -> Run {
        let words = Words::of(self, run);
        let mut run = run.clone();
        for report in &mut run.subtests {
            words.report(report);
        }
        for finding in &mut run.findings {
            words.finding(finding);
        }
        words.observations(&mut run.observations);
        run.command = words.text(&run.command);
        for field in [&mut run.vantage.asn, &mut run.vantage.country, &mut run.vantage.network_type] {
            *field = words.text(field);
        }
        run
    }

    /// The address that stands for this one.
    fn address(&self, address: IpAddr) -> IpAddr {
        let address = address.to_canonical();
        if address.is_loopback() || address.is_unspecified() {
            return address;
        }
        let hash = self.key.hash(b"address", address.to_string().as_bytes());
        let (bits, _) = hash.split_first_chunk().unwrap_or((&[0; 16], &[]));
        Ipv6Addr::from(STAND_IN_PREFIX | u128::from_be_bytes(*bits) >> 32).into()
    }

    fn socket(&self, socket: SocketAddr) -> SocketAddr {
        SocketAddr::new(self.address(socket.ip()), socket.port())
    }

    /// The name that stands for this one.
    fn name(&self, name: &str) -> String {
        let hash = self.key.hash(b"name", name.to_lowercase().as_bytes());
        format!("host-{}", hex(&hash, NAME_DIGITS))
    }

    fn pin(&self, pin: &str) -> String {
        hex(&self.key.hash(b"pin", pin.as_bytes()), pin.len().min(64))
    }
}

/// What a run's texts are searched for.
struct Words<'a> {
    redactor: &'a Redactor,
    /// Names that stay.
    keep: BTreeSet<String>,
    /// Names that go wherever they stand, the longest first.
    gone: Vec<String>,
}

impl<'a> Words<'a> {
    fn of(redactor: &'a Redactor, run: &Run) -> Self {
        let (mut keep, mut gone) = (BTreeSet::new(), redactor.hide.clone());
        for (name, class) in names(&run.observations) {
            let name = name.to_lowercase();
            if is_public(class) {
                keep.insert(name)
            } else {
                gone.insert(name)
            };
        }
        keep.retain(|name| !redactor.hide.contains(name));
        gone.retain(|name| !name.is_empty() && !keep.contains(name) && name.parse::<IpAddr>().is_err());
        let mut gone: Vec<_> = gone.into_iter().collect();
        gone.sort_by_key(|name| std::cmp::Reverse(name.len()));
        Self { redactor, keep, gone }
    }

    fn text(&self, text: &str) -> String {
        text::redact(text, self)
    }

    fn name(&self, name: &str) -> String {
        if name.is_empty() || self.keep.contains(&name.to_lowercase()) {
            return name.to_owned();
        }
        name.parse().map_or_else(|_| self.redactor.name(name), |ip| self.redactor.address(ip).to_string())
    }

    fn report(&self, report: &mut SubtestReport) {
        match &mut report.status {
            Status::Skipped { reason } | Status::Refused { reason } | Status::Failed { reason } => {
                *reason = self.text(reason);
            }
            Status::Done | Status::Cut => {}
        }
        if let Some(details) = &mut report.details {
            *details = self.value(details);
        }
    }

    fn finding(&self, finding: &mut Finding) {
        finding.evidence_line = self.text(&finding.evidence_line);
        for hint in &mut finding.policy_hint {
            *hint = self.text(hint);
        }
    }

    fn observations(&self, observations: &mut Observations) {
        if let Some(environment) = &mut observations.environment {
            self.environment(environment);
        }
        for Series { trials, .. } in &mut observations.series {
            trials.iter_mut().for_each(|trial| self.trial(trial));
        }
        observations.lookups.iter_mut().for_each(|lookup| self.lookup(lookup));
    }

    /// Names of interfaces are the owner's: `wg-office` says where somebody works.
    fn environment(&self, environment: &mut Environment) {
        environment.interface = None;
        environment.network_type = self.text(&environment.network_type);
        environment.tunnels.iter_mut().for_each(|tunnel| "tunnel".clone_into(tunnel));
        environment.rewriters.iter_mut().for_each(|rewriter| *rewriter = self.text(rewriter));
    }

    fn trial(&self, trial: &mut Trial) {
        trial.address = trial.address.map(|address| self.redactor.socket(address));
        // With a time beside it, a port can be found in a provider's translation log.
        trial.source_port = 0;
        trial.server_name = trial.server_name.as_deref().map(|name| self.name(name));
        if let Some(tls) = &mut trial.tls {
            tls.pin = tls.pin.as_deref().map(|pin| self.redactor.pin(pin));
            tls.name_seen = tls.name_seen.as_deref().map(|name| self.name(name));
        }
    }

    fn lookup(&self, lookup: &mut Lookup) {
        lookup.address = self.redactor.socket(lookup.address);
        lookup.name = self.name(&lookup.name);
        for answer in &mut lookup.answers {
            // A known lie says who lied, and nothing of the person.
            if !answer.bogon {
                answer.addresses.iter_mut().for_each(|address| *address = self.redactor.address(*address));
            }
        }
    }

    fn value(&self, value: &Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.text(text)),
            Value::Array(values) => Value::Array(values.iter().map(|value| self.value(value)).collect()),
            Value::Object(entries) => {
                let entry = |(key, value): (&String, &Value)| {
                    let secret = SECRET_KEYS.contains(&key.to_lowercase().as_str());
                    let value = if secret { Value::String("[hidden]".to_owned()) } else { self.value(value) };
                    (self.text(key), value)
                };
                Value::Object(entries.iter().map(entry).collect())
            }
            plain @ (Value::Null | Value::Bool(_) | Value::Number(_)) => plain.clone(),
        }
    }
}

/// Every name in the observations, with what kind of name it is there.
fn names(observations: &Observations) -> impl Iterator<Item = (&str, Option<NameClass>)> {
    let trials = observations.series.iter().flat_map(|series| {
        let class = series.condition.name;
        series.trials.iter().flat_map(move |trial| {
            let seen = trial.tls.as_ref().and_then(|tls| tls.name_seen.as_deref());
            trial.server_name.as_deref().into_iter().chain(seen).map(move |name| (name, class))
        })
    });
    let lookups = observations.lookups.iter().map(|lookup| (lookup.name.as_str(), Some(lookup.class)));
    trials.chain(lookups)
}

/// Whether names of this kind were listed for measuring, and so are nobody's secret.
const fn is_public(class: Option<NameClass>) -> bool {
    matches!(class, Some(NameClass::Innocent | NameClass::Blocked | NameClass::EchOuter))
}

fn hex(bytes: &[u8], digits: usize) -> String {
    let mut text: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    text.truncate(digits);
    text
}
