//! The parameters of policies and of the link: each has a name, a unit, a default with its source, and one grammar
//! for its value. A spec string overrides them (`gfw-fet?p=1&residual=10s`); a name that no policy has is an error
//! that offers the nearest one.

use std::{collections::BTreeMap, time::Duration};

use thiserror::Error;

/// How alike a wrong name must be to be offered (Jaro–Winkler, 0 to 1).
const ALIKE: f64 = 0.7;

/// The longest duration that a parameter may say: ten years.
const DURATION_MAX: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

/// What kind of value a parameter takes, and so its unit and grammar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// How long a punishment, a window or a memory lasts: `180s`, `75ms`, `5m`. The time scale of the lab multiplies
    /// the default (never a value that was given).
    Penalty,
    /// A duration that the time scale leaves alone: delays and races.
    Time,
    /// A probability: `0.263` or `26.3%`.
    Chance,
    /// A whole number.
    Count,
    /// A volume of data: `1001`, `20KiB`, `1GB`.
    Bytes,
    /// Bits a second: `140kbit`, `10mbit`.
    Rate,
    /// `true` or `false`.
    Flag,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// Words between commas; empty means none.
    Words,
}

/// One parameter: what it means and what it is unless a spec says otherwise.
#[derive(Clone, Copy, Debug)]
pub struct Parameter {
    /// Its name in a spec string.
    pub name: &'static str,
    /// Unit and grammar.
    pub kind: Kind,
    /// The default, in the same grammar as a spec string.
    pub default: &'static str,
    /// What it does.
    pub about: &'static str,
    /// Where the default comes from, and how well it is known.
    pub source: &'static str,
}

impl Parameter {
    /// A parameter, for the table of a policy.
    pub const fn new(
        name: &'static str,
        kind: Kind,
        default: &'static str,
        about: &'static str,
        source: &'static str,
    ) -> Self {
        Self { name, kind, default, about, source }
    }
}

/// What is wrong with a parameter.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum ParameterError {
    /// Nothing has this parameter.
    #[error("`{owner}` has no parameter `{name}`{}", nearest.as_ref().map(|near| format!("; did you mean `{near}`?")).unwrap_or_else(|| format!("; it has: {known}")))]
    Unknown {
        /// The policy.
        owner: String,
        /// What was written.
        name: String,
        /// The parameter that is most like it.
        nearest: Option<String>,
        /// All parameters of the policy.
        known: String,
    },
    /// The value does not fit.
    #[error("`{owner}?{name}={value}`: expected {expected}")]
    Invalid {
        /// The policy.
        owner: String,
        /// The parameter.
        name: String,
        /// What was written.
        value: String,
        /// What would fit.
        expected: String,
    },
    /// The code of a policy reads a parameter that it never declared, or with another kind: a defect of this program.
    #[error("`{owner}` reads `{name}`, which it does not declare: please report this")]
    Undeclared {
        /// The policy.
        owner: String,
        /// The parameter.
        name: String,
    },
}

/// The parameters of one policy, checked: what was given, and the defaults for the rest.
#[derive(Clone, Debug)]
pub struct Values {
    owner: String,
    values: BTreeMap<&'static str, Value>,
}

#[derive(Clone, Debug)]
enum Value {
    Duration(Duration),
    Chance(f64),
    Number(u64),
    Flag(bool),
    Choice(&'static str),
    Words(Vec<String>),
}

impl Values {
    /// Checks what was given against what `owner` declares. `time_scale` multiplies the defaults of
    /// [`Kind::Penalty`]; a value that was given stays as it is.
    ///
    /// # Errors
    /// A name that is not declared, or a value that does not parse.
    pub fn resolve(
        owner: &str,
        declared: &[Parameter],
        given: &BTreeMap<String, String>,
        time_scale: f64,
    ) -> Result<Self, ParameterError> {
        if let Some(name) = given.keys().find(|name| declared.iter().all(|known| known.name != **name)) {
            return Err(unknown(owner, name, declared));
        }
        let mut values = BTreeMap::new();
        for parameter in declared {
            let explicit = given.get(parameter.name);
            let text = explicit.map_or(parameter.default, String::as_str);
            let mut value = parse(parameter.kind, text).map_err(|expected| ParameterError::Invalid {
                owner: owner.to_owned(),
                name: parameter.name.to_owned(),
                value: text.to_owned(),
                expected,
            })?;
            if let (Value::Duration(duration), Kind::Penalty, None) = (&mut value, parameter.kind, explicit) {
                *duration = scaled(*duration, time_scale);
            }
            values.insert(parameter.name, value);
        }
        Ok(Self { owner: owner.to_owned(), values })
    }

    /// A [`Kind::Penalty`] or [`Kind::Time`].
    ///
    /// # Errors
    /// The policy does not declare it.
    pub fn duration(&self, name: &str) -> Result<Duration, ParameterError> {
        match self.values.get(name) {
            Some(Value::Duration(duration)) => Ok(*duration),
            _ => Err(self.undeclared(name)),
        }
    }

