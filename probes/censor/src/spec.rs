//! Policies as text: `gfw-fet?p=1&residual=10s`, joined by `+` to a chain.
//!
//! Here is only the form. What a policy is called and which parameters it takes it declares itself; the values are
//! checked against that declaration when a profile or a judge is made. Characters that have a meaning in the text (`+ & = ? , %` and
//! space) can be written as `%` and two hexadecimal digits; a `%` at the end of a value stands for itself, as in `5%`.

mod error;
mod places;

use std::{borrow::Cow, collections::BTreeMap, fmt, str::FromStr};

use serde::{Deserialize, Serialize};

pub(crate) use self::places::{Names, Places, byte_range, ports, queue};
pub use self::{error::SpecError, places::Queue};
use crate::parameter::{Kind, Parameter, parse_duration};

/// The longest text of a chain, in bytes: room for thousands of names.
pub(crate) const TEXT_BYTES_MAX: usize = 256 * 1024;
/// The most policies in a chain.
pub(crate) const CHAIN_LENGTH_MAX: usize = 64;

/// One policy with the parameters that are set, as text. Whether they exist is for the judge to say.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct PolicySpec {
    /// The policy's name.
    pub name: String,
    /// Parameters and their values.
    pub params: BTreeMap<String, String>,
    /// Values that a profile of the table has for the defaults of the policy. Like those, and unlike `params`, they
    /// follow the time scale. They are no part of the text.
    pub presets: BTreeMap<String, String>,
}

impl PolicySpec {
    /// A policy with no parameter set.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), params: BTreeMap::new(), presets: BTreeMap::new() }
    }

    /// The same with one more parameter; one that is set already is replaced.
    #[must_use]
    pub fn with(mut self, parameter: impl Into<String>, value: impl Into<String>) -> Self {
        self.params.insert(parameter.into(), value.into());
        self
    }

    /// The same with one more value in place of a default.
    #[must_use]
    pub fn preset(mut self, parameter: impl Into<String>, value: impl Into<String>) -> Self {
        self.presets.insert(parameter.into(), value.into());
        self
    }

    /// The value that is set for the parameter.
    pub fn get(&self, parameter: &str) -> Option<&str> {
        self.params.get(parameter).or_else(|| self.presets.get(parameter)).map(String::as_str)
    }

    /// What a judge with this time scale is given: what is set as it is, presets that are penalties scaled.
    pub fn given(&self, declared: &[Parameter], time_scale: f64) -> Cow<'_, BTreeMap<String, String>> {
        if self.presets.is_empty() {
            return Cow::Borrowed(&self.params);
        }
        let is_penalty =
            |name: &str| declared.iter().any(|one| one.name == name && one.kind == Kind::Penalty);
        let scaled = |name: &str, value: &str| {
            let penalty = parse_duration(value).filter(|_| is_penalty(name))?;
            Some(format!("{}s", penalty.as_secs_f64() * time_scale))
        };
        let presets = self.presets.iter().map(|(name, value)| {
            let value = scaled(name, value).unwrap_or_else(|| value.clone());
            (name.clone(), value)
        });
        let mut given: BTreeMap<_, _> = presets.collect();
        given.extend(self.params.iter().map(|(name, value)| (name.clone(), value.clone())));
        Cow::Owned(given)
    }
}

/// The policies of a chain, in order. An empty text is an empty chain.
///
/// # Errors
/// The first part that has not the form `name?parameter=value&…`, or a text above the bounds.
pub fn parse_chain(text: &str) -> Result<Vec<PolicySpec>, SpecError> {
    if text.len() > TEXT_BYTES_MAX {
        return Err(SpecError::TooLarge { limit: TEXT_BYTES_MAX, unit: "bytes" });
    }
    if text.trim().is_empty() {
        return Ok(Vec::new());
    }
    let chain = text.split('+').map(str::parse).collect::<Result<Vec<PolicySpec>, _>>()?;
    if chain.len() > CHAIN_LENGTH_MAX {
        return Err(SpecError::TooLarge { limit: CHAIN_LENGTH_MAX, unit: "policies" });
    }
    Ok(chain)
}

impl FromStr for PolicySpec {
    type Err = SpecError;

    fn from_str(text: &str) -> Result<Self, SpecError> {
        let wrong = |problem| SpecError::Form { text: excerpt(text), problem };
        if text.len() > TEXT_BYTES_MAX {
            return Err(SpecError::TooLarge { limit: TEXT_BYTES_MAX, unit: "bytes" });
        }
        let text = text.trim();
        let (name, rest) = text.split_once('?').map_or((text, None), |(name, rest)| (name, Some(rest)));
        if name.is_empty() {
            return Err(wrong("a policy has no name"));
        }
        let well_formed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        if !name.bytes().all(well_formed) {
            return Err(wrong("a name has letters, digits and - only"));
        }
        let mut spec = Self::new(name);
        for pair in rest.into_iter().flat_map(|rest| rest.split('&')).filter(|pair| !pair.is_empty()) {
            let (parameter, value) = pair.split_once('=').ok_or_else(|| wrong("a parameter has no value"))?;
            let decode =
                |part| decoded(part).ok_or_else(|| wrong("% must be followed by two hexadecimal digits"));
            let (parameter, value) = (decode(parameter)?, decode(value)?);
            if spec.params.contains_key(&parameter) {
                return Err(SpecError::Twice { policy: spec.name, parameter });
            }
            spec.params.insert(parameter, value);
        }
        Ok(spec)
    }
}

