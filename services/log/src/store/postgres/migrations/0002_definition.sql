-- What the domain's own definitions say, and who may define: what took effect, in the order in which it did.
CREATE TABLE definition (
    position bigint NOT NULL PRIMARY KEY,       -- of the entry that defines
    kind     text   NOT NULL,
    name     text   COLLATE "C" NOT NULL,       -- that it binds; empty: none
    cid      text   COLLATE "C" NOT NULL,       -- of the record; empty: none
    body     bytea  NOT NULL                    -- the record in canonical form
);
CREATE INDEX definition_cid ON definition (cid);
