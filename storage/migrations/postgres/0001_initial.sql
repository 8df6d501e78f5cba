-- Times are milliseconds since 1970-01-01 UTC. Keys sort by their bytes, as they do in SQLite.

CREATE TABLE users (
    id            TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    secret        BYTEA   NOT NULL CHECK (octet_length(secret) = 32),
    created_at_ms BIGINT  NOT NULL,
    disabled      BOOLEAN NOT NULL,
    note          TEXT    NOT NULL
);

CREATE TABLE meta (
    key           TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    value         BYTEA  NOT NULL,
    updated_at_ms BIGINT NOT NULL
);

CREATE TABLE audit (
    id      BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at_ms   BIGINT NOT NULL,
    actor   TEXT   NOT NULL,
    action  TEXT   NOT NULL,
    subject TEXT   NOT NULL,
    detail  TEXT   NOT NULL
);

CREATE FUNCTION audit_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'audit is append-only';
END
$$;

CREATE TRIGGER audit_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON audit
    FOR EACH STATEMENT EXECUTE FUNCTION audit_is_append_only();

CREATE TABLE endpoint_checks (
    endpoint      TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    checked_at_ms BIGINT  NOT NULL,
    ok            BOOLEAN NOT NULL,
    rtt_ms        BIGINT,
    failure       TEXT
);
