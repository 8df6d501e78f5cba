//! All policies by name, each with its parameters, defaults and sources. A chain is made from this table, and
//! `commucat lab list` shows it.

mod active_prober;
mod common;
mod dns_inject;
mod dns_replace_ir;
mod gfw_fet;
mod ir_allow6;
mod ir_blackout_2025;
mod ir_protofilter;
mod ir_wl_2026;
mod p443_rst;
mod quic_len_tspu;
mod quic_sni_gfw;
mod ru_mobile_wl;
mod silence;
mod sni_drop_ir;
mod sni_rst;
mod sni_rst_henan;
mod throttle_sni;
mod throttle_step;
mod tls_in_tls;
mod tspu_conn;
mod tspu_ech;
mod tspu_ja4;
mod tspu_l4_25;
mod udp_off;
mod volume_ban;
mod vpn_sig;

use crate::{
    parameter::{Parameter, Values},
    policy::Policy,
    spec::{PolicySpec, SpecError},
};

/// Every policy there is, in the order of the fact sheet.
pub const POLICIES: &[Entry] = &[
    dns_inject::ENTRY,
    dns_replace_ir::ENTRY,
    sni_rst::ENTRY,
    sni_rst_henan::ENTRY,
    sni_drop_ir::ENTRY,
    quic_sni_gfw::ENTRY,
    quic_len_tspu::ENTRY,
    gfw_fet::ENTRY,
    tspu_l4_25::ENTRY,
    tspu_conn::ENTRY,
    tspu_ja4::ENTRY,
    tspu_ech::ENTRY,
    ru_mobile_wl::ENTRY,
    ir_protofilter::ENTRY,
    ir_blackout_2025::ENTRY,
    ir_wl_2026::ENTRY,
    ir_allow6::ENTRY,
    udp_off::ENTRY,
    vpn_sig::ENTRY,
    throttle_sni::ENTRY,
    tls_in_tls::ENTRY,
    volume_ban::ENTRY,
    p443_rst::ENTRY,
    throttle_step::ENTRY,
    active_prober::ENTRY,
];

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
    let values =
        Values::resolve(entry.name, entry.parameters, &spec.given(entry.parameters, time_scale), time_scale)?;
    Ok((entry.name, (entry.build)(&values)?))
}

/// Says whether a judge could be made of this spec.
///
/// # Errors
/// An unknown policy or parameter, or a value that does not fit.
pub fn check(spec: &PolicySpec) -> Result<(), SpecError> {
    build(spec, 1.0).map(|_made| ())
}
