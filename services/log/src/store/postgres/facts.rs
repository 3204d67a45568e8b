//! The facts of a batch: one statement for all kinds of things that are needed.

use std::collections::{BTreeSet, HashMap};

use fedsx_kernel::cid::Cid;
use sqlx::{AssertSqlSafe, postgres::PgArguments, query::Query};

use super::{storable, write};
use crate::store::{KEY_SPACE, NameKind, Need};

/// The first row is the head, its `version` the last definition's position, its `published` the database's clock.
///
/// Each row has a kind, and the place of what was asked for in its parameter: [`Found`](super::found::Found) reads them.
///
/// Each thing is looked up by itself (`LATERAL … LIMIT 1`), by all columns of its index: left to itself, a planner that has
/// seen the tables small would read them whole. The streams' ids make one array, where each name finds its stream's.
const STREAMS: &str = "
WITH asked AS MATERIALIZED (
    SELECT n.ord, (SELECT id FROM stream WHERE name = n.name) AS id FROM unnest($1::text[]) WITH ORDINALITY AS n (name, ord)
), streams AS MATERIALIZED (
    SELECT array_agg(coalesce(id, 0) ORDER BY ord) AS ids FROM asked
)
SELECT 0 AS kind, 0::bigint AS ord, position, NULL::bigint AS stream,
       (SELECT position FROM definition ORDER BY position DESC LIMIT 1) AS version, log_public,
       NULL::bigint AS stream_public, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS published,
       NULL::text AS cid, NULL::text AS id_prefix, NULL::text AS foreign_id, NULL::bytea AS value, kv_version
FROM head
LEFT JOIN LATERAL (SELECT version AS kv_version FROM kv_head ORDER BY version DESC LIMIT 1) AS kv_head ON true
LEFT JOIN LATERAL (SELECT position, log_public FROM entry ORDER BY position DESC LIMIT 1) AS entry ON true
UNION ALL
SELECT 1 + public::int, ord, position, id, version, NULL, stream_public, published, cid, NULL, NULL, NULL, NULL
FROM asked CROSS JOIN LATERAL (
    (SELECT position, public, version, stream_public, published, cid FROM entry
     WHERE stream = asked.id AND public ORDER BY position DESC LIMIT 1)
    UNION ALL
    (SELECT position, public, version, stream_public, published, cid FROM entry
     WHERE stream = asked.id AND NOT public ORDER BY position DESC LIMIT 1)
) AS entry";
const BY_CID: &str = "
UNION ALL
SELECT 3, ord, position, NULL, version, NULL, NULL, NULL, cid, id_prefix, foreign_id, NULL, NULL
FROM streams CROSS JOIN unnest($2::integer[], $3::text[]) WITH ORDINALITY AS n (of, asked_cid, ord)
CROSS JOIN LATERAL (SELECT * FROM entry WHERE cid = asked_cid AND stream = ids[of] LIMIT 1) AS entry";
const BY_ACTIVITY_ID: &str = "
UNION ALL
SELECT 4, ord, position, NULL, version, NULL, NULL, NULL, cid, id_prefix, foreign_id, NULL, NULL
FROM streams CROSS JOIN unnest($4::integer[], $5::text[]) WITH ORDINALITY AS n (of, asked_id, ord)
CROSS JOIN LATERAL (SELECT * FROM entry WHERE foreign_id = asked_id AND stream = ids[of] LIMIT 1) AS entry";
const BY_DRAFT_KEY: &str = "
UNION ALL
SELECT 5, ord, entry.position, NULL, version, NULL, NULL, NULL, cid, id_prefix, foreign_id, NULL, NULL
FROM streams CROSS JOIN unnest($6::integer[], $7::text[]) WITH ORDINALITY AS n (of, asked_key, ord)
CROSS JOIN LATERAL (SELECT position FROM draft_key WHERE stream = ids[of] AND key = asked_key LIMIT 1) AS draft_key
CROSS JOIN LATERAL (SELECT * FROM entry WHERE entry.position = draft_key.position LIMIT 1) AS entry";
const KV: &str = "
UNION ALL
SELECT 6, ord, NULL, NULL, version, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
FROM unnest($8::text[], $9::text[]) WITH ORDINALITY AS n (asked_space, asked_key, ord)
CROSS JOIN LATERAL (SELECT * FROM kv WHERE space = asked_space AND key = asked_key LIMIT 1) AS kv";
const SIGNING_KEY: &str = "
UNION ALL
SELECT 7, ord, NULL, NULL, version, NULL, NULL, NULL, NULL, NULL, NULL, value, NULL
FROM unnest($11::text[]) WITH ORDINALITY AS n (asked_key, ord)
CROSS JOIN LATERAL (SELECT * FROM kv WHERE space = $10 AND key = asked_key LIMIT 1) AS kv";

