//! Lists of ports: `[443, "20000-20063"]`, or `"443,20000-20063"`.

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
enum Form {
    List(Vec<Entry>),
    Port(u16),
    Text(String),
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Entry {
    Port(u16),
    Text(String),
}

impl<'de> Deserialize<'de> for Ports {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let entries = match Form::deserialize(deserializer)? {
            Form::List(entries) => entries,
            Form::Port(port) => vec![Entry::Port(port)],
            Form::Text(text) => vec![Entry::Text(text)],
        };
        let mut ranges = Vec::new();
        for entry in entries {
            match entry {
                Entry::Port(port) => ranges.push((port, port)),
                Entry::Text(text) => {
                    for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
                        let range = range(part).ok_or_else(|| PortError::Text(part.to_owned()));
                        ranges.push(range.map_err(D::Error::custom)?);
                    }
                }
            }
        }
        let count = ranges.iter().map(|(first, last)| usize::from(last - first) + 1).sum::<usize>();
        if count > PORTS_MAX {
            return Err(D::Error::custom(PortError::TooMany));
        }
        Self::new(ranges.into_iter().flat_map(|(first, last)| first..=last)).map_err(D::Error::custom)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize, Serialize)]
    struct Holder {
        ports: Ports,
    }

    fn read(text: &str) -> Result<Ports, toml::de::Error> {
        toml::from_str::<Holder>(&format!("ports = {text}")).map(|holder| holder.ports)
    }

    #[test]
    fn lists_are_read_in_every_form() {
        let all = [443, 80, 2000, 2001, 2002];
        for text in [r#"[443, 80, "2000-2002"]"#, r#""443,80, 2000-2002""#, r#"["443, 80", "2000-2002", 80]"#]
        {
            assert_eq!(read(text).unwrap().iter().collect::<Vec<_>>(), all, "{text}");
        }
        assert_eq!(read("443").unwrap().len(), 1);
        assert!(read("[]").unwrap().is_empty() && read(r#""""#).unwrap().is_empty());
    }

    #[test]
    fn what_is_no_list_is_refused() {
        for text in ["[0]", r#""2002-2000""#, r#"["http"]"#, "[65536]", r#""1-65535""#, "true"] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
