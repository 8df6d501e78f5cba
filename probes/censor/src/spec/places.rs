//! Values that mean networks and names: words such as `foreign` or `blocked` stand for what the judge's map and lists
//! say, everything else for itself.

use std::{net::IpAddr, ops::RangeInclusive, time::Duration};

use super::SpecError;
use crate::{
    geography::{Cidr, Geography},
    lists::{Lists, NameList},
    parameter::{Values, parse_bytes, parse_duration},
};

/// The empty list, written out.
const NONE: &str = "none";

/// Networks, some of them by what they are.
#[derive(Clone, Debug, Default)]
pub(crate) struct Places(Vec<Place>);

#[derive(Clone, Copy, Debug)]
enum Place {
    Any,
    Foreign,
    Cdn,
    Domestic,
    Client,
    Resolver,
    White,
    Net(Cidr),
}

impl Places {
    /// The networks of a parameter of words: `foreign`, `cdn`, `domestic`, `client`, `resolver`, `white` (the white
    /// networks and the country's own), `any`, `none`, or networks such as `203.0.113.0/24`.
    pub(crate) fn read(values: &Values, parameter: &str) -> Result<Self, SpecError> {
        let words = values.words(parameter)?.iter().filter(|word| *word != NONE);
        let places = words.map(|word| match word.as_str() {
            "any" => Ok(Place::Any),
            "foreign" => Ok(Place::Foreign),
            "cdn" => Ok(Place::Cdn),
            "domestic" => Ok(Place::Domestic),
            "client" => Ok(Place::Client),
            "resolver" => Ok(Place::Resolver),
            "white" => Ok(Place::White),
            other => other.parse().map(Place::Net).map_err(|_no_net| {
                let expected = "networks such as `203.0.113.0/24`, or `foreign`, `cdn`, `domestic`, `client`, \
                                `resolver`, `white`, `any`, `none`";
                SpecError::from(values.refuse(parameter, &other, expected))
            }),
        });
        places.collect::<Result<_, _>>().map(Self)
    }

    /// Whether the address lies in one of them.
    pub(crate) fn contain(&self, address: IpAddr, map: &Geography, lists: &Lists) -> bool {
        self.0.iter().any(|place| match place {
            Place::Any => true,
            Place::Foreign => map.foreign.contains(address),
            Place::Cdn => map.cdn.contains(address),
            Place::Domestic => map.domestic.contains(address),
            Place::Client => map.client.contains(address),
            Place::Resolver => map.resolver == address,
            Place::White => lists.white_nets.contains(address) || map.domestic.contains(address),
            Place::Net(net) => net.contains(address),
        })
    }
}

/// Names, some of them by list.
#[derive(Clone, Debug, Default)]
pub(crate) struct Names {
    blocked: bool,
    white: bool,
    own: NameList,
}

impl Names {
    /// The names of a parameter of words: `blocked`, `white`, `none`, or host names.
    pub(crate) fn read(values: &Values, parameter: &str) -> Result<Self, SpecError> {
        let mut names = Self::default();
        let mut own = Vec::new();
        for word in values.words(parameter)? {
            match word.as_str() {
                NONE => {}
                "blocked" => names.blocked = true,
                "white" => names.white = true,
                other if is_name(other) => own.push(other),
                other => {
                    let expected = "host names such as `blocked.example`, or `blocked`, `white`, `none`";
                    return Err(values.refuse(parameter, &other, expected).into());
                }
            }
        }
        names.own = NameList::new(own);
        Ok(names)
    }

    /// Whether the name, or a name above it, is among them.
    pub(crate) fn contain(&self, name: &str, lists: &Lists) -> bool {
        (self.blocked && lists.blocked.matches(name))
            || (self.white && lists.white_names.matches(name))
            || self.own.matches(name)
    }
}

/// The amount, or the range of amounts, of a parameter of words: `16KiB`, `15KiB..20KiB`; `none` is no amount.
pub(crate) fn byte_range(values: &Values, parameter: &str) -> Result<Option<RangeInclusive<u64>>, SpecError> {
    let text = values.words(parameter)?.join(",");
    if text.is_empty() || text == NONE {
        return Ok(None);
    }
    let (low, high) = text.split_once("..").unwrap_or((&text, &text));
    let range = parse_bytes(low).zip(parse_bytes(high)).filter(|(low, high)| low <= high);
    let expected = "an amount such as `16KiB`, a range such as `15KiB..20KiB`, or `none`";
    let (low, high) = range.ok_or_else(|| values.refuse(parameter, &text, expected))?;
    Ok(Some(low..=high))
}

