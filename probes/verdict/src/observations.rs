//! What a run of measurements showed, as plain data. No conclusions: those are [`crate::conclude`]'s.
//!
//! The unit is a [`Trial`]: one attempt, with what it sent, to whom, and what came of it. Trials under equal
//! conditions form a [`Series`], which says also what it is a control for. Beside the series stand the observations
//! that are no yes or no: answers of resolvers ([`Lookup`]), transfers over time ([`Transfer`]), counted limits
//! ([`Limit`]) and compared rates ([`RateComparison`]).
//!
//! Everything here can be written as JSON and read again: stored observations can be judged by a later version.

mod condition;
mod dns;
mod environment;
mod quantity;
mod trial;

pub use condition::{Condition, Fingerprint, NameClass, Payload, PortClass, Protocol, ServerKind, Subtest};
pub use dns::{Lookup, LookupAnswer, ResolverKind};
pub use environment::Environment;
pub use quantity::{Counting, CurvePoint, Direction, Limit, RateComparison, Spread, Transfer, Unit};
use serde::{Deserialize, Serialize};
pub use trial::{Decision, Operation, Series, Step, TlsSeen, Trial};

/// Everything one run observed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Observations {
    /// The machine and its surroundings; `None` when it was not looked at.
    pub environment: Option<Environment>,
    /// Repeated yes-or-no trials, controls included, in the order in which they were begun.
    pub series: Vec<Series>,
    /// Questions to resolvers and everything that came back.
    pub lookups: Vec<Lookup>,
    /// Transfers of many bytes, with their course over time.
    pub transfers: Vec<Transfer>,
    /// Counted limits.
    pub limits: Vec<Limit>,
    /// Rates of a suspect and of its control, measured in turns.
    pub rates: Vec<RateComparison>,
}

impl Observations {
    /// Takes up what another part of the run observed.
    pub fn absorb(&mut self, other: Self) {
        if other.environment.is_some() {
            self.environment = other.environment;
        }
        self.series.extend(other.series);
        self.lookups.extend(other.lookups);
        self.transfers.extend(other.transfers);
        self.limits.extend(other.limits);
        self.rates.extend(other.rates);
    }

    /// The series of one subtest.
    pub fn series_of(&self, subtest: Subtest) -> impl Iterator<Item = &Series> {
        self.series.iter().filter(move |series| series.condition.subtest == subtest)
    }
}
