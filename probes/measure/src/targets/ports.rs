//! Lists of ports: `[443, "20000-20063"]`.

use std::fmt;

use commucat_verdict::observations::PortClass;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// Most ports of one list.
pub const PORTS_MAX: usize = 4096;

/// Ports, in the order given, each once.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Ports(Vec<u16>);

/// Why something is no list of ports.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PortError {
    /// Not a port and not a range.
    #[error("{0:?} is no port and no range such as \"20000-20063\"")]
    Text(String),
    /// Too many.
    #[error("at most {PORTS_MAX} ports")]
    TooMany,
}

impl Ports {
    /// These ports.
    ///
    /// # Errors
    /// Port 0, or more than [`PORTS_MAX`].
    pub fn new(ports: impl IntoIterator<Item = u16>) -> Result<Self, PortError> {
        let mut list = Vec::new();
        for port in ports {
            if port == 0 {
                return Err(PortError::Text("0".to_owned()));
            }
            if list.len() >= PORTS_MAX {
                return Err(PortError::TooMany);
            }
            if !list.contains(&port) {
                list.push(port);
            }
        }
        Ok(Self(list))
    }

    /// How many.
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = u16> + '_ {
        self.0.iter().copied()
    }

    /// Those of a class.
    pub fn of_class(&self, class: PortClass) -> impl Iterator<Item = u16> + '_ {
        self.iter().filter(move |port| class_of(*port) == class)
    }
}

/// The class of a port.
pub(crate) const fn class_of(port: u16) -> PortClass {
    match port {
        443 => PortClass::Https,
        80 => PortClass::Http,
        53 => PortClass::Dns,
        _ => PortClass::High,
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Entry {
    Port(u16),
    Range(String),
}

impl<'de> Deserialize<'de> for Ports {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut all = Vec::new();
        for entry in Vec::<Entry>::deserialize(deserializer)? {
            let (first, last) = match entry {
                Entry::Port(port) => (port, port),
                Entry::Range(text) => range(&text).ok_or(PortError::Text(text)).map_err(D::Error::custom)?,
            };
            if all.len() + usize::from(last.saturating_sub(first)) >= PORTS_MAX {
                return Err(D::Error::custom(PortError::TooMany));
            }
            all.extend(first..=last);
        }
        Self::new(all).map_err(D::Error::custom)
    }
}

fn range(text: &str) -> Option<(u16, u16)> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
    (first <= last).then_some((first, last))
}

impl Serialize for Ports {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut ranges: Vec<(u16, u16)> = Vec::new();
        for port in self.iter() {
            match ranges.last_mut() {
                Some((_, last)) if last.checked_add(1) == Some(port) => *last = port,
                _ => ranges.push((port, port)),
            }
        }
        serializer.collect_seq(ranges.iter().map(|(first, last)| format!("{first}-{last}")))
    }
}

impl fmt::Debug for Ports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.0).finish()
    }
}
