//! From evidence to a cause, as a pure function.
//!
//! A transport reports what happened to one attempt; a dead bridge and a censor look the same from there. This crate
//! sees more: the attempt, what other hosts answered, what the other endpoints of the same bridge answered, and what
//! a foreign clock said. From that [`diagnose`] names one cause, in one sentence, with what to do next.
//!
//! The probe's measurements are judged here too: [`observations`] is their plain data, and [`conclude()`] names the
//! mechanisms that they show, each with its control, its limits and one line of evidence.
//!
//! # Rules
//!
//! * Only this crate says *blocked*, and only when a control that passed supports it (a control is a measurement that
//!   works wherever nothing but this protocol or this address is blocked). Without one it says that it cannot tell.
//! * What only an authenticated bridge can say (unknown user, clock, version, full) is believed as it stands.
//! * No clock, no socket, no randomness: equal evidence gives an equal diagnosis.
//! * Sentences hold no address, no host name and no user name: they can be shown to somebody who helps.
//!
//! The ids in [`ids`] are stable: programs may compare them.
#![forbid(unsafe_code)]

mod cause;
mod conclude;
mod diagnose;
mod diagnosis;
mod evidence;
mod finding;
pub mod ids;
pub mod observations;
mod overall;
mod wording;

pub use cause::{Cause, CauseKind};
pub use conclude::conclude;
pub use diagnose::{MAX_CLOCK_SKEW_SECONDS, diagnose};
pub use diagnosis::{Confidence, Diagnosis};
pub use evidence::{Control, ControlKind, Controls, Evidence, LocalNetwork};
pub use finding::{Finding, Thresholds};
pub use overall::overall;
