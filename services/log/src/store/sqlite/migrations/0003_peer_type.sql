-- Types that peers have defined, as they were fetched: each is named by the digest of its bytes, so that no row can be wrong,
-- and any may be dropped and fetched again.
CREATE TABLE peer_type (
    cid        TEXT NOT NULL PRIMARY KEY,
    name       TEXT NOT NULL,    -- what the record calls itself
    origin     TEXT NOT NULL,    -- whose server showed it
    bytes      INTEGER NOT NULL, -- of the body
    fetched_at INTEGER NOT NULL, -- microseconds since the Unix epoch
    used_at    INTEGER NOT NULL, -- the same, to the hour
    body       BLOB NOT NULL     -- the record in canonical form
) STRICT;
-- Which are dropped first.
CREATE INDEX peer_type_used ON peer_type (used_at, cid, bytes);
