//! Policies as text: `gfw-fet?p=1&residual=10s`, joined by `+` to a chain.
//!
//! Here is only the form. What a policy is called and which parameters it takes it declares itself; the values are
//! checked against that declaration when a profile or a judge is made. Characters that have a meaning in the text (`+ & = ? , %` and
//! space) can be written as `%` and two hexadecimal digits; a `%` at the end of a value stands for itself, as in `5%`.

mod error;
mod places;

use std::{collections::BTreeMap, fmt, str::FromStr};

use serde::{Deserialize, Serialize};

pub(crate) use self::places::{byte_range, names, nets, queue};
pub use self::{error::SpecError, places::Queue};

/// The longest text of a chain, in bytes: room for thousands of names.
pub const TEXT_BYTES_MAX: usize = 256 * 1024;
/// The most policies in a chain.
pub const CHAIN_LENGTH_MAX: usize = 64;

/// One policy with the parameters that are set, as text. Whether they exist is for the judge to say.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct PolicySpec {
    /// The policy's name.
    pub name: String,
    /// Parameters and their values.
    pub params: BTreeMap<String, String>,
}

impl PolicySpec {
    /// A policy with no parameter set.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), params: BTreeMap::new() }
    }

    /// The same with one more parameter; one that is set already is replaced.
    #[must_use]
    pub fn with(mut self, parameter: impl Into<String>, value: impl Into<String>) -> Self {
        self.params.insert(parameter.into(), value.into());
        self
    }

    /// The value that is set for the parameter.
    pub fn get(&self, parameter: &str) -> Option<&str> {
        self.params.get(parameter).map(String::as_str)
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
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.name)?;
        for (index, (parameter, value)) in self.params.iter().enumerate() {
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
        assert!(matches!(parse_chain(&"a+".repeat(80)[..159]), Err(SpecError::TooLarge { .. })));
        assert!(matches!(parse_chain(&"a".repeat(TEXT_BYTES_MAX + 1)), Err(SpecError::TooLarge { .. })));
    }

    proptest! {
        #[test]
        fn text_and_back(name in "[a-z][a-z0-9-]{0,12}", values in proptest::collection::vec(".{0,12}", 0..5)) {
            let mut spec = PolicySpec::new(name);
            for (index, value) in values.into_iter().enumerate() {
                spec = spec.with(format!("p{index}"), value);
            }
            prop_assert_eq!(spec.to_string().parse::<PolicySpec>().unwrap(), spec.clone());
            prop_assert_eq!(parse_chain(&format!("{spec}+{spec}")).unwrap(), [spec.clone(), spec]);
        }

        #[test]
        fn any_text_is_answered(text in ".{0,200}") {
            let _answer = parse_chain(&text);
        }
    }
}