/// The ports of a parameter of words: `53,80,443`; `none` is no port.
pub(crate) fn ports(values: &Values, parameter: &str) -> Result<Vec<u16>, SpecError> {
    let words = values.words(parameter)?.iter().filter(|word| *word != NONE);
    let ports = words.map(|word| {
        word.parse().map_err(|_no_port| {
            values.refuse(parameter, word, "ports joined by commas, such as `80,443`").into()
        })
    });
    ports.collect()
}

/// A bound of a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Queue {
    /// How long a packet may wait.
    Time(Duration),
    /// How many bytes may wait.
    Bytes(u64),
}

/// The bound of a parameter of words: a time with its unit (`200ms`) or an amount with its unit (`64KiB`).
pub(crate) fn queue(values: &Values, parameter: &str) -> Result<Queue, SpecError> {
    let text = values.words(parameter)?.join(",");
    let has_unit = text.ends_with(|last: char| last.is_ascii_alphabetic());
    let bound = parse_duration(&text).map(Queue::Time).or_else(|| parse_bytes(&text).map(Queue::Bytes));
    let expected = "a time such as `200ms` or an amount such as `64KiB`";
    bound.filter(|_| has_unit).ok_or_else(|| values.refuse(parameter, &text, expected).into())
}

fn is_name(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::parameter::{Kind, Parameter};

    fn values(value: &str) -> Values {
        let declared = [Parameter { name: "x", kind: Kind::Words, default: "", about: "", source: "" }];
        let given = BTreeMap::from([("x".to_owned(), value.to_owned())]);
        Values::resolve("sample", &declared, &given, 1.0).unwrap()
    }

    fn is_in(value: &str, address: &str) -> bool {
        let places = Places::read(&values(value), "x").unwrap();
        places.contain(address.parse().unwrap(), &Geography::default(), &Lists::default())
    }

    #[test]
    fn networks_by_word_and_by_prefix() {
        assert!(is_in("cdn, 192.0.2.0/24", "192.0.2.1"));
        assert!(is_in("cdn, 192.0.2.0/24", "198.51.100.1"));
        assert!(!is_in("cdn, 192.0.2.0/24", "203.0.113.9"));
        for (word, address) in [
            ("foreign", "203.0.113.9"),
            ("domestic", "198.18.0.10"),
            ("white", "198.18.0.10"),
            ("client", "10.73.0.2"),
            ("resolver", "192.0.2.53"),
            ("any", "2001:db8::1"),
        ] {
            assert!(is_in(word, address), "{word}");
            assert_eq!(is_in(word, "8.8.8.8"), word == "any", "{word}");
        }
        assert!(!is_in("none", "203.0.113.9"));
        let error = Places::read(&values("foriegn"), "x").unwrap_err().to_string();
        assert!(error.contains("networks such as"), "{error}");
    }

    #[test]
    fn names_by_word_and_by_name() {
        let of = |value: &str| Names::read(&values(value), "x");
        let lists = Lists::default();
        assert!(of("blocked").unwrap().contain("twitter.com", &lists));
        assert!(of("white").unwrap().contain("domestic.example", &lists));
        assert!(of("only.example").unwrap().contain("www.only.example", &lists));
        assert!(!of("only.example").unwrap().contain("twitter.com", &lists));
        assert!(!of("none").unwrap().contain("twitter.com", &lists));
        assert!(of("a/b").unwrap_err().to_string().contains("host names"));
    }

    #[test]
    fn lists_of_ports() {
        assert_eq!(ports(&values("53, 443"), "x").unwrap(), [53, 443]);
        assert!(ports(&values("none"), "x").unwrap().is_empty());
        assert!(ports(&values("65536"), "x").unwrap_err().to_string().contains("ports joined"));
    }

    #[test]
    fn amounts_and_bounds() {
        assert_eq!(byte_range(&values("15KiB..20KiB"), "x").unwrap(), Some(15_360..=20_480));
        assert_eq!(byte_range(&values("16KiB"), "x").unwrap(), Some(16_384..=16_384));
        assert_eq!(byte_range(&values("none"), "x").unwrap(), None);
        assert!(
            byte_range(&values("20KiB..15KiB"), "x").unwrap_err().to_string().contains("a range such as")
        );
        assert_eq!(queue(&values("200ms"), "x").unwrap(), Queue::Time(Duration::from_millis(200)));
        assert_eq!(queue(&values("64KiB"), "x").unwrap(), Queue::Bytes(65_536));
        for wrong in ["200", "", "wide", "-5ms"] {
            assert!(queue(&values(wrong), "x").is_err(), "{wrong}");
        }
    }
}
