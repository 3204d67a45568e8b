-- Times are microseconds since the Unix epoch; numbers that are unsigned in the contract stay below 2^63. Texts that keys
-- are compared by have COLLATE "C": by their bytes, as every other part of a domain compares them.

-- The leases, and how far each shard of each view (and each reaction) is. A few dozen rows that every batch updates: with
-- most of each page left free, and no index on what changes, an update stays in its page and needs no vacuum.
CREATE TABLE shard (
    view        text COLLATE "C" NOT NULL,
    shard       bigint NOT NULL,
    owner       text COLLATE "C" NOT NULL, -- '': nobody
    lease_until bigint NOT NULL,
    epoch       bigint NOT NULL,
    position    bigint NOT NULL,
    count       bigint NOT NULL,           -- entries applied
    digest      bytea  NOT NULL,           -- chained over them
    halted      text,                      -- why it stands still
    PRIMARY KEY (view, shard)
) WITH (fillfactor = 20);

-- The workers that are alive.
CREATE TABLE member (
    crew        text COLLATE "C" NOT NULL, -- the group whose shards they share
    owner       text COLLATE "C" NOT NULL,
    alive_until bigint NOT NULL,
    PRIMARY KEY (crew, owner)
) WITH (fillfactor = 20);

-- The primary key counts a prefix without reading the table, as long as vacuum has seen most of it: hence the small
-- scale factors. A row is updated about once, so every page keeps room for some.
CREATE TABLE view_row (
    view     text COLLATE "C" NOT NULL,
    key      text COLLATE "C" NOT NULL,
    peer     text COLLATE "C",             -- the origin that the row is about
    position bigint NOT NULL,              -- the entry that changed it last
    value    bytea  NOT NULL,
    PRIMARY KEY (view, key)
) WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_insert_scale_factor = 0.02);
CREATE INDEX view_row_peer ON view_row (view, peer) WHERE peer IS NOT NULL;
