-- Times are microseconds since the Unix epoch; numbers that are unsigned in the contract stay below 2^63.

-- The leases, and how far each shard of each view (and each reaction) is.
CREATE TABLE shard (
    view        TEXT    NOT NULL,
    shard       INTEGER NOT NULL,
    owner       TEXT    NOT NULL,  -- '': nobody
    lease_until INTEGER NOT NULL,
    epoch       INTEGER NOT NULL,
    position    INTEGER NOT NULL,
    count       INTEGER NOT NULL,  -- entries applied
    digest      BLOB    NOT NULL,  -- chained over them
    halted      TEXT,              -- why it stands still
    PRIMARY KEY (view, shard)
) STRICT, WITHOUT ROWID;

-- The workers that are alive.
CREATE TABLE member (
    crew        TEXT    NOT NULL,  -- the group whose shards they share
    owner       TEXT    NOT NULL,
    alive_until INTEGER NOT NULL,
    PRIMARY KEY (crew, owner)
) STRICT, WITHOUT ROWID;

-- `value` stands last, so that reading the rest of a row never walks its overflow pages.
CREATE TABLE view_row (
    view     TEXT    NOT NULL,
    key      TEXT    NOT NULL,
    peer     TEXT,                 -- the origin that the row is about
    position INTEGER NOT NULL,     -- the entry that changed it last
    value    BLOB    NOT NULL,
    PRIMARY KEY (view, key)
) STRICT;
CREATE INDEX view_row_peer ON view_row (view, peer) WHERE peer IS NOT NULL;
