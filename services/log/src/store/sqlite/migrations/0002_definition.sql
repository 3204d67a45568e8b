-- What the domain's own definitions say, and who may define: what took effect, in the order in which it did.
CREATE TABLE definition (
    position INTEGER NOT NULL PRIMARY KEY,  -- of the entry that defines
    kind     TEXT    NOT NULL,
    name     TEXT    NOT NULL,              -- that it binds; empty: none
    cid      TEXT    NOT NULL,              -- of the record; empty: none
    body     BLOB    NOT NULL               -- the record in canonical form
) STRICT;
CREATE INDEX definition_cid ON definition (cid);
