//! Statistics of the probe: when to stop repeating, where a limit lies, how sure a ratio is. Pure.

mod bisection;
mod bootstrap;
mod sprt;

pub use bisection::Bisection;
pub use bootstrap::{median, ratio_of_medians, spread};
pub use sprt::{ALPHA, BASELINE_MIN, BETA, Hypothesis, Sprt, baseline};
