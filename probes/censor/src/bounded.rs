//! A map with a bound: when it is full, what was not used for longest makes room. Every table of the judge is one, so
//! no traffic can make it grow.

use std::{
    collections::HashMap,
    hash::{BuildHasherDefault, DefaultHasher, Hash},
};

/// No neighbour.
const NONE: usize = usize::MAX;

#[derive(Debug)]
pub(crate) struct Bounded<K, V> {
    index: HashMap<K, usize, BuildHasherDefault<DefaultHasher>>,
    nodes: Vec<Node<K, V>>,
    free: Vec<usize>,
    oldest: usize,
    newest: usize,
    capacity: usize,
}

#[derive(Debug)]
struct Node<K, V> {
    entry: Option<(K, V)>,
    older: usize,
    newer: usize,
}

impl<K: Copy + Eq + Hash, V> Bounded<K, V> {
    /// A map of at most `capacity` entries, at least one.
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            index: HashMap::default(),
            nodes: Vec::new(),
            free: Vec::new(),
            oldest: NONE,
            newest: NONE,
            capacity: capacity.max(1),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.index.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    pub(crate) fn contains(&self, key: &K) -> bool {
        self.index.contains_key(key)
    }

    /// The entry, without making it newer.
    pub(crate) fn peek(&self, key: &K) -> Option<&V> {
        let slot = *self.index.get(key)?;
        self.nodes.get(slot)?.entry.as_ref().map(|(_key, value)| value)
    }

    /// The entry; it becomes the newest.
    pub(crate) fn get(&mut self, key: &K) -> Option<&mut V> {
        let slot = *self.index.get(key)?;
        self.touch(slot);
        self.nodes.get_mut(slot)?.entry.as_mut().map(|(_key, value)| value)
    }

    /// Puts an entry in as the newest. Gives back what had to leave for it: the entry of the same key, or the oldest.
    pub(crate) fn insert(&mut self, key: K, value: V) -> Option<(K, V)> {
        let replaced = self.remove(&key).map(|old| (key, old));
        let left = if self.index.len() >= self.capacity { self.pop_oldest() } else { None };
        let node = Node { entry: Some((key, value)), older: NONE, newer: NONE };
        let slot = if let Some(slot) = self.free.pop() {
            if let Some(place) = self.nodes.get_mut(slot) {
                *place = node;
            }
            slot
        } else {
            self.nodes.push(node);
            self.nodes.len() - 1
        };
        self.link_newest(slot);
        self.index.insert(key, slot);
        replaced.or(left)
    }

    pub(crate) fn remove(&mut self, key: &K) -> Option<V> {
        let slot = self.index.remove(key)?;
        self.unlink(slot);
        self.free.push(slot);
        self.nodes.get_mut(slot)?.entry.take().map(|(_key, value)| value)
    }

    /// The key of the entry that was not used for longest.
    pub(crate) fn oldest(&self) -> Option<K> {
        self.key_at(self.oldest)
    }

    /// The key next newer than that one.
    pub(crate) fn newer(&self, key: &K) -> Option<K> {
        let slot = *self.index.get(key)?;
        self.key_at(self.nodes.get(slot)?.newer)
    }

    pub(crate) fn pop_oldest(&mut self) -> Option<(K, V)> {
        let key = self.oldest()?;
        self.remove(&key).map(|value| (key, value))
    }

    fn key_at(&self, slot: usize) -> Option<K> {
        self.nodes.get(slot)?.entry.as_ref().map(|(key, _value)| *key)
    }

    fn touch(&mut self, slot: usize) {
        if slot != self.newest {
            self.unlink(slot);
            self.link_newest(slot);
        }
    }

    fn link_newest(&mut self, slot: usize) {
        let older = std::mem::replace(&mut self.newest, slot);
        if let Some(node) = self.nodes.get_mut(slot) {
            node.older = older;
            node.newer = NONE;
        }
        match self.nodes.get_mut(older) {
            Some(node) => node.newer = slot,
            None => self.oldest = slot,
        }
    }

    fn unlink(&mut self, slot: usize) {
        let Some((older, newer)) = self.nodes.get(slot).map(|node| (node.older, node.newer)) else { return };
        match self.nodes.get_mut(older) {
            Some(node) => node.newer = newer,
            None => self.oldest = newer,
        }
        match self.nodes.get_mut(newer) {
            Some(node) => node.older = older,
            None => self.newest = older,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_least_used_leaves_first() {
        let mut map = Bounded::new(2);
        assert_eq!(map.insert(1, "a"), None);
        assert_eq!(map.insert(2, "b"), None);
        assert!(map.get(&1).is_some());
        assert_eq!(map.insert(3, "c"), Some((2, "b")));
        assert_eq!(map.insert(1, "d"), Some((1, "a")));
        assert_eq!((map.oldest(), map.newer(&3), map.newer(&1)), (Some(3), Some(1), None));
        assert_eq!(map.pop_oldest(), Some((3, "c")));
        assert_eq!((map.len(), map.peek(&1), map.peek(&3)), (1, Some(&"d"), None));
    }

    proptest! {
        /// Against a plain list that is ordered by use.
        #[test]
        fn like_a_list(operations in prop::collection::vec((0_u8..3, 0_u8..12), 0..200)) {
            let mut map = Bounded::new(5);
            let mut list: Vec<(u8, usize)> = Vec::new();
            for (step, (kind, key)) in operations.into_iter().enumerate() {
                let place = list.iter().position(|(known, _)| *known == key);
                let taken = place.filter(|_| kind < 3).map(|place| list.remove(place));
                match kind {
                    0 => {
                        let left = if taken.is_none() && list.len() == 5 { Some(list.remove(0)) } else { taken };
                        prop_assert_eq!(map.insert(key, step), left);
                        list.push((key, step));
                    }
                    1 => {
                        prop_assert_eq!(map.get(&key).copied(), taken.map(|(_, value)| value));
                        list.extend(taken);
                    }
                    _ => prop_assert_eq!(map.remove(&key), taken.map(|(_, value)| value)),
                }
                prop_assert_eq!(map.len(), list.len());
                let mut walked = Vec::new();
                let mut next = map.oldest();
                while let Some(key) = next {
                    walked.push((key, *map.peek(&key).unwrap()));
                    next = map.newer(&key);
                }
                prop_assert_eq!(&walked, &list);
            }
        }
    }
}
