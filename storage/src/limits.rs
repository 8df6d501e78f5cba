//! What may be stored: longest texts and values, and the check that both databases would disagree about otherwise.

use crate::StorageError;

/// Longest note on a user, in bytes.
pub const MAX_NOTE_BYTES: usize = 1024;
/// Longest name of an actor, an action or a subject in the journal, in bytes.
pub const MAX_ACTOR_BYTES: usize = 128;
/// Longest detail of a journal entry, in bytes.
pub const MAX_DETAIL_BYTES: usize = 2048;
/// Longest key in `meta`, in bytes.
pub const MAX_META_KEY_BYTES: usize = 128;
/// Longest value in `meta`, in bytes.
pub const MAX_META_VALUE_BYTES: usize = 64 * 1024;
/// Longest name of an endpoint, in bytes.
pub const MAX_ENDPOINT_BYTES: usize = 512;
/// Longest failure text that is kept of a self-check, in bytes; a longer one is cut.
pub const MAX_FAILURE_BYTES: usize = 512;
/// Most journal entries that one call gives.
pub const MAX_AUDIT_PAGE: u32 = 1000;

/// Refuses a text that is too long or holds a NUL, which PostgreSQL cannot store and SQLite can.
pub(crate) fn text(field: &'static str, value: &str, max_bytes: usize) -> Result<(), StorageError> {
    if value.len() > max_bytes {
        return Err(StorageError::Invalid { field, reason: "too long" });
    }
    if value.contains('\0') {
        return Err(StorageError::Invalid { field, reason: "holds a NUL character" });
    }
    Ok(())
}

/// The same for a text that must say something.
pub(crate) fn name(field: &'static str, value: &str, max_bytes: usize) -> Result<(), StorageError> {
    if value.is_empty() {
        return Err(StorageError::Invalid { field, reason: "empty" });
    }
    text(field, value, max_bytes)
}

/// The front of a text that fits, cut between characters.
pub(crate) fn front(value: &str, max_bytes: usize) -> &str {
    let mut end = value.len().min(max_bytes);
    while !value.is_char_boundary(end) {
        end = end.saturating_sub(1);
    }
    value.get(..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_exact() {
        assert!(text("note", &"a".repeat(3), 3).is_ok());
        assert!(text("note", &"a".repeat(4), 3).is_err());
        assert!(text("note", "a\0b", 9).is_err());
        assert!(text("note", "", 9).is_ok());
        assert!(name("key", "", 9).is_err());
    }

    #[test]
    fn a_cut_never_splits_a_character() {
        assert_eq!(front("abc", 9), "abc");
        assert_eq!(front("äöü", 3), "ä");
        assert_eq!(front("äöü", 0), "");
    }
}