    /// A [`Kind::Chance`], from 0 to 1.
    ///
    /// # Errors
    /// The policy does not declare it.
    pub fn chance(&self, name: &str) -> Result<f64, ParameterError> {
        match self.values.get(name) {
            Some(Value::Chance(chance)) => Ok(*chance),
            _ => Err(self.undeclared(name)),
        }
    }

    /// A [`Kind::Count`], a [`Kind::Bytes`] in bytes or a [`Kind::Rate`] in bits a second.
    ///
    /// # Errors
    /// The policy does not declare it.
    pub fn number(&self, name: &str) -> Result<u64, ParameterError> {
        match self.values.get(name) {
            Some(Value::Number(number)) => Ok(*number),
            _ => Err(self.undeclared(name)),
        }
    }

    /// A [`Kind::Flag`].
    ///
    /// # Errors
    /// The policy does not declare it.
    pub fn flag(&self, name: &str) -> Result<bool, ParameterError> {
        match self.values.get(name) {
            Some(Value::Flag(flag)) => Ok(*flag),
            _ => Err(self.undeclared(name)),
        }
    }

    /// A [`Kind::Choice`].
    ///
    /// # Errors
    /// The policy does not declare it.
    pub fn choice(&self, name: &str) -> Result<&'static str, ParameterError> {
        match self.values.get(name) {
            Some(Value::Choice(choice)) => Ok(choice),
            _ => Err(self.undeclared(name)),
        }
    }

    /// A [`Kind::Words`].
    ///
    /// # Errors
    /// The policy does not declare it.
    pub fn words(&self, name: &str) -> Result<&[String], ParameterError> {
        match self.values.get(name) {
            Some(Value::Words(words)) => Ok(words),
            _ => Err(self.undeclared(name)),
        }
    }

    fn undeclared(&self, name: &str) -> ParameterError {
        ParameterError::Undeclared { owner: self.owner.clone(), name: name.to_owned() }
    }

    /// The error for a value that parses but makes no sense to the policy.
    pub fn refuse(&self, name: &str, value: &dyn ToString, expected: &str) -> ParameterError {
        ParameterError::Invalid {
            owner: self.owner.clone(),
            name: name.to_owned(),
            value: value.to_string(),
            expected: expected.to_owned(),
        }
    }
}

/// `80ms`, `2s`, `5m`, `1h`; a bare number is seconds. `None` when it is none, negative or over ten years.
pub fn parse_duration(text: &str) -> Option<Duration> {
    let (number, unit) = split_unit(text)?;
    let seconds = match unit {
        "us" => number / 1e6,
        "ms" => number / 1e3,
        "" | "s" => number,
        "m" | "min" => number * 60.0,
        "h" => number * 3600.0,
        _ => return None,
    };
    Duration::try_from_secs_f64(seconds).ok().filter(|duration| *duration <= DURATION_MAX)
}

/// `0.05` or `5%`, from 0 to 1.
pub fn parse_chance(text: &str) -> Option<f64> {
    let (number, unit) = split_unit(text)?;
    let chance = match unit {
        "" => number,
        "%" => number / 100.0,
        _ => return None,
    };
    (0.0..=1.0).contains(&chance).then_some(chance)
}

/// `1500`, `16KiB`, `1GB`, in bytes.
pub fn parse_bytes(text: &str) -> Option<u64> {
    let (number, unit) = split_unit(text)?;
    let factor = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 1.0,
        "kb" => 1e3,
        "mb" => 1e6,
        "gb" => 1e9,
        "kib" | "k" => 1024.0,
        "mib" => 1024.0 * 1024.0,
        "gib" => 1024.0 * 1024.0 * 1024.0,
        _ => return None,
    };
    whole(number * factor)
}

/// `140kbit`, `10mbit`, `1gbit`, in bits a second; a bare number is bits a second.
pub fn parse_rate(text: &str) -> Option<u64> {
    let (number, unit) = split_unit(text)?;
    let factor = match unit.to_ascii_lowercase().trim_end_matches("/s") {
        "" | "bit" => 1.0,
        "kbit" => 1e3,
        "mbit" => 1e6,
        "gbit" => 1e9,
        _ => return None,
    };
    whole(number * factor)
}

/// The known name that is most like the wrong one, when one is at all.
pub fn nearest<'a>(wrong: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    known
        .map(|name| (strsim::jaro_winkler(wrong, name), name))
        .filter(|(alike, _name)| *alike >= ALIKE)
        .max_by(|(left, _), (right, _)| left.total_cmp(right))
        .map(|(_alike, name)| name)
}

