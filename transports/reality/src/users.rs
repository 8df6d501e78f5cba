//! Users by the id that VLESS knows them by.

use std::{
    collections::HashMap,
    sync::{Arc, RwLock},
};

use commucat_transport_api::{UserId, UserTable};

use crate::vless::{UUID_BYTES, uuid_of, without_route};

/// The users of a bridge, looked up by VLESS id.
#[derive(Debug)]
pub(crate) struct Users {
    table: Arc<UserTable>,
    index: RwLock<Arc<Index>>,
}

#[derive(Debug, Default)]
struct Index {
    generation: u64,
    users: HashMap<[u8; UUID_BYTES], UserId>,
}

impl Users {
    pub(crate) fn new(table: &Arc<UserTable>) -> Self {
        Self { table: Arc::clone(table), index: RwLock::new(Arc::new(Index::default())) }
    }

    /// Whose id this is. A map look-up: the ids are secret 122-bit numbers, spoken inside TLS.
    pub(crate) fn find(&self, uuid: &[u8; UUID_BYTES]) -> Option<UserId> {
        self.index().users.get(&without_route(*uuid)).cloned()
    }

    pub(crate) fn is_full(&self) -> bool {
        self.table.is_full()
    }

    fn index(&self) -> Arc<Index> {
        let generation = self.table.generation();
        let known = Arc::clone(&self.index.read().unwrap_or_else(std::sync::PoisonError::into_inner));
        if known.generation == generation {
            return known;
        }
        let users = self
            .table
            .snapshot()
            .iter()
            .map(|user| (without_route(uuid_of(user.secret.expose())), user.id.clone()))
            .collect();
        let fresh = Arc::new(Index { generation, users });
        *self.index.write().unwrap_or_else(std::sync::PoisonError::into_inner) = Arc::clone(&fresh);
        fresh
    }
}
