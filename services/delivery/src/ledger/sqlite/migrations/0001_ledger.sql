-- Times are microseconds since the Unix epoch; positions count from 1.

-- How far fan-out is, and who may move it. One row.
CREATE TABLE cursor (
    id           INTEGER PRIMARY KEY CHECK (id = 1),
    -- This ledger's random name: a new ledger beside an old log is told from a lost one by it.
    ledger       TEXT    NOT NULL,
    position     INTEGER NOT NULL,
    silent_until INTEGER,
    epoch        INTEGER NOT NULL,
    owner        TEXT    NOT NULL,
    lease_until  INTEGER NOT NULL
) STRICT;

-- What became of each Follow of a local actor: the fold's state, as JSON.
CREATE TABLE relation (
    actor    TEXT NOT NULL,
    follower TEXT NOT NULL,
    origin   TEXT NOT NULL,
    relation TEXT NOT NULL,
    PRIMARY KEY (actor, follower)
) STRICT, WITHOUT ROWID;
CREATE INDEX relation_origin ON relation (origin);

-- Who takes an actor's deliveries, from one position (included) to another (not included).
CREATE TABLE audience (
    actor         TEXT    NOT NULL,
    follower      TEXT    NOT NULL,
    follow_cid    TEXT    NOT NULL,
    origin        TEXT    NOT NULL,
    inbox         TEXT,
    from_position INTEGER NOT NULL,
    to_position   INTEGER,
    PRIMARY KEY (actor, follower, from_position)
) STRICT, WITHOUT ROWID;
CREATE INDEX audience_origin ON audience (origin, actor);
CREATE INDEX audience_inbox ON audience (actor, inbox) WHERE to_position IS NULL;
CREATE INDEX audience_closed ON audience (to_position) WHERE to_position IS NOT NULL;

-- Blocked peers, from one position to another.
CREATE TABLE block (
    origin        TEXT    NOT NULL,
    from_position INTEGER NOT NULL,
    to_position   INTEGER,
    PRIMARY KEY (origin, from_position)
) STRICT, WITHOUT ROWID;

-- How each peer's origin stands as a receiver.
CREATE TABLE origin (
    origin        TEXT PRIMARY KEY,
    state         TEXT NOT NULL DEFAULT 'live',
    position      INTEGER,
    failing_since INTEGER,
    parked_since  INTEGER,
    alive_at      INTEGER,
    hold_until    INTEGER,
    next_probe    INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX origin_state ON origin (state) WHERE state <> 'live';

-- One local actor's way to one address.
CREATE TABLE lane (
    id           INTEGER PRIMARY KEY,
    actor        TEXT NOT NULL,
    kind         TEXT NOT NULL,
    address      TEXT NOT NULL,
    origin       TEXT NOT NULL REFERENCES origin (origin),
    claim_token  TEXT,
    claim_until  INTEGER,
    -- Until then a message for it is believed to be in the queue.
    queued_until INTEGER NOT NULL DEFAULT 0,
    -- When its first pending delivery is due; null: nothing is pending.
    next_due     INTEGER,
    UNIQUE (actor, address)
) STRICT;
CREATE INDEX lane_origin ON lane (origin);
CREATE INDEX lane_due ON lane (origin, next_due) WHERE next_due IS NOT NULL;
CREATE INDEX lane_next ON lane (next_due) WHERE next_due IS NOT NULL;
CREATE INDEX lane_claimed ON lane (origin) WHERE claim_token IS NOT NULL;

-- The ledger: one entry in one lane.
CREATE TABLE delivery (
    lane       INTEGER NOT NULL REFERENCES lane (id),
    position   INTEGER NOT NULL,
    cid        TEXT    NOT NULL,
    state      TEXT    NOT NULL,
    -- Attempts that count on the delivery's own ladder, and all that were made.
    attempts   INTEGER NOT NULL DEFAULT 0,
    tries      INTEGER NOT NULL DEFAULT 0,
    status     INTEGER NOT NULL DEFAULT 0,
    cause      TEXT    NOT NULL DEFAULT '',
    next_at    INTEGER,
    settled_at INTEGER,
    trace      TEXT    NOT NULL,
    PRIMARY KEY (lane, position)
) STRICT, WITHOUT ROWID;
CREATE INDEX delivery_pending ON delivery (lane, position) WHERE state = 'pending';
CREATE INDEX delivery_position ON delivery (position, lane);
CREATE INDEX delivery_cid ON delivery (cid);
CREATE INDEX delivery_refused ON delivery (position, lane) WHERE state = 'refused';
CREATE INDEX delivery_dead ON delivery (position, lane) WHERE state = 'dead';
CREATE INDEX delivery_settled ON delivery (settled_at) WHERE state = 'delivered';
