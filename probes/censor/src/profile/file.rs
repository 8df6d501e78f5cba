//! A profile from a TOML file:
//!
//! ```toml
//! name = "office"
//! about = "What the network of our office does."
//! chain = ["ru-2025", "sni-rst?residual=10s", "udp-off"]
//! link = "link?delay=20ms&loss=1%"
//! expected = ["tls.rst_after_ch", "udp.blocked"]   # worked out from the policies when it is missing
//! ```

use serde::Deserialize;

use super::{Mark, Profile, Source, text};
use crate::{
    link::LinkSpec,
    spec::{CHAIN_LENGTH_MAX, PolicySpec, SpecError, TEXT_BYTES_MAX},
};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    name: Option<String>,
    about: Option<String>,
    #[serde(default)]
    sources: Vec<String>,
    #[serde(default)]
    chain: Vec<String>,
    link: Option<String>,
    expected: Option<Vec<String>>,
    also_true: Option<Vec<String>>,
}

pub(super) fn from_toml(text: &str) -> Result<Profile, SpecError> {
    if text.len() > TEXT_BYTES_MAX {
        return Err(SpecError::TooLarge { limit: TEXT_BYTES_MAX, unit: "bytes" });
    }
    let file: File = toml::from_str(text).map_err(|error| SpecError::File(error.to_string()))?;
    if file.chain.len() > CHAIN_LENGTH_MAX {
        return Err(SpecError::TooLarge { limit: CHAIN_LENGTH_MAX, unit: "policies" });
    }
    if let Some(link) = &file.link {
        LinkSpec::parse(link)?;
    }
    let chain = file.chain.iter().chain(&file.link).map(|part| part.parse());
    let (link, policies) = text::assemble(chain.collect::<Result<Vec<PolicySpec>, _>>()?)?;
    let name = file.name.unwrap_or_else(|| "custom".to_owned());
    let about = file.about.unwrap_or_else(|| "A profile from a file.".to_owned());
    let mut profile = Profile::assembled(&name, about, link, policies);
    profile.sources = file.sources.into_iter().map(|text| Source { mark: Mark::Reported, text }).collect();
    if let Some(expected) = file.expected {
        profile.expected = expected;
    }
    if let Some(also_true) = file.also_true {
        profile.also_true = also_true;
    }
    Ok(profile)
}
