//! What can be wrong in a policy's text, said so that the next try is right.

use thiserror::Error;

use crate::parameter::{ParameterError, nearest};

/// A policy, a parameter, a value or a profile that cannot be used.
#[derive(Clone, Debug, PartialEq, Error)]
#[non_exhaustive]
pub enum SpecError {
    /// No policy has this name.
    #[error("there is no policy `{name}`{}; `commucat lab list` shows all", offer(nearest.as_deref()))]
    UnknownPolicy {
        /// The name as written.
        name: String,
        /// The policy that was probably meant.
        nearest: Option<String>,
    },
    /// No profile has this name.
    #[error("there is no profile `{name}`{}; `commucat lab list` shows all", offer(nearest.as_deref()))]
    UnknownProfile {
        /// The name as written.
        name: String,
        /// The profile that was probably meant.
        nearest: Option<String>,
    },
    /// A parameter that does not exist, or a value that it cannot have.
    #[error(transparent)]
    Parameter(#[from] ParameterError),
    /// The same parameter twice.
    #[error("`{policy}` sets `{parameter}` twice; keep one")]
    Twice {
        /// The policy.
        policy: String,
        /// The parameter.
        parameter: String,
    },
    /// Values that are each fine, but not together.
    #[error("`{policy}`: {problem}")]
    Together {
        /// The policy.
        policy: String,
        /// What contradicts what, and what to change.
        problem: String,
    },
    /// A text that has not the form `name?parameter=value&…`.
    #[error("`{text}`: {problem}; the form is name?parameter=value&parameter=value, joined by +")]
    Form {
        /// The part that is wrong.
        text: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// More text than any chain needs.
    #[error("the description is larger than {limit} {unit}; shorten it or split it")]
    TooLarge {
        /// The bound.
        limit: usize,
        /// Of what.
        unit: &'static str,
    },
    /// A profile file that cannot be read.
    #[error("the profile file is not right: {0}")]
    File(String),
    /// A factor of time that is no positive number.
    #[error(
        "the time scale is {0}; use a number above 0 and up to 1000, such as 0.05 for residuals twenty times shorter"
    )]
    TimeScale(f64),
}

impl SpecError {
    /// An unknown policy, with the nearest of `known` offered.
    pub fn unknown_policy<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Self {
        Self::UnknownPolicy { name: name.to_owned(), nearest: nearest(name, known).map(str::to_owned) }
    }

    /// An unknown profile, with the nearest of `known` offered.
    pub fn unknown_profile<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Self {
        Self::UnknownProfile { name: name.to_owned(), nearest: nearest(name, known).map(str::to_owned) }
    }
}

fn offer(nearest: Option<&str>) -> String {
    nearest.map_or_else(String::new, |nearest| format!("; did you mean `{nearest}`?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_offered_and_a_far_one_is_not() {
        let known = ["gfw-fet", "sni-rst", "tspu-l4-25"];
        for (asked, answer) in [
            ("gfw-fit", "gfw-fet"),
            ("tspu-l425", "tspu-l4-25"),
            ("snirst", "sni-rst"),
            ("gfw_fet", "gfw-fet"),
        ] {
            let error = SpecError::unknown_policy(asked, known.into_iter()).to_string();
            assert!(error.contains(&format!("did you mean `{answer}`")), "{error}");
        }
        assert!(!SpecError::unknown_policy("wireguard", known.into_iter()).to_string().contains("mean"));
    }
}
