//! Notices what other processes do to users. The journal's newest number moves with every change of a user, so one
//! tiny query a second is enough; the whole list is read only when it moved.

use std::{sync::Arc, time::Duration};

use commucat_storage::{Storage, StorageError};
use commucat_transport_api::{Net, User};

use crate::{metrics::Metrics, roster::Roster, users::admitted};

/// Time between two looks.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Looks after which the list is read even if the number stands still: two writers of a PostgreSQL may commit in
/// another order than they were numbered.
const FULL_EVERY: u32 = 60;
/// Longest wait for the database.
const PATIENCE: Duration = Duration::from_secs(5);

/// Keeps a roster in step with a storage.
#[derive(Clone, Debug)]
pub(crate) struct Watch {
    pub(crate) storage: Storage,
    pub(crate) roster: Arc<Roster>,
    pub(crate) health: User,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) net: Arc<dyn Net>,
    pub(crate) storage_up: Arc<std::sync::atomic::AtomicBool>,
}

impl Watch {
    /// Reads all users now.
    pub(crate) async fn refresh(&self) -> Result<(), StorageError> {
        let users = admitted(&self.storage, &self.health).await?;
        let cut = self.roster.replace(&users);
        if cut > 0 {
            tracing::info!(
                users = cut,
                "users removed, disabled or given new keys; their connections are cut"
            );
        }
        self.metrics.users.set(users.len().saturating_sub(1) as f64);
        Ok(())
    }

    /// Looks for changes for ever. A database that fails leaves the users as they are.
    pub(crate) async fn run(self) {
        let mut seen = None;
        let mut looks = 0;
        loop {
            let due = seen.is_none() || looks >= FULL_EVERY;
            match tokio::time::timeout(PATIENCE, self.look(seen, due)).await {
                Ok(Ok(newest)) => {
                    looks = if due { 0 } else { looks + 1 };
                    seen = Some(newest);
                    self.storage_is(true);
                }
                Ok(Err(error)) => self.failed(&error),
                Err(_elapsed) => self.failed(&"no answer in time"),
            }
            self.net.sleep_until(self.net.now() + LOOK_EVERY).await;
        }
    }

    async fn look(&self, seen: Option<i64>, due: bool) -> Result<i64, StorageError> {
        let newest = self.storage.audit(None, 1).await?.first().map_or(0, |event| event.id);
        if due || seen != Some(newest) {
            self.refresh().await?;
        }
        Ok(newest)
    }

    fn failed(&self, error: &(dyn std::fmt::Display + Sync)) {
        if self.storage_is(false) {
            tracing::error!(%error, "the storage does not answer; users stay as they are");
        }
    }

    /// Gives whether it was different before.
    fn storage_is(&self, up: bool) -> bool {
        self.metrics.storage_up.set(if up { 1.0 } else { 0.0 });
        self.storage_up.swap(up, std::sync::atomic::Ordering::Relaxed) != up
    }
}
