//! Everything that can be asked of a judge, as data: what `commucat lab list` shows and prints as JSON.

use serde::Serialize;

use crate::{
    link::LINK_PARAMETERS,
    parameter::{Kind, Parameter, Values},
    policies::POLICIES,
    policy::Position,
    profile::{Observable, Profile, observable},
    spec::PolicySpec,
};

/// Policies, link and profiles.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Catalogue {
    /// Every policy.
    pub policies: Vec<PolicyRow>,
    /// What a link takes.
    pub link: Vec<ParameterRow>,
    /// Every profile.
    pub profiles: Vec<Profile>,
}

/// One policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct PolicyRow {
    /// Its name in a chain.
    pub name: &'static str,
    /// What it does, in one line.
    pub about: &'static str,
    /// `on-path`: it can only add packets. `in-path`: it can also drop them.
    pub position: &'static str,
    /// Its parameters.
    pub parameters: Vec<ParameterRow>,
    /// The verdict ids by which a probe inside names it; none when none can.
    pub shows: &'static [&'static str],
    /// Why none names it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unseen: Option<&'static str>,
}

/// One parameter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ParameterRow {
    /// Its name in a chain.
    pub name: &'static str,
    /// The unit of its values.
    pub unit: &'static str,
    /// The words it can have, when it is a choice.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub choices: &'static [&'static str],
    /// Its value when it is not set.
    pub default: &'static str,
    /// Whether the time scale changes the default.
    pub scaled: bool,
    /// What it changes.
    pub about: &'static str,
    /// Where the default comes from, and how well it is known.
    pub source: &'static str,
}

impl Catalogue {
    /// All there is.
    pub fn new() -> Self {
        Self {
            policies: POLICIES.iter().map(PolicyRow::new).collect(),
            link: LINK_PARAMETERS.iter().map(ParameterRow::new).collect(),
            profiles: Profile::all(),
        }
    }
}

impl Default for Catalogue {
    fn default() -> Self {
        Self::new()
    }
}

impl PolicyRow {
    fn new(entry: &crate::policies::Entry) -> Self {
        let Observable { expected, unseen, .. } = observable(&PolicySpec::new(entry.name));
        // Defaults always build; a test holds them to it.
        let values = Values::resolve(entry.name, entry.parameters, &std::collections::BTreeMap::new(), 1.0);
        let made = values.ok().and_then(|values| (entry.build)(&values).ok());
        let position = match made.map(|policy| policy.position()) {
            Some(Position::OnPath) => "on-path",
            Some(Position::InPath) | None => "in-path",
        };
        Self {
            name: entry.name,
            about: entry.about,
            position,
            parameters: entry.parameters.iter().map(ParameterRow::new).collect(),
            shows: expected,
            unseen,
        }
    }
}

impl ParameterRow {
    fn new(parameter: &Parameter) -> Self {
        let (unit, choices): (_, &'static [&'static str]) = match parameter.kind {
            Kind::Penalty | Kind::Time => ("time", &[]),
            Kind::Chance => ("part of 1", &[]),
            Kind::Count => ("count", &[]),
            Kind::Bytes => ("bytes", &[]),
            Kind::Rate => ("bit/s", &[]),
            Kind::Flag => ("yes/no", &[]),
            Kind::Choice(words) => ("choice", words),
            Kind::Words => ("list", &[]),
        };
        Self {
            name: parameter.name,
            unit,
            choices,
            default: parameter.default,
            scaled: parameter.kind == Kind::Penalty,
            about: parameter.about,
            source: parameter.source,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::policies::check;

    /// The policies of the fact sheet's table.
    const POLICY_NAMES: [&str; 25] = [
        "active-prober",
        "dns-inject",
        "dns-replace-ir",
        "gfw-fet",
        "ir-allow6",
        "ir-blackout-2025",
        "ir-protofilter",
        "ir-wl-2026",
        "p443-rst",
        "quic-len-tspu",
        "quic-sni-gfw",
        "ru-mobile-wl",
        "sni-drop-ir",
        "sni-rst",
        "sni-rst-henan",
        "throttle-sni",
        "throttle-step",
        "tls-in-tls",
        "tspu-conn",
        "tspu-ech",
        "tspu-ja4",
        "tspu-l4-25",
        "udp-off",
        "volume-ban",
        "vpn-sig",
    ];

    #[test]
    fn every_policy_is_there_once_and_builds_from_its_defaults() {
        let catalogue = Catalogue::new();
        let mut names: Vec<_> = catalogue.policies.iter().map(|policy| policy.name).collect();
        names.sort_unstable();
        assert_eq!(names, POLICY_NAMES);
        for policy in &catalogue.policies {
            check(&PolicySpec::new(policy.name)).unwrap();
            assert!(!policy.about.is_empty() && !policy.about.ends_with('.'), "{}", policy.name);
        }
    }

    #[test]
    fn every_parameter_says_what_it_is_and_takes_its_own_default() {
        let catalogue = Catalogue::new();
        for policy in &catalogue.policies {
            let names: BTreeSet<_> = policy.parameters.iter().map(|parameter| parameter.name).collect();
            assert_eq!(names.len(), policy.parameters.len(), "{}", policy.name);
            for parameter in &policy.parameters {
                assert!(!parameter.about.is_empty() && !parameter.source.is_empty(), "{}", parameter.name);
                let spec = PolicySpec::new(policy.name).with(parameter.name, parameter.default);
                check(&spec).unwrap_or_else(|error| panic!("{spec}: {error}"));
                let again: PolicySpec = spec.to_string().parse().unwrap();
                assert_eq!(again, spec);
            }
        }
    }

    #[test]
    fn it_is_plain_json() {
        let json = serde_json::to_value(Catalogue::new()).unwrap();
        let fet = json["policies"].as_array().unwrap().iter().find(|one| one["name"] == "gfw-fet").unwrap();
        assert_eq!((&fet["position"], &fet["shows"][0]), (&"in-path".into(), &"proto.fet".into()));
        assert_eq!(json["profiles"][0]["name"], "clean");
        assert!(json["link"].as_array().unwrap().iter().any(|one| one["name"] == "burst"));
    }
}
