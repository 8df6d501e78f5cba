//! The tree a config file is read into before it gets its types: every value knows where it was written, so that
//! an error found at any later step can point at file, line and column.

use std::fmt;

/// Where in a text something stands; both count from 1, columns in characters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// Line.
    pub line: u32,
    /// Column.
    pub column: u32,
}

/// Where a value came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Origin {
    /// The config file.
    File(Position),
    /// The environment variable of this name.
    Env(&'static str),
}

impl Default for Origin {
    fn default() -> Self {
        Self::File(Position { line: 1, column: 1 })
    }
}

/// One value and where it came from. Deliberately without `Debug`: it may hold keys.
#[derive(Clone, Default)]
pub(crate) struct Node {
    pub(crate) origin: Origin,
    pub(crate) value: Value,
}

/// A value of TOML or YAML.
#[derive(Clone, Default)]
pub(crate) enum Value {
    #[default]
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Str(String),
    Seq(Vec<Node>),
    Map(Vec<Entry>),
}

/// A key with its own position, and its value.
#[derive(Clone)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) origin: Origin,
    pub(crate) node: Node,
}

/// One step of a key path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Segment {
    Key(String),
    Index(usize),
}

/// A key path as people write it: `endpoints[1].params.method`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct KeyPath(pub(crate) Vec<Segment>);

impl KeyPath {
    pub(crate) fn parse(text: &str) -> Self {
        let mut segments = Vec::new();
        for part in text.split('.') {
            let mut pieces = part.split('[');
            segments
                .extend(pieces.next().filter(|key| !key.is_empty()).map(|key| Segment::Key(key.to_owned())));
            segments
                .extend(pieces.filter_map(|piece| piece.strip_suffix(']')?.parse().ok().map(Segment::Index)));
        }
        Self(segments)
    }
}

impl fmt::Display for KeyPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, segment) in self.0.iter().enumerate() {
            match segment {
                Segment::Key(key) if at == 0 => f.write_str(key)?,
                Segment::Key(key) => write!(f, ".{key}")?,
                Segment::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

impl Node {
    fn child(&self, segment: &Segment) -> Option<(&Self, Origin)> {
        match (&self.value, segment) {
            (Value::Map(entries), Segment::Key(key)) => {
                entries.iter().find(|entry| entry.key == *key).map(|entry| (&entry.node, entry.origin))
            }
            (Value::Seq(items), Segment::Index(index)) => items.get(*index).map(|item| (item, item.origin)),
            _ => None,
        }
    }

    /// Where the key at this path was written; where it was not, the nearest thing above it that was.
    pub(crate) fn locate(&self, path: &KeyPath) -> Origin {
        let mut node = self;
        let mut origin = self.origin;
        for segment in &path.0 {
            let Some((child, at)) = node.child(segment) else { break };
            (node, origin) = (child, at);
        }
        origin
    }

    /// The value at this path.
    pub(crate) fn get(&self, path: &KeyPath) -> Option<&Self> {
        path.0.iter().try_fold(self, |node, segment| node.child(segment).map(|(child, _at)| child))
    }

    /// Puts a value at this path, making the tables and list items on the way. Gives up where something that is no
    /// table stands in the way: the reader of the types will complain about that one.
    pub(crate) fn set(&mut self, path: &KeyPath, origin: Origin, value: Value) {
        let mut node = self;
        for segment in &path.0 {
            let next = match segment {
                Segment::Key(key) => node.entry(key, origin),
                Segment::Index(index) => node.item(*index, origin),
            };
            let Some(next) = next else { return };
            node = next;
        }
        node.origin = origin;
        node.value = value;
    }

    fn entry(&mut self, key: &str, origin: Origin) -> Option<&mut Self> {
        if matches!(self.value, Value::Null) {
            self.value = Value::Map(Vec::new());
        }
        let Value::Map(entries) = &mut self.value else { return None };
        let at = entries.iter().position(|entry| entry.key == key).unwrap_or(entries.len());
        if at == entries.len() {
            entries.push(Entry { key: key.to_owned(), origin, node: Self { origin, value: Value::Null } });
        }
        entries.get_mut(at).map(|entry| {
            entry.origin = origin;
            &mut entry.node
        })
    }

    fn item(&mut self, index: usize, origin: Origin) -> Option<&mut Self> {
        if matches!(self.value, Value::Null) {
            self.value = Value::Seq(Vec::new());
        }
        let Value::Seq(items) = &mut self.value else { return None };
        if index == items.len() {
            items.push(Self { origin, value: Value::Null });
        }
        items.get_mut(index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_round_trip() {
        for text in ["server.domain", "endpoints[1].params.method", "endpoints[0].via.params.tls.cert"] {
            assert_eq!(KeyPath::parse(text).to_string(), text);
        }
    }

    #[test]
    fn a_value_is_put_where_nothing_was() {
        let mut root = Node::default();
        root.set(&KeyPath::parse("endpoints[0].listen"), Origin::Env("X"), Value::Bool(true));
        let node = root.get(&KeyPath::parse("endpoints[0].listen")).unwrap();
        assert!(matches!(node.value, Value::Bool(true)));
        assert_eq!(root.locate(&KeyPath::parse("endpoints[0].listen.deeper")), Origin::Env("X"));
    }
}
