//! The last self-check of each endpoint, so that the command line can tell about a bridge that runs elsewhere.

use crate::{
    Entity, MAX_ENDPOINT_BYTES, MAX_FAILURE_BYTES, Storage, StorageError, limits,
    pools::{read, write},
};

/// What the last check of an endpoint showed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointCheck {
    /// Which endpoint, as the bridge names it.
    pub endpoint: String,
    /// When it was checked.
    pub checked_at_ms: i64,
    /// Whether it answered.
    pub ok: bool,
    /// How long the dial took, when it answered.
    pub rtt_ms: Option<i64>,
    /// Why it did not answer. Cut to [`MAX_FAILURE_BYTES`].
    pub failure: Option<String>,
}

type Row = (String, i64, bool, Option<i64>, Option<String>);

impl Storage {
    /// Remembers a check, unless a later one is remembered already.
    ///
    /// # Errors
    /// [`StorageError::Invalid`] for an endpoint name that is empty or too long.
    pub async fn put_endpoint_check(&self, check: &EndpointCheck) -> Result<(), StorageError> {
        limits::name("endpoint", &check.endpoint, MAX_ENDPOINT_BYTES)?;
        let failure = check.failure.as_deref().map(|text| text.replace('\0', " "));
        let failure = failure.as_deref().map(|text| limits::front(text, MAX_FAILURE_BYTES));
        write!(self, |connection| {
            sqlx::query(
                "INSERT INTO endpoint_checks (endpoint, checked_at_ms, ok, rtt_ms, failure)
                 VALUES ($1, $2, $3, $4, $5)
                 ON CONFLICT (endpoint) DO UPDATE SET checked_at_ms = excluded.checked_at_ms, ok = excluded.ok,
                     rtt_ms = excluded.rtt_ms, failure = excluded.failure
                 WHERE excluded.checked_at_ms >= endpoint_checks.checked_at_ms",
            )
            .bind(check.endpoint.as_str())
            .bind(check.checked_at_ms)
            .bind(check.ok)
            .bind(check.rtt_ms)
            .bind(failure)
            .execute(connection)
            .await?;
        });
        Ok(())
    }

    /// The last check of every endpoint, by name in byte order.
    ///
    /// # Errors
    /// The database failed.
    pub async fn endpoint_checks(&self) -> Result<Vec<EndpointCheck>, StorageError> {
        let rows: Vec<Row> = read!(self, |connection| sqlx::query_as(
            "SELECT endpoint, checked_at_ms, ok, rtt_ms, failure FROM endpoint_checks ORDER BY endpoint"
        )
        .fetch_all(connection)
        .await?);
        Ok(rows.into_iter().map(check).collect())
    }

    /// Forgets an endpoint that is no longer served.
    ///
    /// # Errors
    /// [`StorageError::NotFound`].
    pub async fn remove_endpoint_check(&self, endpoint: &str) -> Result<(), StorageError> {
        let rows = write!(self, |connection| sqlx::query("DELETE FROM endpoint_checks WHERE endpoint = $1")
            .bind(endpoint)
            .execute(connection)
            .await?
            .rows_affected());
        if rows == 0 { Err(StorageError::NotFound(Entity::EndpointCheck)) } else { Ok(()) }
    }
}

fn check((endpoint, checked_at_ms, ok, rtt_ms, failure): Row) -> EndpointCheck {
    EndpointCheck { endpoint, checked_at_ms, ok, rtt_ms, failure }
}
