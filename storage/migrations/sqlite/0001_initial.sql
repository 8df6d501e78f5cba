-- Times are milliseconds since 1970-01-01 UTC.

CREATE TABLE users (
    id            TEXT    NOT NULL PRIMARY KEY,
    secret        BLOB    NOT NULL CHECK (length(secret) = 32),
    created_at_ms INTEGER NOT NULL,
    disabled      INTEGER NOT NULL CHECK (disabled IN (0, 1)),
    note          TEXT    NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE meta (
    key           TEXT    NOT NULL PRIMARY KEY,
    value         BLOB    NOT NULL,
    updated_at_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE audit (
    id      INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    at_ms   INTEGER NOT NULL,
    actor   TEXT    NOT NULL,
    action  TEXT    NOT NULL,
    subject TEXT    NOT NULL,
    detail  TEXT    NOT NULL
) STRICT;

CREATE TRIGGER audit_no_update BEFORE UPDATE ON audit
BEGIN
    SELECT RAISE(ABORT, 'audit is append-only');
END;

CREATE TRIGGER audit_no_delete BEFORE DELETE ON audit
BEGIN
    SELECT RAISE(ABORT, 'audit is append-only');
END;

CREATE TABLE endpoint_checks (
    endpoint      TEXT    NOT NULL PRIMARY KEY,
    checked_at_ms INTEGER NOT NULL,
    ok            INTEGER NOT NULL CHECK (ok IN (0, 1)),
    rtt_ms        INTEGER,
    failure       TEXT
) STRICT, WITHOUT ROWID;
