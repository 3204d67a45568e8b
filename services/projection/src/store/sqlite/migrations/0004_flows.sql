-- Texts of strangers may be of any length, which would make an index as large: they are found by their SHA-256.

-- Every behaviour that was ever in effect.
CREATE TABLE behaviour (
    position INTEGER PRIMARY KEY, -- the entry that brought it into effect
    cid      TEXT NOT NULL,
    name     TEXT NOT NULL,
    record   BLOB NOT NULL
) STRICT;

-- Flows as they stand at a version of their streams. What may be large stands last, so that reading the rest of a row never
-- walks its overflow pages.
CREATE TABLE flow (
    id               TEXT    NOT NULL PRIMARY KEY,
    name             TEXT    NOT NULL, -- the behaviour's, and the CID of its record
    behaviour        TEXT    NOT NULL,
    activity         TEXT    NOT NULL, -- the CID of what started it
    activity_id_hash BLOB,
    position         INTEGER NOT NULL,
    verb             TEXT    NOT NULL,
    object_hash      BLOB,
    public           INTEGER NOT NULL,
    started_at       INTEGER NOT NULL,
    version          INTEGER NOT NULL,
    last_position    INTEGER NOT NULL,
    moved_at         INTEGER NOT NULL,
    status           TEXT    NOT NULL,
    needs            TEXT    NOT NULL,
    due              INTEGER,          -- when something is to be done
    owner            TEXT    NOT NULL, -- '': nobody
    claim_until      INTEGER NOT NULL,
    activity_id      TEXT    NOT NULL,
    actor            TEXT    NOT NULL,
    object           TEXT    NOT NULL,
    cause            TEXT    NOT NULL,
    waits            BLOB    NOT NULL, -- [[step, key]] as JSON
    state            BLOB    NOT NULL
) STRICT;

CREATE INDEX flow_due ON flow (needs, due) WHERE due IS NOT NULL;
CREATE INDEX flow_owner ON flow (owner) WHERE owner <> '';
CREATE INDEX flow_over ON flow (moved_at) WHERE status IN ('completed', 'cancelled');
CREATE INDEX flow_latest ON flow (position DESC, id);
CREATE INDEX flow_public ON flow (position DESC, id) WHERE public;
CREATE INDEX flow_status ON flow (status, position DESC, id);
CREATE INDEX flow_name ON flow (name, position DESC, id);
CREATE INDEX flow_activity ON flow (activity, position DESC, id);
CREATE INDEX flow_activity_id ON flow (activity_id_hash, position DESC, id) WHERE activity_id_hash IS NOT NULL;
CREATE INDEX flow_object ON flow (object_hash, position DESC, id) WHERE object_hash IS NOT NULL;

-- By what `flow.waits` is found.
CREATE TABLE flow_wait (
    behaviour TEXT NOT NULL,
    step      TEXT NOT NULL,
    key_hash  BLOB NOT NULL,
    flow      TEXT NOT NULL,
    PRIMARY KEY (behaviour, step, key_hash, flow)
) STRICT, WITHOUT ROWID;
CREATE INDEX flow_wait_flow ON flow_wait (flow);

-- What the runners can do that are alive.
CREATE TABLE runner (
    owner       TEXT    NOT NULL PRIMARY KEY,
    kinds       BLOB    NOT NULL, -- as JSON
    alive_until INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
