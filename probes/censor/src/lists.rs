//! The censor's lists: names that are blocked, names and networks that are let through when most are not.

use std::{collections::BTreeSet, fmt};

use serde::{Deserialize, Serialize};

use crate::geography::{Cidr, NetSet};

/// The longest name DNS can carry, in bytes of text without the last dot (RFC 1035 §3.1). What is longer never matches.
const NAME_BYTES_MAX: usize = 253;

/// Host names. A name on the list stands for itself and all names below it, as in every censor's list that was seen.
/// Asking allocates nothing.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<String>", into = "Vec<String>")]
pub struct NameList {
    names: BTreeSet<Box<[u8]>>,
}

impl NameList {
    /// The list of these names; case and a last dot do not matter. Empty names and names longer than DNS allows are
    /// left out, since no packet can carry them.
    pub fn new<S: AsRef<str>>(names: impl IntoIterator<Item = S>) -> Self {
        let kept = names.into_iter().filter_map(|name| {
            let name = name.as_ref().trim().trim_end_matches('.').to_ascii_lowercase();
            (!name.is_empty() && name.len() <= NAME_BYTES_MAX).then(|| name.into_bytes().into_boxed_slice())
        });
        Self { names: kept.collect() }
    }

    /// Whether the name, or a name above it, is on the list.
    pub fn matches(&self, name: &str) -> bool {
        self.matched(name).is_some()
    }

    /// The entry that the name falls under: itself, or the nearest name above it.
    pub fn matched(&self, name: &str) -> Option<&str> {
        let name = name.strip_suffix('.').unwrap_or(name).as_bytes();
        let mut space = [0_u8; NAME_BYTES_MAX];
        let lower = space.get_mut(..name.len())?;
        lower.copy_from_slice(name);
        lower.make_ascii_lowercase();
        let mut rest = &*lower;
        loop {
            if let Some(entry) = self.names.get(rest) {
                return std::str::from_utf8(entry).ok();
            }
            let dot = rest.iter().position(|&byte| byte == b'.')?;
            rest = rest.get(dot + 1..)?;
        }
    }

    /// Whether nothing is on the list.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// How many names are on the list.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// The names, sorted, in lower case.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.names.iter().filter_map(|name| std::str::from_utf8(name).ok())
    }

    /// Both lists together.
    #[must_use]
    pub fn union(mut self, other: &Self) -> Self {
        self.names.extend(other.names.iter().cloned());
        self
    }
}

impl fmt::Debug for NameList {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "NameList({} names)", self.names.len())
    }
}

impl From<Vec<String>> for NameList {
    fn from(names: Vec<String>) -> Self {
        Self::new(names)
    }
}

impl From<NameList> for Vec<String> {
    fn from(list: NameList) -> Self {
        list.iter().map(str::to_owned).collect()
    }
}

/// Everything the policies of one judge look up by default. A policy's parameter can name another list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Lists {
    /// Names that DNS, HTTP, TLS and QUIC policies act on.
    pub blocked: NameList,
    /// Names that pass where only listed names pass.
    pub white_names: NameList,
    /// Networks that pass where only listed networks pass; the country's own networks pass there too.
    pub white_nets: NetSet,
}

impl Lists {
    /// The entry of the list of blocked names that the name falls under.
    pub fn blocked(&self, name: &str) -> Option<&str> {
        self.blocked.matched(name)
    }
}

impl Default for Lists {
    fn default() -> Self {
        Self {
            blocked: NameList::new([
                "blocked.example",
                "www.blocked.example",
                "twitter.com",
                "www.torproject.org",
            ]),
            white_names: NameList::new(["domestic.example"]),
            white_nets: NetSet::new(std::iter::empty::<Cidr>()),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_name_stands_for_what_is_below_it() {
        let blocked = Lists::default().blocked;
        for name in ["twitter.com", "TWITTER.com", "api.twitter.com", "twitter.com.", "a.b.blocked.example"] {
            assert!(blocked.matches(name), "{name}");
        }
        for name in
            ["", ".", "com", "nottwitter.com", "twitter.com.example", "torproject.org", "innocent.example"]
        {
            assert!(!blocked.matches(name), "{name}");
        }
    }

    #[test]
    fn never_listed_names_are_not_listed() {
        let blocked = Lists::default().blocked;
        for name in ["innocent.example", "example.com", "www.example.org", "domestic.example"] {
            assert!(!blocked.matches(name), "{name}");
        }
    }

    #[test]
    fn names_beyond_the_limit_never_match() {
        let list = NameList::new(["example"]);
        let long = |labels: usize| format!("{}example", "a.".repeat(labels));
        assert!(list.matches(&long(123)));
        assert!(!list.matches(&long(124)));
        assert!(NameList::new([long(124)]).is_empty());
    }

    #[test]
    fn a_file_may_name_only_what_differs() {
        let lists: Lists = serde_json::from_str(r#"{"blocked":["Only.Example."]}"#).unwrap();
        assert_eq!(lists.blocked.iter().collect::<Vec<_>>(), ["only.example"]);
        assert_eq!(lists.white_names, Lists::default().white_names);
        assert_eq!(serde_json::from_str::<Lists>(&serde_json::to_string(&lists).unwrap()).unwrap(), lists);
    }

    proptest! {
        #[test]
        fn any_name_is_answered(name in ".{0,300}") {
            let _answer = Lists::default().blocked.matches(&name);
            prop_assert!(!NameList::default().matches(&name));
        }
    }
}
