//! All cases, by what the policy looks at.

mod limits;
mod lists;
mod names;
mod shapes;

use std::sync::LazyLock;

use super::Case;

static CASES: LazyLock<Vec<Case>> = LazyLock::new(|| {
    [names::CASES, shapes::CASES, limits::CASES, lists::CASES].into_iter().flatten().copied().collect()
});

/// Every case there is; each policy has at least one.
pub fn all() -> &'static [Case] {
    &CASES
}

/// The cases of one policy.
pub fn of_policy(policy: &str) -> Vec<Case> {
    all().iter().filter(|case| case.policy == policy).copied().collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use commucat_censor::{POLICIES, Profile};

    use super::*;

    #[test]
    fn every_policy_has_a_case() {
        let tried: BTreeSet<_> = all().iter().map(|case| case.policy).collect();
        let known: BTreeSet<_> = POLICIES.iter().map(|entry| entry.name).collect();
        assert_eq!(known.difference(&tried).collect::<Vec<_>>(), Vec::<&&str>::new(), "without a case");
        assert_eq!(tried.difference(&known).collect::<Vec<_>>(), Vec::<&&str>::new(), "unknown");
    }

    #[test]
    fn every_chain_is_valid_and_holds_its_policy() {
        for case in all() {
            let profile = Profile::parse(case.spec).unwrap_or_else(|error| panic!("{}: {error}", case.spec));
            assert!(profile.policies.iter().any(|policy| policy.name == case.policy), "{}", case.spec);
            assert!(!case.harm.is_empty());
        }
    }

    #[test]
    fn no_two_cases_have_one_name() {
        let names: BTreeSet<_> = all().iter().map(Case::name).collect();
        assert_eq!(names.len(), all().len());
    }
}
