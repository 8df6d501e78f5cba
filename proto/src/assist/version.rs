//! Versions of the program: `major.minor.patch`, compared in that order.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// Longest pre-release or build mark, without its sign, in bytes.
const MAX_MARK_BYTES: usize = 32;
/// Longest of the three numbers, in digits.
const MAX_DIGITS: usize = 4;

/// A version of the program.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version {
    /// Changes that break.
    pub major: u16,
    /// Changes that add.
    pub minor: u16,
    /// Changes that mend.
    pub patch: u16,
}

/// The text is no version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a version is three numbers: major.minor.patch")]
pub struct VersionError;

impl Version {
    /// Puts a version together.
    pub const fn new(major: u16, minor: u16, patch: u16) -> Self {
        Self { major, minor, patch }
    }
}

impl FromStr for Version {
    type Err = VersionError;

    /// What follows a `-` or `+` (a pre-release, build metadata) is left aside.
    fn from_str(text: &str) -> Result<Self, VersionError> {
        let core = text.split(['-', '+']).next().unwrap_or_default();
        let mark = text.get(core.len()..).unwrap_or_default();
        let ok = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'+');
        if mark.len() > 1 + MAX_MARK_BYTES || !mark.bytes().all(ok) {
            return Err(VersionError);
        }
        let mut numbers = core.split('.').map(number);
        let mut next = || numbers.next().flatten().ok_or(VersionError);
        let version = Self { major: next()?, minor: next()?, patch: next()? };
        if numbers.next().is_some() { Err(VersionError) } else { Ok(version) }
    }
}

fn number(text: &str) -> Option<u16> {
    let digits = (1..=MAX_DIGITS).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    if digits { text.parse().ok() } else { None }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

impl Serialize for Version {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Version {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_as_numbers() {
        let version = |text: &str| text.parse::<Version>().unwrap();
        assert!(version("0.10.0") > version("0.9.9"));
        assert_eq!(version("1.2.3-rc.1+x"), Version::new(1, 2, 3));
        for bad in ["", "1", "1.2", "1.2.3.4", "a.b.c", "1.2.10000", "-1.2.3", "1.2.+3", "1.2.3 ", "1.2.3-\n"]
        {
            assert_eq!(bad.parse::<Version>(), Err(VersionError), "{bad}");
        }
    }
}
