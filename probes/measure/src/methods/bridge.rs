//! A bridge as strangers meet it: the battery of active probes against it and against the site it claims to be.
//!
//! Risk class high. It points at its target, so it needs an express agreement, runs only against the one address that
//! is given, and refuses from inside a network that censors, or of which nothing is known, unless the user says that he
//! understands: there it would show the bridge to the censor.

#[cfg(test)]
mod tests;

use std::sync::Arc;

use commucat_battery::{
    BatteryError, Class, Comparison, Limits, Runner, Survey, Thresholds, compare, payloads,
};
use commucat_transport_api::{HostPort, Net};
use serde::Serialize;

use crate::{
    run::Run,
    safety::{Consent, ConsentMissing, Risk},
};

/// What is known of the network that the measurement would be made from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Surroundings {
    /// Nothing: nobody has looked.
    #[default]
    Unknown,
    /// A run found no interference.
    Open,
    /// A run found interference: these verdicts.
    Censored(Vec<String>),
}

impl Surroundings {
    /// What a run says of the network it was made in. One that could not decide says nothing.
    pub fn of(run: &Run) -> Self {
        match run.exit_code() {
            0 => Self::Open,
            1 => Self::Censored(run.findings.iter().map(|finding| finding.verdict_id.to_string()).collect()),
            _ => Self::Unknown,
        }
    }
}

/// What a bridge is measured with.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct BridgeConfig {
    /// The bridge.
    pub bridge: HostPort,
    /// The site it claims to be, as `host:port`. Without it there is nothing to compare with.
    pub dest: Option<HostPort>,
    /// The name for hellos and `Host` fields; else the host of `dest`.
    pub name: Option<String>,
    /// A recorded first flight of a real client, for replays.
    pub flight: Option<Vec<u8>>,
    /// What is known of this network.
    pub surroundings: Surroundings,
    /// The user understands that he may show the bridge to a censor.
    pub understood: bool,
    /// What the user agrees to.
    pub consent: Consent,
    /// How long and how often.
    pub limits: Limits,
    /// What random bytes are drawn from.
    pub seed: u64,
}

impl BridgeConfig {
    /// This bridge, nothing to compare with, nothing agreed to.
    pub fn new(bridge: HostPort) -> Self {
        Self {
            bridge,
            dest: None,
            name: None,
            flight: None,
            surroundings: Surroundings::Unknown,
            understood: false,
            consent: Consent::default(),
            limits: Limits::default(),
            seed: 0,
        }
    }
}

/// Why a bridge was not measured.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BridgeError {
    /// Consent is missing.
    #[error(transparent)]
    Consent(#[from] ConsentMissing),
    /// It would be shown to the censor.
    #[error(
        "this network interferes ({}): active probes from here show the bridge to its censor. Run this from elsewhere, \
         or say --i-understand",
        verdicts.join(", ")
    )]
    Censored {
        /// What a run found here.
        verdicts: Vec<String>,
    },
    /// It might be.
    #[error(
        "nothing is known of this network, and active probes from a censored one show the bridge to its censor. Run \
         `commucat probe quick` first, run this from elsewhere, or say --i-understand"
    )]
    Unknown,
    /// The bridge could not be probed.
    #[error("the bridge: {0}")]
    Bridge(#[source] BatteryError),
    /// The site could not be probed, so there is nothing to compare with.
    #[error("the site that the bridge claims to be: {0}")]
    Dest(#[source] BatteryError),
}

/// What a stranger sees, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Impression {
    /// As the site.
    LikeSite,
    /// Not as the site.
    UnlikeSite,
    /// It says nothing to anybody: no site does.
    Silent,
    /// It answers; there was nothing to compare with.
    NotCompared,
}

/// How often the bridge answered in a way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ClassCount {
    /// The kind of answer.
    pub class: Class,
    /// How many of its answers were so.
    pub answers: usize,
}

/// What strangers see of a bridge.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct BridgeReport {
    /// In one word.
    pub impression: Impression,
    /// In one sentence.
    pub summary: String,
    /// Probes that were sent, each as often as the limits say.
    pub probes: usize,
    /// How the bridge answered.
    pub classes: Vec<ClassCount>,
    /// The byte counts at which it gives up.
    pub thresholds: Vec<Thresholds>,
    /// The comparison with the site.
    pub comparison: Option<Comparison>,
    /// Every answer of the bridge.
    pub bridge: Survey,
    /// Every answer of the site.
    pub dest: Option<Survey>,
    /// What was not measured, and why.
    pub left_out: Vec<String>,
}

