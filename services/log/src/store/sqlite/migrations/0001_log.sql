-- Times are microseconds since the Unix epoch; numbers that are unsigned in the contract stay below 2^63.

-- One row: how far the log reaches. Whoever numbers entries holds it.
CREATE TABLE head (
    id         INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    position   INTEGER NOT NULL,
    public     INTEGER NOT NULL,  -- entries that address the public
    kv_version INTEGER NOT NULL   -- the last number given to a change of kv
) STRICT;
INSERT INTO head (id, position, public, kv_version) VALUES (1, 0, 0, 0);

CREATE TABLE stream (
    name       TEXT    NOT NULL PRIMARY KEY,
    version    INTEGER NOT NULL,
    public     INTEGER NOT NULL,  -- entries that address the public
    published  INTEGER,           -- when the last sealed activity was published
    public_cid TEXT               -- the last sealed public activity, to which the next one's `prev` points
) STRICT, WITHOUT ROWID;

-- `body` stands last, so that reading the rest of a row never walks its overflow pages.
CREATE TABLE entry (
    position    INTEGER NOT NULL PRIMARY KEY,
    stream      TEXT    NOT NULL,
    version     INTEGER NOT NULL,
    cid         TEXT    NOT NULL,
    activity_id TEXT,
    public      INTEGER NOT NULL,
    appended_at INTEGER NOT NULL,
    meta        TEXT    NOT NULL,
    body        BLOB    NOT NULL
) STRICT;
CREATE UNIQUE INDEX entry_cid ON entry (cid, stream);
CREATE UNIQUE INDEX entry_activity_id ON entry (activity_id, stream);
CREATE INDEX entry_stream ON entry (stream, position);
CREATE INDEX entry_public ON entry (position) WHERE public = 1;
CREATE INDEX entry_stream_public ON entry (stream, position) WHERE public = 1;

CREATE TABLE draft_key (
    stream TEXT NOT NULL,
    key    TEXT NOT NULL,
    cid    TEXT NOT NULL,
    PRIMARY KEY (stream, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE kv (
    space   TEXT    NOT NULL,
    key     TEXT    NOT NULL,
    version INTEGER NOT NULL,
    value   BLOB    NOT NULL,
    PRIMARY KEY (space, key)
) STRICT;
