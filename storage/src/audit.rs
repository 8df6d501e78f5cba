//! The journal of administrative actions: who did what to whom, and when. Triggers in both schemas refuse to change
//! or delete an entry.

use crate::{
    MAX_ACTOR_BYTES, MAX_AUDIT_PAGE, MAX_DETAIL_BYTES, Storage, StorageError, limits,
    pools::{read, write},
};

/// Who acts, and when.
#[derive(Clone, Copy, Debug)]
pub struct Stamp<'a> {
    /// Who: `cli:root`, `bridge`, later the name of an operator. 1 to [`MAX_ACTOR_BYTES`] bytes.
    pub actor: &'a str,
    /// When.
    pub at_ms: i64,
}

impl Stamp<'_> {
    pub(crate) fn check(&self) -> Result<(), StorageError> {
        limits::name("actor", self.actor, MAX_ACTOR_BYTES)
    }
}

/// An entry of the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AuditEvent {
    /// Grows with every entry.
    pub id: i64,
    /// When.
    pub at_ms: i64,
    /// Who.
    pub actor: String,
    /// What: `user.add`, `user.disable`, …
    pub action: String,
    /// To whom or what; empty when the action says it all.
    pub subject: String,
    /// More about it. Never a secret.
    pub detail: String,
}

pub(crate) const INSERT: &str =
    "INSERT INTO audit (at_ms, actor, action, subject, detail) VALUES ($1, $2, $3, $4, $5)";

/// Writes an entry inside the transaction of the change it is about.
macro_rules! log {
    ($connection:ident, $action:expr, $subject:expr, $detail:expr, $by:expr) => {
        sqlx::query($crate::audit::INSERT)
            .bind($by.at_ms)
            .bind($by.actor)
            .bind($action)
            .bind($subject)
            .bind($detail)
            .execute(&mut *$connection)
            .await?
    };
}
pub(crate) use log;

type Row = (i64, i64, String, String, String, String);

impl Storage {
    /// Writes an entry about something that changed no user: the bridge started, keys were made.
    ///
    /// # Errors
    /// [`StorageError::Invalid`] for a text that is empty or too long.
    pub async fn append_audit(
        &self,
        action: &str,
        subject: &str,
        detail: &str,
        by: Stamp<'_>,
    ) -> Result<(), StorageError> {
        by.check()?;
        limits::name("action", action, MAX_ACTOR_BYTES)?;
        limits::text("subject", subject, MAX_ACTOR_BYTES)?;
        limits::text("detail", detail, MAX_DETAIL_BYTES)?;
        write!(self, |connection| {
            log!(connection, action, subject, detail, by);
        });
        Ok(())
    }

    /// Entries, newest first: those before the entry `before`, or the newest; at most `limit`, and at most
    /// [`MAX_AUDIT_PAGE`].
    ///
    /// # Errors
    /// The database failed.
    pub async fn audit(&self, before: Option<i64>, limit: u32) -> Result<Vec<AuditEvent>, StorageError> {
        let rows: Vec<Row> = read!(self, |connection| {
            sqlx::query_as(
            "SELECT id, at_ms, actor, action, subject, detail FROM audit WHERE id < $1 ORDER BY id DESC LIMIT $2"
        )
        .bind(before.unwrap_or(i64::MAX))
        .bind(i64::from(limit.min(MAX_AUDIT_PAGE)))
        .fetch_all(connection)
        .await?
        });
        Ok(rows.into_iter().map(event).collect())
    }
}

fn event((id, at_ms, actor, action, subject, detail): Row) -> AuditEvent {
    AuditEvent { id, at_ms, actor, action, subject, detail }
}
