//! A profile from text: names of profiles and policies joined by `+`, and at most one link.

use super::{Profile, table};
use crate::{
    link::{LINK, LinkSpec},
    policies,
    spec::{PolicySpec, SpecError, parse_chain},
};

/// The name of a profile that nobody named.
const CUSTOM: &str = "custom";

/// Parts put together, before they are checked.
#[derive(Debug, Default)]
struct Parts {
    policies: Vec<Part>,
    link: Option<PolicySpec>,
}

#[derive(Debug)]
struct Part {
    spec: PolicySpec,
    /// Policies of profiles can be set anew by a later part.
    is_of_profile: bool,
}

pub(super) fn parse(text: &str) -> Result<Profile, SpecError> {
    if let Ok(profile) = table::named(text.trim()) {
        return Ok(profile);
    }
    let (link, policies) = assemble(parse_chain(text)?)?;
    let about =
        format!("A chain written by hand: {}.", if text.trim().is_empty() { "nothing" } else { text.trim() });
    Ok(Profile::assembled(CUSTOM, about, link, policies))
}

/// The link and the policies of a chain, each checked.
pub(super) fn assemble(chain: Vec<PolicySpec>) -> Result<(LinkSpec, Vec<PolicySpec>), SpecError> {
    let mut parts = Parts::default();
    for part in chain {
        parts.add(part)?;
    }
    let policies: Vec<_> = parts.policies.into_iter().map(|part| part.spec).collect();
    policies.iter().try_for_each(policies::check)?;
    let link = parts.link.as_ref().map(LinkSpec::from_spec).transpose()?.unwrap_or_default();
    Ok((link, policies))
}

impl Parts {
    fn add(&mut self, part: PolicySpec) -> Result<(), SpecError> {
        if part.name == LINK {
            let link = self.link.get_or_insert_with(|| PolicySpec::new(LINK));
            for (name, value) in part.params {
                set_link(link, name, value);
            }
            return Ok(());
        }
        if part.params.is_empty()
            && let Ok(profile) = table::named(&part.name)
        {
            self.add_profile(profile);
            return Ok(());
        }
        let mut of_profiles = self.policies.iter_mut().filter(|known| known.is_of_profile);
        if let Some(known) = of_profiles.find(|known| known.spec.name == part.name) {
            known.spec.params.extend(part.params);
        } else {
            check_name(&part)?;
            self.policies.push(Part { spec: part, is_of_profile: false });
        }
        Ok(())
    }

    fn add_profile(&mut self, profile: Profile) {
        self.policies.extend(profile.policies.into_iter().map(|spec| Part { spec, is_of_profile: true }));
        if !profile.link.is_clear() {
            let link = self.link.get_or_insert_with(|| PolicySpec::new(LINK));
            for (name, value) in profile.link.to_spec().params {
                set_link(link, name, value);
            }
        }
    }
}

/// `rate` says both directions, so it takes back what was said of one.
fn set_link(link: &mut PolicySpec, name: String, value: String) {
    if name == "rate" {
        link.params.remove("up");
        link.params.remove("down");
    }
    link.params.insert(name, value);
}

/// An unknown name may be a misspelt policy, profile or link: all are offered.
fn check_name(part: &PolicySpec) -> Result<(), SpecError> {
    if policies::find(&part.name).is_ok() {
        return Ok(());
    }
    let policies = policies::POLICIES.iter().map(|entry| entry.name);
    let known = policies.chain([LINK]).chain(table::names());
    if table::named(&part.name).is_ok() {
        let problem = "a profile takes no parameters; add the policy to be changed behind it, as in ru-2026+tspu-l4-25?packets=40";
        return Err(SpecError::Together { policy: part.name.clone(), problem: problem.to_owned() });
    }
    Err(SpecError::unknown_policy(&part.name, known))
}
