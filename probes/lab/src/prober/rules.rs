//! From answers to a finding: pure rules, each with the numbers behind it.

use commucat_battery::{Answer, Class, Comparison, Survey, Thresholds};
use serde::Serialize;

/// What the prober found out about a server.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", tag = "finding")]
#[non_exhaustive]
pub enum Finding {
    /// It answered a replayed flight with data, and random bytes not: it knows the secret in the flight, and forgot
    /// that it has seen it.
    AnswersReplay {
        /// The replay, changed or not.
        probe: String,
        /// Bytes of the answer.
        bytes: u64,
    },
    /// It speaks in the name of a site, and differs from it.
    DiffersFromSite {
        /// The site.
        site: String,
        /// Probes that tell them apart.
        probes: usize,
        /// The first difference, in words.
        example: String,
    },
    /// It gives up after the byte counts of a known proxy.
    KnownThresholds {
        /// Which proxy.
        proxy: &'static str,
        /// Fewest bytes after which it closed.
        close: Option<usize>,
        /// Fewest bytes after which it reset.
        reset: Option<usize>,
    },
    /// It answers as the site does in whose name it speaks.
    LikeSite {
        /// The site.
        site: String,
        /// Probes that were compared.
        probes: usize,
    },
    /// It said nothing to anything. That alone condemns nobody.
    Silent,
    /// It answers, and like no proxy that is known.
    Ordinary,
    /// It could not be reached, so nothing can be said.
    NotReached,
    /// The prober sends nothing to servers of this kind.
    NotProbed {
        /// Why.
        why: &'static str,
    },
}

impl Finding {
    /// Whether it makes the server a proxy.
    pub const fn is_suspicious(&self) -> bool {
        matches!(
            self,
            Self::AnswersReplay { .. } | Self::DiffersFromSite { .. } | Self::KnownThresholds { .. }
        )
    }

    /// Its name.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::AnswersReplay { .. } => "answers_replay",
            Self::DiffersFromSite { .. } => "differs_from_site",
            Self::KnownThresholds { .. } => "known_thresholds",
            Self::LikeSite { .. } => "like_site",
            Self::Silent => "silent",
            Self::Ordinary => "ordinary",
            Self::NotReached => "not_reached",
            Self::NotProbed { .. } => "not_probed",
        }
    }
}

/// Proxies whose byte counts are published (Frolov et al., NDSS 2020): least and most bytes at which they close, and
/// whether they reset one byte later.
const KNOWN: [(&str, std::ops::RangeInclusive<usize>, bool); 4] = [
    ("obfs4", 8192..=16_384, false),
    ("shadowsocks-python or outline", 50..=50, true),
    ("obfuscated SSH", 24..=24, true),
    ("OpenVPN", 16..=16, true),
];

/// A site in whose name a server speaks, and how they compare.
pub(super) struct Site<'a> {
    pub(super) name: &'a str,
    pub(super) comparison: &'a Comparison,
}

/// What these answers make of a server. `known_protocol` says that the flight is of a protocol whose servers answer
/// everybody: TLS, HTTP, SSH.
pub(super) fn find(survey: &Survey, site: Option<&Site<'_>>, known_protocol: bool) -> Finding {
    if !known_protocol && let Some(finding) = answers_replay(survey) {
        return finding;
    }
    if let Some(site) = site {
        let telling = site.comparison.telling().len();
        return match site.comparison.differences.first() {
            Some(first) => Finding::DiffersFromSite {
                site: site.name.to_owned(),
                probes: telling,
                example: first.to_string(),
            },
            None => Finding::LikeSite { site: site.name.to_owned(), probes: site.comparison.compared },
        };
    }
    if let Some(finding) = survey.thresholds.first().and_then(known) {
        return finding;
    }
    let mut classes = answers(survey).map(Answer::class);
    if classes.clone().all(|class| class == Class::NoConnection) {
        return Finding::NotReached;
    }
    if classes.all(|class| matches!(class, Class::Silence | Class::NoConnection)) {
        return Finding::Silent;
    }
    Finding::Ordinary
}

fn answers(survey: &Survey) -> impl Iterator<Item = &Answer> + Clone {
    survey.observed.iter().flat_map(|observed| &observed.rounds)
}

/// Data for a replay, and none for any random bytes.
fn answers_replay(survey: &Survey) -> Option<Finding> {
    let of = |prefix: &'static str| survey.observed.iter().filter(move |one| one.probe.starts_with(prefix));
    let mut random = of("random-").flat_map(|one| &one.rounds).peekable();
    random.peek()?;
    if random.any(|answer| answer.class() == Class::Bytes) {
        return None;
    }
    let (probe, bytes) = of("replay").find_map(|one| {
        let answered = one.rounds.iter().find(|answer| answer.holds_data())?;
        Some((one.probe.clone(), answered.reply.as_ref()?.length))
    })?;
    Some(Finding::AnswersReplay { probe, bytes })
}

fn known(found: &Thresholds) -> Option<Finding> {
    let close = found.close?;
    let (proxy, ..) = KNOWN.iter().find(|(_, range, resets)| {
        let reset_follows = found.reset_is_steady && found.reset == Some(close + 1);
        range.contains(&close) && (!resets || reset_follows)
    })?;
    Some(Finding::KnownThresholds { proxy, close: found.close, reset: found.reset })
}
