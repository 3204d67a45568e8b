-- Times are microseconds since the Unix epoch; positions count from 1. Text is ordered by its bytes, whatever the database's
-- own order. There are no foreign keys: each would lock the row that is referred to, and what is referred to is never deleted.

-- How far fan-out is, and who may move it. One row.
CREATE TABLE cursor (
    id           boolean PRIMARY KEY CHECK (id),
    -- This ledger's random name: a new ledger beside an old log is told from a lost one by it.
    ledger       text    COLLATE "C" NOT NULL,
    position     bigint  NOT NULL,
    silent_until bigint,
    epoch        bigint  NOT NULL,
    owner        text    COLLATE "C" NOT NULL,
    lease_until  bigint  NOT NULL
) WITH (fillfactor = 10);

-- What became of each Follow of a local actor: the fold's state, as JSON.
CREATE TABLE relation (
    actor    text COLLATE "C" NOT NULL,
    follower text COLLATE "C" NOT NULL,
    origin   text COLLATE "C" NOT NULL,
    relation text COLLATE "C" NOT NULL,
    PRIMARY KEY (actor, follower)
);
CREATE INDEX relation_origin ON relation (origin);

-- Who takes an actor's deliveries, from one position (included) to another (not included).
CREATE TABLE audience (
    actor         text   COLLATE "C" NOT NULL,
    follower      text   COLLATE "C" NOT NULL,
    follow_cid    text   COLLATE "C" NOT NULL,
    origin        text   COLLATE "C" NOT NULL,
    inbox         text   COLLATE "C",
    from_position bigint NOT NULL,
    to_position   bigint,
    PRIMARY KEY (actor, follower, from_position)
);
CREATE INDEX audience_origin ON audience (origin, actor);
CREATE INDEX audience_inbox ON audience (actor, inbox) WHERE to_position IS NULL;
CREATE INDEX audience_closed ON audience (to_position) WHERE to_position IS NOT NULL;

-- Blocked peers, from one position to another.
CREATE TABLE block (
    origin        text   COLLATE "C" NOT NULL,
    from_position bigint NOT NULL,
    to_position   bigint,
    PRIMARY KEY (origin, from_position)
);
CREATE INDEX block_open ON block (origin) WHERE to_position IS NULL;
CREATE INDEX block_closed ON block (to_position) WHERE to_position IS NOT NULL;

-- How each peer's origin stands as a receiver. Every batch of outcomes writes the rows of its origins, mostly `alive_at`
-- alone, which stands in no index: such an update stays within its page.
CREATE TABLE origin (
    origin        text COLLATE "C" PRIMARY KEY,
    state         text COLLATE "C" NOT NULL DEFAULT 'live',
    position      bigint,
    failing_since bigint,
    parked_since  bigint,
    alive_at      bigint,
    hold_until    bigint,
    next_probe    bigint
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05);
-- All that are not simply live.
CREATE INDEX origin_troubled ON origin (origin)
    WHERE state <> 'live' OR failing_since IS NOT NULL OR hold_until IS NOT NULL;

-- One local actor's way to one address: what never changes. What is sent again goes through a lane of its own, beside the
-- one to the same address that keeps the order.
CREATE TABLE lane (
    id      bigint  GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    actor   text    COLLATE "C" NOT NULL,
    kind    text    COLLATE "C" NOT NULL,
    address text    COLLATE "C" NOT NULL,
    origin  text    COLLATE "C" NOT NULL,
    replay  boolean NOT NULL DEFAULT false,
    UNIQUE (address, actor, replay)
);
CREATE INDEX lane_origin ON lane (origin);

-- And what changes with every delivery: apart, so that it is small and has few indexes. Its row is the lane's lock.
CREATE TABLE lane_state (
    lane        bigint  PRIMARY KEY,
    claim_token text    COLLATE "C",
    claim_until bigint,
    -- No sweep needs to look at it before: its message waits in the queue, somebody's claim holds, or nothing is due.
    sweep_at    bigint  NOT NULL DEFAULT 0,
    -- When its first pending delivery is due, of a replay lane the earliest; null: nothing is pending.
    next_due    bigint,
    -- Its origin is parked, and sweeps do not come by. Kept for lanes with pending deliveries, under the cursor's lock.
    parked      boolean NOT NULL DEFAULT false
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_cost_delay = 0);
CREATE INDEX lane_sweep ON lane_state (sweep_at) WHERE next_due IS NOT NULL AND NOT parked;

-- The ledger: one entry in one lane.
CREATE TABLE delivery (
    lane       bigint  NOT NULL,
    position   bigint  NOT NULL,
    next_at    bigint,
    settled_at bigint,
    -- Attempts that count on the delivery's own ladder, and all that were made.
    attempts   integer NOT NULL DEFAULT 0,
    tries      integer NOT NULL DEFAULT 0,
    status     integer NOT NULL DEFAULT 0,
    state      text    COLLATE "C" NOT NULL,
    cause      text    COLLATE "C" NOT NULL DEFAULT '',
    cid        text    COLLATE "C" NOT NULL,
    trace      text    COLLATE "C" NOT NULL,
    PRIMARY KEY (lane, position)
) WITH (autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_cost_delay = 0);
CREATE INDEX delivery_pending ON delivery (lane, position) WHERE state = 'pending';
CREATE INDEX delivery_position ON delivery (position, lane);
CREATE INDEX delivery_cid ON delivery (cid);
CREATE INDEX delivery_settled ON delivery (settled_at) WHERE state = 'delivered';
-- Dead letters, by age and by lane.
CREATE INDEX delivery_dead ON delivery (position, lane) WHERE state IN ('refused', 'dead');
CREATE INDEX delivery_dead_lane ON delivery (lane, position) WHERE state IN ('refused', 'dead');