impl fmt::Display for PolicySpec {
    /// With the presets, as if they were set.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.name)?;
        let presets = self.presets.iter().filter(|(parameter, _value)| !self.params.contains_key(*parameter));
        for (index, (parameter, value)) in self.params.iter().chain(presets).enumerate() {
            let join = if index == 0 { '?' } else { '&' };
            write!(formatter, "{join}{}={}", encoded(parameter), encoded(value))?;
        }
        Ok(())
    }
}

impl From<PolicySpec> for String {
    fn from(spec: PolicySpec) -> Self {
        spec.to_string()
    }
}

impl TryFrom<String> for PolicySpec {
    type Error = SpecError;

    fn try_from(text: String) -> Result<Self, SpecError> {
        text.parse()
    }
}

/// The beginning of a text that is shown in an error.
fn excerpt(text: &str) -> String {
    const CHARS: usize = 80;
    text.chars().take(CHARS).collect()
}

fn encoded(text: &str) -> String {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let hex = |nibble: u8| HEX.get(usize::from(nibble)).copied().map_or('0', char::from);
    let mut out = String::with_capacity(text.len());
    for (index, byte) in text.bytes().enumerate() {
        let last_percent = byte == b'%' && index + 1 == text.len();
        if last_percent || byte.is_ascii_graphic() && !b"%+&=?".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.extend(['%', hex(byte >> 4), hex(byte & 0xf)]);
        }
    }
    out
}

fn decoded(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' || bytes.len() == 0 {
            out.push(byte);
            continue;
        }
        let digit = |byte: u8| char::from(byte).to_digit(16);
        let value = digit(bytes.next()?)? * 16 + digit(bytes.next()?)?;
        out.push(u8::try_from(value).ok()?);
    }
    String::from_utf8(out).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_chain_as_people_write_it() {
        let chain = parse_chain("gfw-fet?p=1&residual=10s + link?delay=80ms&loss=5%25").unwrap();
        assert_eq!(chain[0], PolicySpec::new("gfw-fet").with("p", "1").with("residual", "10s"));
        assert_eq!(chain[1].get("loss"), Some("5%"));
        assert_eq!(parse_chain("  ").unwrap(), []);
        assert_eq!(parse_chain("udp-off?").unwrap(), [PolicySpec::new("udp-off")]);
    }

    #[test]
    fn a_percent_sign_may_stand_for_itself_at_the_end() {
        assert_eq!(parse_chain("link?loss=5%&rate=10mbit").unwrap()[0].get("loss"), Some("5%"));
    }

    #[test]
    fn what_is_not_the_form() {
        for (text, says) in [
            ("+", "no name"),
            ("a++b", "no name"),
            ("?p=1", "no name"),
            ("a b", "letters"),
            ("a?p", "no value"),
            ("a?p=%zz", "hexadecimal"),
            ("a?p=1&p=2", "twice"),
            ("a?p=%ff", "hexadecimal"),
        ] {
            let error = parse_chain(text).unwrap_err().to_string();
            assert!(error.contains(says), "{text}: {error}");
        }
        assert!(matches!(parse_chain(&["a"; 65].join("+")), Err(SpecError::TooLarge { .. })));
        assert!(matches!(parse_chain(&"a".repeat(TEXT_BYTES_MAX + 1)), Err(SpecError::TooLarge { .. })));
    }

    #[test]
    fn presets_follow_the_time_scale_and_what_is_set_does_not() {
        let parameter = |name, kind| Parameter { name, kind, default: "1s", about: "", source: "" };
        let declared = [parameter("residual", Kind::Penalty), parameter("race", Kind::Time)];
        let spec = PolicySpec::new("sample").preset("residual", "75s").preset("race", "5ms");
        let given = spec.given(&declared, 0.1);
        assert_eq!(given.get("residual").map(String::as_str), Some("7.5s"));
        assert_eq!(given.get("race").map(String::as_str), Some("5ms"));
        let spec = spec.with("residual", "75s");
        assert_eq!(spec.given(&declared, 0.1).get("residual").map(String::as_str), Some("75s"));
        assert_eq!(spec.to_string(), "sample?residual=75s&race=5ms");
    }

    proptest! {
        #[test]
        fn text_and_back(name in "[a-z][a-z0-9-]{0,12}", values in proptest::collection::vec(".{0,12}", 0..5)) {
            let mut spec = PolicySpec::new(name);
            for (index, value) in values.into_iter().enumerate() {
                spec = spec.with(format!("p{index}"), value);
            }
            prop_assert_eq!(&spec.to_string().parse::<PolicySpec>().unwrap(), &spec);
            prop_assert_eq!(parse_chain(&format!("{spec}+{spec}")).unwrap(), [spec.clone(), spec]);
        }

        #[test]
        fn any_text_is_answered(text in ".{0,200}") {
            let _answer = parse_chain(&text);
        }
    }
}
