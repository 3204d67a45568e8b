-- What is kept under which name. `id` is the CID of the record that defines it, and the `view` of its shards and rows. Views of
-- the version before have no record: they go on serving their names until what is defined has caught up with them.
CREATE TABLE projection (
    id     TEXT PRIMARY KEY,
    name   TEXT NOT NULL,
    record BLOB NOT NULL,
    since  INTEGER NOT NULL, -- the entry that brought it into effect
    state  TEXT NOT NULL,    -- building, live, retired
    cohort INTEGER NOT NULL  -- those that are built together
) WITHOUT ROWID, STRICT;

CREATE UNIQUE INDEX projection_live ON projection (name) WHERE state = 'live';

INSERT INTO projection (id, name, record, since, state, cohort)
SELECT DISTINCT view, view, x'', 0, 'live', 0 FROM shard WHERE view NOT LIKE 'reaction/%';
