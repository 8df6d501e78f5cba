//! Names: forged answers, replaced answers, silence.

use std::{collections::BTreeSet, net::IpAddr};

use super::view::foreign_answers;
use crate::{
    Confidence, Finding, ids,
    observations::{Lookup, LookupAnswer, NameClass, Observations, ResolverKind, Subtest},
};

/// RFC 1035 §4.1.1: the name does not exist.
const NAME_ERROR: u16 = 3;
/// Questions without answer that a resolver needs before its silence counts.
const SILENT_ASKS: usize = 4;

pub(super) fn findings(observations: &Observations) -> Vec<Finding> {
    let lookups = Lookups(&observations.lookups);
    let mut findings: Vec<Finding> = [injected(&lookups), bogon(&lookups)].into_iter().flatten().collect();
    if findings.is_empty() {
        findings.extend(replaced(&lookups));
    }
    if findings.is_empty() {
        findings.extend(silent(&lookups, foreign_answers(observations)));
    }
    findings
}

struct Lookups<'a>(&'a [Lookup]);

impl<'a> Lookups<'a> {
    fn of(&self, resolver: ResolverKind, class: NameClass) -> impl Iterator<Item = &'a Lookup> + Clone {
        self.0.iter().filter(move |lookup| lookup.resolver == resolver && lookup.class == class)
    }

    /// Whether an innocent name is answered truthfully by that kind of resolver.
    fn innocent_is_fine(&self, resolver: ResolverKind) -> bool {
        self.of(resolver, NameClass::Innocent)
            .any(|lookup| lookup.answers.iter().any(|answer| !answer.addresses.is_empty() && !answer.bogon))
    }

    fn addresses(&self, resolver: ResolverKind, class: NameClass) -> BTreeSet<IpAddr> {
        self.of(resolver, class)
            .flat_map(|lookup| &lookup.answers)
            .flat_map(|answer| answer.addresses.clone())
            .collect()
    }
}

fn finding(id: &'static str, confidence: Confidence, line: String) -> Option<Finding> {
    Some(Finding::new(id, Subtest::Dns, confidence, line))
}

/// Somebody on the way answers: an answer from a host that answers none, or two different ones to one question.
fn injected(lookups: &Lookups<'_>) -> Option<Finding> {
    let answered = |class| {
        lookups.of(ResolverKind::NoResolver, class).filter(|lookup| !lookup.answers.is_empty()).count()
    };
    let asked = |class| lookups.of(ResolverKind::NoResolver, class).count();
    let (blocked, innocent) = (answered(NameClass::Blocked), answered(NameClass::Innocent));
    if innocent > 0 && innocent * 2 >= asked(NameClass::Innocent) {
        let line = format!(
            "{innocent} questions for innocent names, sent to hosts that are no resolvers, were answered"
        );
        return finding(ids::DNS_HIJACKED, Confidence::Certain, line);
    }
    let raced = lookups.0.iter().filter(|lookup| is_race(lookup)).collect::<Vec<_>>();
    let race_innocent = raced.iter().filter(|lookup| lookup.class == NameClass::Innocent).count();
    if blocked == 0 && raced.len() == race_innocent {
        return None;
    }
    let first = raced.iter().find(|lookup| lookup.class != NameClass::Innocent).and_then(|lookup| {
        let (first, last) = (lookup.answers.first()?, lookup.answers.last()?);
        let gap = last.after_us.saturating_sub(first.after_us) / 1000;
        Some(format!("two different answers to one question, {gap} ms apart"))
    });
    let nobody = (blocked > 0).then(|| {
        format!(
            "{blocked}/{} questions for a name believed blocked, sent to hosts that are no resolvers, were answered",
            asked(NameClass::Blocked)
        )
    });
    let controls = format!("innocent names there: {innocent}/{} answered", asked(NameClass::Innocent));
    let line = [nobody, first, Some(controls)].into_iter().flatten().collect::<Vec<_>>().join("; ");
    finding(ids::DNS_INJECTED, Confidence::Certain, line).map(|finding| finding.hint("dns-inject"))
}

