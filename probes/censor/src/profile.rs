//! Profiles: a link and a chain of policies with a name, what they stand for, and what a probe inside should find.
//!
//! Three ways to one: by name from the table ([`Profile::named`]), from text (`ru-2026+link?delay=80ms`), from a file.

mod file;
mod observable;
mod table;
mod text;

use std::fmt;

use serde::Serialize;

pub use self::observable::{Observable, observable};
use crate::{
    link::LinkSpec,
    spec::{PolicySpec, SpecError},
};

/// How well something is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Mark {
    /// Read in the primary source: a paper's data or code, a specification.
    Source,
    /// A paper's finding, read in an extract that a machine made.
    Extract,
    /// Reports from the field: many people saw it, nobody published a measurement.
    Reported,
    /// From the memory of the authors; nobody read it again.
    Memory,
    /// No claim about the world: a choice of this lab.
    Choice,
}

/// Where the figures of a profile come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Source {
    /// How well it is known.
    pub mark: Mark,
    /// What it is, and where it can be found.
    pub text: String,
}

/// A policy of the profile that no probe can be expected to name, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Unseen {
    /// The policy.
    pub policy: String,
    /// Why a measurement of a minute, from one client, that harms nobody cannot show it.
    pub why: String,
}

/// A network to be judged in.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Profile {
    /// Its name; `custom` when it has none.
    pub name: String,
    /// One or two sentences: what it stands for, and what it leaves out.
    pub about: String,
    /// Where its figures come from.
    pub sources: Vec<Source>,
    /// The link, before and behind the censor alike.
    pub link: LinkSpec,
    /// The chain, in order.
    pub policies: Vec<PolicySpec>,
    /// The verdict ids that a probe inside should name: all of them, for this profile to count as understood. `ok` alone
    /// when there is nothing to find.
    pub expected: Vec<String>,
    /// Verdict ids that are true as well, as consequences of the same policies. To name them is no false alarm.
    pub also_true: Vec<String>,
    /// Policies that a probe of low cost cannot show.
    pub unseen: Vec<Unseen>,
}

impl Profile {
    /// The profile of that name.
    ///
    /// # Errors
    /// No profile has that name; the nearest is offered.
    pub fn named(name: &str) -> Result<Self, SpecError> {
        table::named(name)
    }

    /// All profiles of the table, in its order.
    pub fn all() -> Vec<Self> {
        table::all()
    }

    /// The names of all profiles of the table.
    pub fn names() -> impl Iterator<Item = &'static str> + Clone {
        table::names()
    }

    /// The profile of a name, or of a text such as `gfw-fet?p=1&residual=10s+link?delay=80ms`.
    ///
    /// A part may be a profile's name: then its policies and its link stand there, and a later part that names one of
    /// these policies sets its parameters instead of adding it again (`ru-2026+tspu-l4-25?packets=40`).
    ///
    /// # Errors
    /// A text that has not this form; a name, a parameter or a value that does not exist.
    pub fn parse(text: &str) -> Result<Self, SpecError> {
        text::parse(text)
    }

    /// The profile of a TOML file: `chain`, and if wanted `name`, `about`, `link`, `expected`, `also_true`.
    ///
    /// # Errors
    /// A file that is no TOML or has other keys, and everything that [`Profile::parse`] refuses.
    pub fn from_toml(text: &str) -> Result<Self, SpecError> {
        file::from_toml(text)
    }

    /// The chain as text, the link at its end.
    pub fn chain(&self) -> String {
        let mut parts: Vec<_> = self.policies.iter().map(ToString::to_string).collect();
        if !self.link.is_clear() {
            parts.push(self.link.to_string());
        }
        parts.join("+")
    }

    /// A profile of these parts, with what can be found in it worked out from its policies.
    fn assembled(name: &str, about: String, link: LinkSpec, policies: Vec<PolicySpec>) -> Self {
        let mut profile = Self {
            name: name.to_owned(),
            about,
            sources: Vec::new(),
            link,
            policies,
            expected: Vec::new(),
            also_true: Vec::new(),
            unseen: Vec::new(),
        };
        profile.find_observable();
        profile
    }

    fn find_observable(&mut self) {
        let add = |ids: &mut Vec<String>, more: &[&str]| {
            for id in more {
                if !ids.iter().any(|known| known == id) {
                    ids.push((*id).to_owned());
                }
            }
        };
        for spec in &self.policies {
            let found = observable(spec);
            add(&mut self.expected, found.expected);
            add(&mut self.also_true, found.also_true);
            if let Some(why) = found.unseen {
                self.unseen.push(Unseen { policy: spec.name.clone(), why: why.to_owned() });
            }
        }
        if self.expected.is_empty() {
            add(&mut self.expected, &["ok"]);
        }
        let expected = &self.expected;
        self.also_true.retain(|id| !expected.contains(id));
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.name, self.chain())
    }
}

#[cfg(test)]
mod tests;
