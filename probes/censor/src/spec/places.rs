//! Values that mean networks and names: words such as `foreign` or `blocked` stand for what the judge's map and lists
//! say, everything else for itself.

use std::ops::RangeInclusive;

use super::SpecError;
use crate::{
    geography::{Cidr, Geography, NetSet},
    lists::{Lists, NameList},
    parameter::{Values, parse_bytes, parse_duration},
};

/// The empty list, written out.
const NONE: &str = "none";

/// The networks of a parameter of words: `foreign`, `cdn`, `domestic`, `client`, `white` (the white networks and the
/// country's own), `any`, `none`, or networks such as `203.0.113.0/24`.
pub(crate) fn nets(
    values: &Values,
    parameter: &str,
    map: &Geography,
    lists: &Lists,
) -> Result<NetSet, SpecError> {
    let mut nets: Vec<Cidr> = Vec::new();
    for word in values.words(parameter)? {
        match word.as_str() {
            "foreign" => nets.extend(map.foreign.iter()),
            "cdn" => nets.extend(map.cdn.iter()),
            "domestic" => nets.extend(map.domestic.iter()),
            "client" => nets.push(map.client),
            "white" => nets.extend(lists.white_nets.iter().chain(map.domestic.iter())),
            "any" => nets.extend(NetSet::everything().iter()),
            NONE => {}
            other => nets.push(other.parse().map_err(|_no_net| {
                let expected = "networks such as `203.0.113.0/24`, or `foreign`, `cdn`, `domestic`, `client`, `white`, `any`, `none`";
                values.refuse(parameter, &other, expected)
            })?),
        }
    }
    Ok(NetSet::new(nets))
}

/// The names of a parameter of words: `blocked`, `white`, `none`, or host names.
pub(crate) fn names(values: &Values, parameter: &str, lists: &Lists) -> Result<NameList, SpecError> {
    let mut list = NameList::default();
    for word in values.words(parameter)? {
        list = match word.as_str() {
            "blocked" => list.union(&lists.blocked),
            "white" => list.union(&lists.white_names),
            NONE => list,
            other if is_name(other) => list.union(&NameList::new([other])),
            other => {
                let expected = "host names such as `blocked.example`, or `blocked`, `white`, `none`";
                return Err(values.refuse(parameter, &other, expected).into());
            }
        };
    }
    Ok(list)
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

/// A bound of a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Queue {
    /// How long a packet may wait.
    Time(std::time::Duration),
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
    use std::{collections::BTreeMap, time::Duration};

    use super::*;
    use crate::parameter::{Kind, Parameter};

    fn values(value: &str) -> Values {
        let declared = [Parameter { name: "x", kind: Kind::Words, default: "", about: "", source: "" }];
        let given = BTreeMap::from([("x".to_owned(), value.to_owned())]);
        Values::resolve("sample", &declared, &given, 1.0).unwrap()
    }

    fn nets_of(value: &str) -> Result<NetSet, SpecError> {
        nets(&values(value), "x", &Geography::default(), &Lists::default())
    }

    #[test]
    fn networks_by_word_and_by_prefix() {
        let nets = nets_of("cdn, 192.0.2.0/24").unwrap();
        assert!(nets.contains("192.0.2.1".parse().unwrap()));
        assert!(nets.contains("198.51.100.1".parse().unwrap()));
        assert!(!nets.contains("203.0.113.9".parse().unwrap()));
        assert!(nets_of("none").unwrap().is_empty());
        assert!(nets_of("white").unwrap().contains("198.18.0.10".parse().unwrap()));
        let error = nets_of("foriegn").unwrap_err().to_string();
        assert!(error.contains("networks such as"), "{error}");
    }

    #[test]
    fn names_by_word_and_by_name() {
        let of = |value: &str| names(&values(value), "x", &Lists::default());
        assert!(of("blocked").unwrap().matches("twitter.com"));
        assert!(of("only.example").unwrap().matches("www.only.example"));
        assert!(!of("only.example").unwrap().matches("twitter.com"));
        assert!(of("none").unwrap().is_empty());
        assert!(of("a/b").unwrap_err().to_string().contains("host names"));
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
