-- Texts of strangers may be of any length, and what an index holds may not: they are found by their SHA-256.

-- Every behaviour that was ever in effect.
CREATE TABLE behaviour (
    position bigint PRIMARY KEY, -- the entry that brought it into effect
    cid      text  NOT NULL,
    name     text  NOT NULL,
    record   bytea NOT NULL
);

-- Flows as they stand at a version of their streams. A claim is written far more often than the table grows: each page keeps
-- room for some.
CREATE TABLE flow (
    id               text COLLATE "C" PRIMARY KEY,
    name             text COLLATE "C" NOT NULL, -- the behaviour's, and the CID of its record
    behaviour        text COLLATE "C" NOT NULL,
    activity         text COLLATE "C" NOT NULL, -- the CID of what started it
    activity_id      text    NOT NULL,
    activity_id_hash bytea,
    position         bigint  NOT NULL,
    verb             text    NOT NULL,
    actor            text    NOT NULL,
    object           text    NOT NULL,
    object_hash      bytea,
    public           boolean NOT NULL,
    started_at       bigint  NOT NULL,
    version          bigint  NOT NULL,
    last_position    bigint  NOT NULL,
    moved_at         bigint  NOT NULL,
    status           text COLLATE "C" NOT NULL,
    cause            text    NOT NULL,
    needs            text COLLATE "C" NOT NULL,
    due              bigint,                    -- when something is to be done
    owner            text COLLATE "C" NOT NULL, -- '': nobody
    claim_until      bigint  NOT NULL,
    waits            bytea   NOT NULL,          -- [[step, key]] as JSON
    state            bytea   NOT NULL
) WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_insert_scale_factor = 0.02);

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

-- By what `flow.waits` is found. Written under the lock of the flow's row.
CREATE TABLE flow_wait (
    behaviour text COLLATE "C" NOT NULL,
    step      text COLLATE "C" NOT NULL,
    key_hash  bytea NOT NULL,
    flow      text COLLATE "C" NOT NULL,
    PRIMARY KEY (behaviour, step, key_hash, flow)
) WITH (autovacuum_vacuum_scale_factor = 0.02);
CREATE INDEX flow_wait_flow ON flow_wait (flow);

-- What the runners can do that are alive.
CREATE TABLE runner (
    owner       text COLLATE "C" PRIMARY KEY,
    kinds       bytea  NOT NULL, -- as JSON
    alive_until bigint NOT NULL
) WITH (fillfactor = 20);