/// What is asked for, by the parameters' places. What the database could not keep is not asked for: it is not there.
#[derive(Debug, Default)]
pub(super) struct Asked<'n> {
    pub(super) streams: Vec<&'n str>,
    /// Places in `streams`, from 1.
    places: HashMap<&'n str, i32>,
    pub(super) cids: Names<'n>,
    pub(super) foreign_ids: Names<'n>,
    pub(super) draft_keys: Names<'n>,
    pub(super) kv_spaces: Vec<&'n str>,
    pub(super) kv_keys: Vec<&'n str>,
    pub(super) signing_keys: Vec<&'n str>,
}

/// Names, each with the place of its stream.
#[derive(Debug, Default)]
pub(super) struct Names<'n> {
    pub(super) streams: Vec<i32>,
    pub(super) texts: Vec<&'n str>,
}

impl<'n> Names<'n> {
    fn push(&mut self, stream: i32, text: &'n str) {
        self.streams.push(stream);
        self.texts.push(text);
    }
}

impl<'n> Asked<'n> {
    pub(super) fn new(need: &'n Need) -> Self {
        let mut asked = Self::default();
        for stream in need.streams.iter().filter(|name| storable(name)) {
            asked.stream(stream);
        }
        asked.names(need);
        for (space, key) in need
            .kv
            .iter()
            .filter(|(space, key)| storable(space) && storable(key))
        {
            asked.kv_spaces.push(space);
            asked.kv_keys.push(key);
        }
        let actors = need.signing_keys.iter().filter(|actor| storable(actor));
        asked.signing_keys = actors.map(String::as_str).collect();
        asked
    }

    fn names(&mut self, need: &'n Need) {
        // An id that may end with its activity's CID is looked for by that, mostly together with the CID itself.
        let mut cids = BTreeSet::new();
        let storable = |name: &&crate::store::Name| storable(&name.stream) && storable(&name.text);
        for name in need.names.iter().filter(storable) {
            let stream = self.stream(&name.stream);
            match name.kind {
                NameKind::Cid => drop(cids.insert((stream, name.text.as_str()))),
                NameKind::ActivityId => {
                    let (_, last) = write::split(&name.text);
                    if last.parse::<Cid>().is_ok() {
                        cids.insert((stream, last));
                    }
                    self.foreign_ids.push(stream, &name.text);
                }
                NameKind::DraftKey => self.draft_keys.push(stream, &name.text),
            }
        }
        for (stream, cid) in cids {
            self.cids.push(stream, cid);
        }
    }

    fn stream(&mut self, name: &'n str) -> i32 {
        let next = i32::try_from(self.streams.len() + 1).unwrap_or(i32::MAX);
        *self.places.entry(name).or_insert_with(|| {
            self.streams.push(name);
            next
        })
    }

    /// The statement, without the parts that ask for nothing: the database would set up each of them.
    pub(super) fn statement(&self) -> String {
        let parts = [
            (BY_CID, self.cids.texts.is_empty()),
            (BY_ACTIVITY_ID, self.foreign_ids.texts.is_empty()),
            (BY_DRAFT_KEY, self.draft_keys.texts.is_empty()),
            (KV, self.kv_keys.is_empty()),
            (SIGNING_KEY, self.signing_keys.is_empty()),
        ];
        let asked = parts.iter().filter(|(_, is_empty)| !is_empty);
        asked.fold(STREAMS.to_owned(), |statement, (part, _)| statement + part)
    }

    pub(super) fn query(&self) -> Query<'_, sqlx::Postgres, PgArguments> {
        sqlx::query(AssertSqlSafe(self.statement()))
            .bind(&self.streams)
            .bind(&self.cids.streams)
            .bind(&self.cids.texts)
            .bind(&self.foreign_ids.streams)
            .bind(&self.foreign_ids.texts)
            .bind(&self.draft_keys.streams)
            .bind(&self.draft_keys.texts)
            .bind(&self.kv_spaces)
            .bind(&self.kv_keys)
            .bind(KEY_SPACE)
            .bind(&self.signing_keys)
    }
}
