-- Times are microseconds since the Unix epoch; numbers that are unsigned in the contract stay below 2^63. Texts that are
-- looked up or ordered go by their bytes, whatever the database's own order is.
--
-- Nothing that every batch writes is ever updated: while a transaction is open anywhere in the database, the versions of
-- a row that was updated since cannot be removed, and whoever reads the row walks over all of them. What is known of the
-- log and of its streams as a whole therefore stands in the last of their entries.

-- One row, never changed. Whoever numbers entries holds its lock.
CREATE TABLE head (
    id integer PRIMARY KEY CHECK (id = 1)
);
INSERT INTO head (id) VALUES (1);

-- The last number given to a change of kv. A new one is a new row, and the one before is deleted.
CREATE TABLE kv_head (
    version bigint PRIMARY KEY
);
INSERT INTO kv_head (version) VALUES (0);

CREATE TABLE stream (
    id   bigint PRIMARY KEY,                -- the position of its first entry; read to name an entry's stream
    name text COLLATE "C" NOT NULL UNIQUE   -- read to find a stream
);

CREATE TABLE entry (
    position      bigint  PRIMARY KEY,
    stream        bigint  NOT NULL,
    version       bigint  NOT NULL,
    log_public    bigint  NOT NULL,  -- entries that address the public, up to this one
    stream_public bigint  NOT NULL,  -- those of them in its stream
    appended_at   bigint  NOT NULL,
    published     bigint,            -- of a sealed activity: when the last of its batch in its stream was published
    public        boolean NOT NULL,
    cid           text    COLLATE "C" NOT NULL,
    id_prefix     text,              -- an id that ends with the CID: what stands before it
    foreign_id    text    COLLATE "C",  -- any other id
    meta          text    NOT NULL,  -- JSON; not jsonb, which refuses U+0000
    body          bytea   NOT NULL
);
-- Told, not counted: a log whose first thousand entries are one actor's would have the planner look for any stream's last
-- entry by walking down the whole log.
ALTER TABLE entry ALTER COLUMN stream SET (n_distinct = -0.1);
ALTER TABLE entry ALTER COLUMN cid SET (n_distinct = -1);
ALTER TABLE entry ALTER COLUMN foreign_id SET (n_distinct = -1);
-- Bodies are not compressed, which costs more than all the rest of an insert; those of up to half a page stay in their row.
ALTER TABLE entry ALTER COLUMN body SET STORAGE EXTERNAL;
ALTER TABLE entry SET (toast_tuple_target = 4080);

-- An entry by its CID, which an id may end with, and duplicates.
CREATE UNIQUE INDEX entry_cid ON entry (cid, stream);
-- An entry by any other id, and duplicates.
CREATE UNIQUE INDEX entry_foreign_id ON entry (foreign_id, stream) WHERE foreign_id IS NOT NULL;
-- Pages of a stream, of its public entries alone or, as the union of two ranges, of all; and the last of both.
CREATE INDEX entry_stream ON entry (stream, public, position);
-- Pages of the public entries.
CREATE INDEX entry_public ON entry (position) WHERE public;

CREATE TABLE draft_key (
    stream   bigint NOT NULL,
    key      text   COLLATE "C" NOT NULL,
    position bigint NOT NULL,
    PRIMARY KEY (stream, key)
);

-- Room in each page lets a changed value stay in it, where no index needs to follow.
CREATE TABLE kv (
    space   text   COLLATE "C" NOT NULL,
    key     text   COLLATE "C" NOT NULL,
    version bigint NOT NULL,
    value   bytea  NOT NULL,
    PRIMARY KEY (space, key)
) WITH (fillfactor = 80);