/// Measures a bridge.
///
/// # Errors
/// It may not ([`BridgeError::Consent`], [`BridgeError::Censored`], [`BridgeError::Unknown`]), or one of the two could not
/// be reached.
pub async fn bridge(net: &Arc<dyn Net>, config: &BridgeConfig) -> Result<BridgeReport, BridgeError> {
    allowed(config)?;
    let site = config.name.clone().or_else(|| Some(config.dest.as_ref()?.host.to_string()));
    let material = payloads::Material { site, flight: config.flight.clone(), seed: config.seed };
    let probes = payloads::all(&material).map_err(BridgeError::Bridge)?;
    let runner = Runner::new(Arc::clone(net), config.limits);
    let bridge = runner.survey(&config.bridge, &probes, config.seed).await.map_err(BridgeError::Bridge)?;
    let dest = match &config.dest {
        Some(dest) => Some(runner.survey(dest, &probes, config.seed).await.map_err(BridgeError::Dest)?),
        None => None,
    };
    Ok(report(config, probes.len(), bridge, dest))
}

fn allowed(config: &BridgeConfig) -> Result<(), BridgeError> {
    config.consent.check(Risk::High, "a battery of active probes")?;
    match &config.surroundings {
        _ if config.understood => Ok(()),
        Surroundings::Open => Ok(()),
        Surroundings::Censored(verdicts) => Err(BridgeError::Censored { verdicts: verdicts.clone() }),
        Surroundings::Unknown => Err(BridgeError::Unknown),
    }
}

fn report(config: &BridgeConfig, probes: usize, bridge: Survey, dest: Option<Survey>) -> BridgeReport {
    let comparison = dest.as_ref().map(|dest| compare(&bridge, dest));
    let classes = classes(&bridge);
    // A server that is silent may still answer an end of ours with an end.
    let silent = !classes.iter().any(|count| matches!(count.class, Class::Bytes | Class::Rst));
    let impression = match &comparison {
        Some(comparison) if comparison.differences.is_empty() => Impression::LikeSite,
        Some(_differs) => Impression::UnlikeSite,
        None if silent => Impression::Silent,
        None => Impression::NotCompared,
    };
    let mut left_out = Vec::new();
    if config.flight.is_none() {
        left_out.push("replays: no recorded first flight was given".to_owned());
    }
    if dest.is_none() {
        left_out.push("the comparison: name the site that the bridge claims to be (--dest)".to_owned());
    }
    BridgeReport {
        impression,
        summary: summary(impression, comparison.as_ref()),
        probes,
        classes,
        thresholds: bridge.thresholds.clone(),
        comparison,
        bridge,
        dest,
        left_out,
    }
}

fn classes(survey: &Survey) -> Vec<ClassCount> {
    let mut counts: Vec<ClassCount> = Vec::new();
    for answer in survey.observed.iter().flat_map(|observed| &observed.rounds) {
        let class = answer.class();
        match counts.iter_mut().find(|count| count.class == class) {
            Some(count) => count.answers += 1,
            None => counts.push(ClassCount { class, answers: 1 }),
        }
    }
    counts.sort_by_key(|count| count.class);
    counts
}

fn summary(impression: Impression, comparison: Option<&Comparison>) -> String {
    match (impression, comparison) {
        (Impression::LikeSite, Some(comparison)) => {
            format!("{} probes find no difference between the bridge and the site.", comparison.compared)
        }
        (_, Some(comparison)) => {
            let (telling, all) = (comparison.telling().len(), comparison.compared);
            let first = comparison.differences.first().map(ToString::to_string).unwrap_or_default();
            format!("{telling} of {all} probes tell the bridge from the site; the first: {first}.")
        }
        (Impression::Silent, None) => "The bridge is silent to everything, which no web site is.".to_owned(),
        (_, None) => "The bridge answers; without a site there is nothing to compare with.".to_owned(),
    }
}
