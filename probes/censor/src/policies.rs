//! All policies by name, each with its parameters, defaults and sources. A chain is made from this table, and
//! `commucat lab list` shows it.

use crate::{
    parameter::{Parameter, Values},
    policy::Policy,
    spec::{PolicySpec, SpecError},
};

/// Every policy there is, in the order of the fact sheet.
pub const POLICIES: &[Entry] = &[];

/// One policy in the table.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Entry {
    /// Its name in a chain.
    pub name: &'static str,
    /// What it does, in one line.
    pub about: &'static str,
    /// Its parameters, and so its documentation.
    pub parameters: &'static [Parameter],
    /// Makes it from checked values.
    pub(crate) build: fn(&Values) -> Result<Box<dyn Policy>, SpecError>,
}

/// The entry with that name.
///
/// # Errors
/// No policy has that name; the nearest is offered.
pub fn find(name: &str) -> Result<&'static Entry, SpecError> {
    POLICIES
        .iter()
        .find(|entry| entry.name == name)
        .ok_or_else(|| SpecError::unknown_policy(name, POLICIES.iter().map(|entry| entry.name)))
}

/// Makes the policy that a spec describes. `time_scale` multiplies the penalties that the spec leaves at their default.
pub(crate) fn build(
    spec: &PolicySpec,
    time_scale: f64,
) -> Result<(&'static str, Box<dyn Policy>), SpecError> {
    let entry = find(&spec.name)?;
    let values = Values::resolve(entry.name, entry.parameters, &spec.params, time_scale)?;
    Ok((entry.name, (entry.build)(&values)?))
}

/// Says whether a judge could be made of this spec.
///
/// # Errors
/// An unknown policy or parameter, or a value that does not fit.
pub fn check(spec: &PolicySpec) -> Result<(), SpecError> {
    build(spec, 1.0).map(|_made| ())
}