fn parse(kind: Kind, text: &str) -> Result<Value, String> {
    let number =
        |parsed: Option<u64>, expected: &str| parsed.map(Value::Number).ok_or_else(|| expected.to_owned());
    match kind {
        Kind::Penalty | Kind::Time => parse_duration(text)
            .map(Value::Duration)
            .ok_or_else(|| "a duration such as `180s`, `75ms` or `5m`".to_owned()),
        Kind::Chance => parse_chance(text)
            .map(Value::Chance)
            .ok_or_else(|| "a probability from 0 to 1, such as `0.263` or `5%`".to_owned()),
        Kind::Count => number(text.parse().ok(), "a whole number"),
        Kind::Bytes => number(parse_bytes(text), "a size such as `1500`, `16KiB` or `1GB`"),
        Kind::Rate => number(parse_rate(text), "a rate such as `140kbit` or `10mbit`"),
        Kind::Flag => match text {
            "true" | "yes" | "on" | "1" => Ok(Value::Flag(true)),
            "false" | "no" | "off" | "0" => Ok(Value::Flag(false)),
            _ => Err("`true` or `false`".to_owned()),
        },
        Kind::Choice(words) => words
            .iter()
            .find(|word| **word == text)
            .map(|word| Value::Choice(word))
            .ok_or_else(|| format!("one of `{}`", words.join("`, `"))),
        Kind::Words => Ok(Value::Words(
            text.split(',').map(str::trim).filter(|word| !word.is_empty()).map(str::to_owned).collect(),
        )),
    }
}

fn unknown(owner: &str, name: &str, declared: &[Parameter]) -> ParameterError {
    let names: Vec<&str> = declared.iter().map(|parameter| parameter.name).collect();
    ParameterError::Unknown {
        owner: owner.to_owned(),
        name: name.to_owned(),
        nearest: nearest(name, names.iter().copied()).map(str::to_owned),
        known: if names.is_empty() { "none".to_owned() } else { names.join(", ") },
    }
}

/// A scale that is no positive number leaves the duration as it is.
fn scaled(duration: Duration, scale: f64) -> Duration {
    Duration::try_from_secs_f64(duration.as_secs_f64() * scale).unwrap_or(duration)
}

fn split_unit(text: &str) -> Option<(f64, &str)> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(end)?;
    Some((number.parse().ok()?, unit.trim()))
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the range was checked")]
fn whole(number: f64) -> Option<u64> {
    /// Whole numbers up to here are exact in a double.
    const EXACT_MAX: f64 = 9_007_199_254_740_992.0;
    (0.0..=EXACT_MAX).contains(&number).then(|| number.round() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DECLARED: &[Parameter] = &[
        Parameter { name: "residual", kind: Kind::Penalty, default: "180s", about: "", source: "" },
        Parameter { name: "race", kind: Kind::Time, default: "5ms", about: "", source: "" },
        Parameter { name: "p", kind: Kind::Chance, default: "26.3%", about: "", source: "" },
    ];

    fn given(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn the_time_scale_moves_defaults_of_penalties_only() {
        let values = Values::resolve("made", DECLARED, &given(&[]), 0.01).unwrap();
        assert_eq!(values.duration("residual").unwrap(), Duration::from_millis(1800));
        assert_eq!(values.duration("race").unwrap(), Duration::from_millis(5));
        let values = Values::resolve("made", DECLARED, &given(&[("residual", "10s")]), 0.01).unwrap();
        assert_eq!(values.duration("residual").unwrap(), Duration::from_secs(10));
        assert!((values.chance("p").unwrap() - 0.263).abs() < 1e-9);
    }

    #[test]
    fn a_wrong_name_is_offered_the_nearest() {
        let error = Values::resolve("made", DECLARED, &given(&[("residal", "1s")]), 1.0).unwrap_err();
        assert_eq!(error.to_string(), "`made` has no parameter `residal`; did you mean `residual`?");
        let error = Values::resolve("made", DECLARED, &given(&[("zzz", "1s")]), 1.0).unwrap_err();
        assert_eq!(error.to_string(), "`made` has no parameter `zzz`; it has: residual, race, p");
    }

    #[test]
    fn wrong_values_and_wrong_reads_are_errors() {
        for (name, value) in
            [("residual", "-1s"), ("residual", "1 week"), ("p", "1.1"), ("p", "x"), ("race", "")]
        {
            assert!(
                Values::resolve("made", DECLARED, &given(&[(name, value)]), 1.0).is_err(),
                "{name}={value}"
            );
        }
        let values = Values::resolve("made", DECLARED, &given(&[]), 1.0).unwrap();
        assert!(matches!(values.number("p"), Err(ParameterError::Undeclared { .. })));
        assert!(matches!(values.flag("nothing"), Err(ParameterError::Undeclared { .. })));
    }

    #[test]
    fn units() {
        assert_eq!(parse_duration("1.5ms"), Some(Duration::from_micros(1500)));
        assert_eq!(parse_duration("5m"), Some(Duration::from_secs(300)));
        assert_eq!(parse_duration("99999999h"), None);
        assert_eq!(parse_bytes("16KiB"), Some(16_384));
        assert_eq!(parse_bytes("1GB"), Some(1_000_000_000));
        assert_eq!(parse_rate("140kbit"), Some(140_000));
        assert_eq!(parse_rate("10mbit/s"), Some(10_000_000));
        assert_eq!(parse_rate("10 apples"), None);
        assert_eq!(parse_chance("5%"), Some(0.05));
    }
}
