-- What is sent again goes through a lane of its own, beside the one to the same address that keeps the order. Both tables
-- are made anew, since a lane's key changes and deliveries refer to it.

CREATE TABLE new_lane (
    id          INTEGER PRIMARY KEY,
    actor       TEXT    NOT NULL,
    kind        TEXT    NOT NULL,
    address     TEXT    NOT NULL,
    origin      TEXT    NOT NULL REFERENCES origin (origin),
    replay      INTEGER NOT NULL DEFAULT 0,
    claim_token TEXT,
    claim_until INTEGER,
    -- No sweep needs to look at it before: its message waits in the queue, somebody's claim holds, or nothing is due.
    sweep_at    INTEGER NOT NULL DEFAULT 0,
    -- When its first pending delivery is due, of a replay lane the earliest; null: nothing is pending.
    next_due    INTEGER,
    UNIQUE (actor, address, replay)
) STRICT;
INSERT INTO new_lane (id, actor, kind, address, origin, claim_token, claim_until, next_due)
SELECT id, actor, kind, address, origin, claim_token, claim_until, next_due FROM lane;

CREATE TABLE new_delivery (
    lane       INTEGER NOT NULL REFERENCES new_lane (id),
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
INSERT INTO new_delivery (lane, position, cid, state, attempts, tries, status, cause, next_at, settled_at, trace)
SELECT lane, position, cid, state, attempts, tries, status, cause, next_at, settled_at, trace FROM delivery;

DROP TABLE delivery;
DROP TABLE lane;
ALTER TABLE new_lane RENAME TO lane;
ALTER TABLE new_delivery RENAME TO delivery;

CREATE INDEX lane_origin ON lane (origin);
CREATE INDEX lane_owing ON lane (origin, sweep_at) WHERE next_due IS NOT NULL;
CREATE INDEX lane_sweep ON lane (sweep_at) WHERE next_due IS NOT NULL;
CREATE INDEX lane_claimed ON lane (origin) WHERE claim_token IS NOT NULL;
CREATE INDEX origin_failing ON origin (origin) WHERE failing_since IS NOT NULL;

CREATE INDEX delivery_pending ON delivery (lane, position) WHERE state = 'pending';
CREATE INDEX delivery_position ON delivery (position, lane);
CREATE INDEX delivery_cid ON delivery (cid);
CREATE INDEX delivery_settled ON delivery (settled_at) WHERE state = 'delivered';
-- Dead letters, by age and by lane.
CREATE INDEX delivery_dead ON delivery (position, lane) WHERE state IN ('refused', 'dead');
CREATE INDEX delivery_dead_lane ON delivery (lane, position) WHERE state IN ('refused', 'dead');
