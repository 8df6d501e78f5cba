//! The text a configuration came from, kept so that errors found later still point into it.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    error::{Collector, ConfigFileError, Issue, Issues},
    node::{KeyPath, Node, Origin, Segment, Value},
    read::{ConfigFormat, parse},
};

/// A located tree and its file. Prints only the file's name: the tree holds keys.
#[derive(Clone)]
pub(crate) struct Source {
    file: Option<PathBuf>,
    root: Arc<Node>,
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source").field("file", &self.file).finish_non_exhaustive()
    }
}

impl Source {
    pub(super) fn parse(
        text: &str,
        format: ConfigFormat,
        file: Option<&Path>,
    ) -> Result<(Self, Node), ConfigFileError> {
        let file = file.map(Path::to_owned);
        let root = parse(text, format).map_err(|error| {
            ConfigFileError::Invalid(Issues(vec![Issue {
                file: file.clone(),
                origin: Origin::File(error.at),
                key: String::new(),
                message: error.message,
            }]))
        })?;
        Ok((Self { file, root: Arc::new(Node::default()) }, root))
    }

    pub(super) fn with_root(mut self, root: Node) -> Self {
        self.root = Arc::new(root);
        self
    }

    pub(crate) fn collector(&self) -> Collector<'_> {
        Collector::new(self.file.as_ref(), &self.root)
    }

    pub(super) fn is_from_env(&self, key: &str) -> bool {
        matches!(self.root.locate(&KeyPath::parse(key)), Origin::Env(_))
    }

    /// Whether something was written at this key path.
    pub(crate) fn has(&self, path: &KeyPath) -> bool {
        self.root.get(path).is_some()
    }

    /// The first key of this name at or below a path.
    pub(crate) fn find_key(&self, below: &KeyPath, name: &str) -> Option<KeyPath> {
        let mut path = below.clone();
        search(self.root.get(below)?, name, &mut path).then_some(path)
    }

    pub(super) fn root(&self) -> &Node {
        &self.root
    }
}

fn search(node: &Node, name: &str, path: &mut KeyPath) -> bool {
    let step = |segment: Segment, node: &Node, path: &mut KeyPath, hit: bool| {
        path.0.push(segment);
        let found = hit || search(node, name, path);
        if !found {
            path.0.pop();
        }
        found
    };
    match &node.value {
        Value::Map(entries) => entries
            .iter()
            .any(|entry| step(Segment::Key(entry.key.clone()), &entry.node, path, entry.key == name)),
        Value::Seq(items) => {
            items.iter().enumerate().any(|(at, item)| step(Segment::Index(at), item, path, false))
        }
        _ => false,
    }
}
