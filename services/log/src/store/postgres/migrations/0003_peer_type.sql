-- Types that peers have defined, as they were fetched: each is named by the digest of its bytes, so that no row can be wrong,
-- and any may be dropped and fetched again.
CREATE TABLE peer_type (
    cid        text COLLATE "C" NOT NULL PRIMARY KEY,
    name       text NOT NULL,    -- what the record calls itself
    origin     text NOT NULL,    -- whose server showed it
    bytes      bigint NOT NULL,  -- of the body
    fetched_at bigint NOT NULL,  -- microseconds since the Unix epoch
    used_at    bigint NOT NULL,  -- the same, to the hour
    body       bytea NOT NULL    -- the record in canonical form
);
-- Which are dropped first.
CREATE INDEX peer_type_used ON peer_type (used_at) INCLUDE (cid, bytes);
