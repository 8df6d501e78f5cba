//! What the judge did, for whoever reads the lab's event file: one line a packet that was not simply passed, with the
//! numbers that made a policy act.
//!
//! Decisions are recorded one by one. Their *effects*, packets that a standing sentence or a policer drops, would be
//! thousands of equal lines: the first is recorded at once, the rest as one line a second with their count.

use std::{collections::BTreeMap, fmt};

use serde::Serialize;
use serde_json::Value;

/// Where a packet came from, and so where it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[allow(clippy::exhaustive_enums, reason = "a wire has two ends")]
pub enum Side {
    /// The inside: people behind the censor.
    Client,
    /// The outside: everything else.
    World,
}

impl Side {
    /// The far end.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Client => Self::World,
            Self::World => Self::Client,
        }
    }
}

/// One value for each side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "a wire has two ends")]
pub struct PerSide<T> {
    /// Of what the client sends.
    pub client: T,
    /// Of what the world sends.
    pub world: T,
}

impl<T> PerSide<T> {
    /// The value of one side.
    pub const fn get(&self, side: Side) -> &T {
        match side {
            Side::Client => &self.client,
            Side::World => &self.world,
        }
    }

    /// The value of one side, to change it.
    pub const fn get_mut(&mut self, side: Side) -> &mut T {
        match side {
            Side::Client => &mut self.client,
            Side::World => &mut self.world,
        }
    }
}

impl PerSide<u64> {
    /// Both sides together.
    pub const fn sum(&self) -> u64 {
        self.client.saturating_add(self.world)
    }
}

/// The numbers and names that made a policy act.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Why(BTreeMap<&'static str, Value>);

impl Why {
    /// Nothing yet.
    pub const fn new() -> Self {
        Self(BTreeMap::new())
    }

    /// With one fact more: a number, a text, a truth.
    #[must_use]
    pub fn and(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        self.0.insert(name, value.into());
        self
    }

    /// A fact by name.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }
}

/// What happened to a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Done {
    /// A policy dropped this packet.
    Drop,
    /// A policy sent forged packets; `why` says whether it also dropped this one.
    Inject,
    /// A policy passed a sentence that holds until `until_ms`.
    Kill,
    /// A sentence that stood already dropped packets.
    ResidualDrop,
    /// A sentence that stood already answered packets with resets.
    ResidualReset,
    /// A policer dropped packets above its rate.
    Police,
    /// The packet is held back until `until_ms`.
    Delay,
    /// The flow was marked; every packet passes.
    Tag,
    /// The active prober was called.
    Probe,
    /// Not an IP packet that anybody would take; dropped before any policy.
    Malformed,
    /// Something to know, without effect on a packet.
    Note,
}

/// One line of the event file.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Event {
    /// Milliseconds since the judge began.
    pub t_ms: u64,
    /// Who acted: a policy by name, or `judge`.
    pub policy: &'static str,
    /// The flow, or what was condemned when no packet caused it.
    pub flow: String,
    /// The number of the packet in its flow, both directions counted, from 1. Zero when there is no flow.
    pub packet: u64,
    /// IP bytes of the flow so far, both directions, this packet included.
    pub bytes: u64,
    /// What was done.
    pub action: Done,
    /// The numbers behind it.
    pub why: Why,
    /// When it ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until_ms: Option<u64>,
    /// How many packets the line stands for.
    pub count: u64,
}

impl Event {
    /// A fact of `why` by name.
    pub fn because(&self, name: &str) -> Option<&Value> {
        self.why.get(name)
    }
}

impl fmt::Display for Event {
    /// One line of JSON.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = serde_json::to_string(self).map_err(|_not_json| fmt::Error)?;
        formatter.write_str(&line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_one_line_of_json() {
        let event = Event {
            t_ms: 12,
            policy: "sni-rst",
            flow: "tcp 10.73.0.2:40000 > 198.51.100.10:443".to_owned(),
            packet: 4,
            bytes: 700,
            action: Done::Kill,
            why: Why::new().and("sni", "blocked.example").and("port", 443),
            until_ms: None,
            count: 1,
        };
        assert_eq!(
            event.to_string(),
            r#"{"t_ms":12,"policy":"sni-rst","flow":"tcp 10.73.0.2:40000 > 198.51.100.10:443","packet":4,"bytes":700,"action":"kill","why":{"port":443,"sni":"blocked.example"},"count":1}"#
        );
    }
}
