//! Risk classes: what a measurement can cost the person who makes it, and what must be agreed to before.

use commucat_verdict::observations::Subtest;
use serde::{Deserialize, Serialize};

/// What a measurement can cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Risk {
    /// Harmless-looking connections to one's own control servers.
    Low,
    /// Something a censor watches for: names believed blocked, payloads that look encrypted.
    Medium,
    /// Active probes of other people's hosts, or of one's own bridge.
    High,
}

/// What the user agrees to beyond low risk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Consent {
    /// Names believed blocked and payloads that look encrypted may be sent.
    pub medium: bool,
    /// Active probes may be sent to addresses that are given expressly.
    pub high: bool,
}

/// Consent is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{what} is risk class {}: somebody who watches this network may notice it. Allow it with `--risk {}`, or with [consent] {} = true in the targets",
    risk.as_str(), risk.as_str(), risk.as_str()
)]
pub struct ConsentMissing {
    /// What was not done.
    pub what: &'static str,
    /// Its class.
    pub risk: Risk,
}

impl Risk {
    /// The name of the class.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        }
    }
}

impl Consent {
    /// Whether something of this class may be done.
    ///
    /// # Errors
    /// It may not; the error says how to allow it.
    pub const fn check(self, risk: Risk, what: &'static str) -> Result<(), ConsentMissing> {
        let given = match risk {
            Risk::Low => true,
            Risk::Medium => self.medium || self.high,
            Risk::High => self.high,
        };
        if given { Ok(()) } else { Err(ConsentMissing { what, risk }) }
    }

    /// Agreement up to this class.
    pub const fn up_to(risk: Risk) -> Self {
        Self { medium: !matches!(risk, Risk::Low), high: matches!(risk, Risk::High) }
    }

    /// Both together.
    #[must_use]
    pub const fn or(self, other: Self) -> Self {
        Self { medium: self.medium || other.medium, high: self.high || other.high }
    }
}

/// The class of a whole subtest. Parts of a low one may be higher (names believed blocked) and are left out without
/// consent.
pub const fn risk_of(subtest: Subtest) -> Risk {
    match subtest {
        Subtest::Fet | Subtest::Throttle | Subtest::Dest => Risk::Medium,
        Subtest::Bridge => Risk::High,
        _ => Risk::Low,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_low_risk_needs_no_consent() {
        let none = Consent::default();
        assert!(none.check(Risk::Low, "a").is_ok());
        assert!(none.check(Risk::Medium, "a").is_err());
        assert!(Consent::up_to(Risk::Medium).check(Risk::Medium, "a").is_ok());
        assert!(Consent::up_to(Risk::Medium).check(Risk::High, "a").is_err());
        assert!(Consent::up_to(Risk::High).check(Risk::Medium, "a").is_ok());
        assert_eq!(Consent::up_to(Risk::Low), none);
        assert_eq!(none.or(Consent::up_to(Risk::High)), Consent::up_to(Risk::High));
    }

    #[test]
    fn a_refusal_says_how_to_allow_it() {
        let refusal = Consent::default().check(Risk::Medium, "a name believed blocked").unwrap_err();
        let text = refusal.to_string();
        for part in ["a name believed blocked", "--risk medium", "medium = true"] {
            assert!(text.contains(part), "{text}");
        }
    }
}