/// Two answers that contradict each other. A datagram that the network doubled does not.
fn is_race(lookup: &Lookup) -> bool {
    let mut seen = lookup.answers.iter().map(|answer| (answer.rcode, sorted(answer)));
    let first = seen.next();
    !lookup.tcp && seen.any(|other| first.as_ref().is_some_and(|first| *first != other))
}

fn sorted(answer: &LookupAnswer) -> BTreeSet<IpAddr> {
    answer.addresses.iter().copied().collect()
}

fn bogon(lookups: &Lookups<'_>) -> Option<Finding> {
    let lied = |class: NameClass| {
        lookups
            .0
            .iter()
            .filter(move |lookup| lookup.class == class && lookup.answers.iter().any(|answer| answer.bogon))
    };
    let blocked = lied(NameClass::Blocked).count();
    if blocked == 0 {
        return None;
    }
    let fine =
        [ResolverKind::System, ResolverKind::Control].into_iter().any(|one| lookups.innocent_is_fine(one));
    let example = lied(NameClass::Blocked)
        .flat_map(|lookup| &lookup.answers)
        .filter(|answer| answer.bogon)
        .find_map(|answer| answer.addresses.first().copied());
    let example = example.map(|ip| ip.to_string()).unwrap_or_default();
    let innocent = lied(NameClass::Innocent).count();
    let line = format!(
        "{blocked} answers for names believed blocked hold addresses that no public name has ({example}); innocent names: {innocent}"
    );
    let confidence = if fine && innocent == 0 { Confidence::Certain } else { Confidence::Likely };
    finding(ids::DNS_BOGON, confidence, line).map(|finding| finding.hint("dns-replace-ir"))
}

/// The resolver of the network says something else than others do.
fn replaced(lookups: &Lookups<'_>) -> Option<Finding> {
    if !lookups.innocent_is_fine(ResolverKind::System) {
        return None;
    }
    let truth = lookups.addresses(ResolverKind::Control, NameClass::Blocked);
    if truth.is_empty() {
        return None;
    }
    let denied = lookups
        .of(ResolverKind::System, NameClass::Blocked)
        .filter(|lookup| lookup.answers.iter().any(|answer| answer.rcode == NAME_ERROR))
        .count();
    let ours = lookups.addresses(ResolverKind::System, NameClass::Blocked);
    if denied > 0 && ours.is_empty() {
        let line = format!(
            "the resolver of this network denies {denied} times a name that another resolver knows; innocent names are answered"
        );
        return finding(ids::DNS_NXDOMAIN, Confidence::Likely, line);
    }
    let innocent_agree = !lookups
        .addresses(ResolverKind::System, NameClass::Innocent)
        .is_disjoint(&lookups.addresses(ResolverKind::Control, NameClass::Innocent));
    if !ours.is_empty() && ours.is_disjoint(&truth) && innocent_agree {
        let line = "the resolvers give different addresses for a name believed blocked, and equal ones for innocent names";
        return finding(ids::DNS_INCONSISTENT, Confidence::Open, line.to_owned());
    }
    None
}

/// The resolver of the network does not answer, although the network works.
fn silent(lookups: &Lookups<'_>, network_works: bool) -> Option<Finding> {
    let silence = |class| {
        let of = lookups.of(ResolverKind::System, class).filter(|lookup| !lookup.tcp);
        let asked = of.clone().count();
        (asked >= SILENT_ASKS && of.clone().all(|lookup| lookup.answers.is_empty())).then_some(asked)
    };
    if !network_works {
        return None;
    }
    if let Some(asked) = silence(NameClass::Innocent) {
        let line = format!(
            "{asked} questions to the resolver of this network were not answered; other servers answer"
        );
        return finding(ids::DNS_TIMEOUT, Confidence::Likely, line);
    }
    let asked = silence(NameClass::Blocked)?;
    let line = format!(
        "{asked} questions for names believed blocked were not answered by the resolver of this network; innocent names are"
    );
    finding(ids::DNS_TIMEOUT, Confidence::Likely, line)
}
