//! What a batch writes, as parameters: an array for each column.

use std::collections::HashMap;

use fedsx_proto::v1::{Entry, Meta};
use fedsx_runtime::database::{Result, driver, integer};
use sqlx::{Postgres, postgres::PgArguments, query::Query};

use crate::store::{DefinitionRow, KvRow, Rows, StreamRow};

pub(super) const ENTRIES: &str = "
WITH new_stream AS (
    INSERT INTO stream (id, name) SELECT * FROM unnest($1::bigint[], $2::text[])
), new_key AS (
    INSERT INTO draft_key (stream, key, position) SELECT * FROM unnest($3::bigint[], $4::text[], $5::bigint[])
)
INSERT INTO entry (position, stream, version, log_public, stream_public, appended_at, published, public, cid,
                   id_prefix, foreign_id, meta, body)
SELECT * FROM unnest($6::bigint[], $7::bigint[], $8::bigint[], $9::bigint[], $10::bigint[], $11::bigint[], $12::bigint[],
                     $13::boolean[], $14::text[], $15::text[], $16::text[], $17::text[], $18::bytea[])";

/// What is deleted is looked up one by one, as the facts are. The head is found from its end, which the rows that were deleted
/// and cannot be removed yet do not lengthen.
pub(super) const KV: &str = "
WITH deleted AS (
    DELETE FROM kv WHERE ctid = ANY(ARRAY(
        SELECT (SELECT ctid FROM kv WHERE kv.space = n.space AND kv.key = n.key)
        FROM unnest($1::text[], $2::text[]) AS n (space, key)))
), put AS (
    INSERT INTO kv (space, key, version, value) SELECT * FROM unnest($3::text[], $4::text[], $5::bigint[], $6::bytea[])
    ON CONFLICT (space, key) DO UPDATE SET version = excluded.version, value = excluded.value
), before AS (
    DELETE FROM kv_head WHERE version = (SELECT version FROM kv_head ORDER BY version DESC LIMIT 1)
)
INSERT INTO kv_head (version) VALUES ($7)";

pub(super) const DEFINITIONS: &str = "
INSERT INTO definition (position, kind, name, cid, body)
SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::bytea[])";

/// An id as it is stored: what stands before the entry's own CID, or else all of it.
pub(super) fn split(id: &str) -> (&str, &str) {
    id.split_at(id.rfind('/').map_or(0, |slash| slash + 1))
}

/// The columns of entries, streams and draft keys.
#[derive(Debug, Default)]
pub(super) struct Entries<'r> {
    stream_ids: Vec<i64>,
    stream_names: Vec<&'r str>,
    key_streams: Vec<i64>,
    keys: Vec<&'r str>,
    key_positions: Vec<i64>,
    positions: Vec<i64>,
    streams: Vec<i64>,
    versions: Vec<i64>,
    log_public: Vec<i64>,
    stream_public: Vec<i64>,
    appended_at: Vec<i64>,
    published: Vec<Option<i64>>,
    public: Vec<bool>,
    cids: Vec<&'r str>,
    id_prefixes: Vec<Option<&'r str>>,
    foreign_ids: Vec<Option<&'r str>>,
    metas: Vec<String>,
    bodies: Vec<&'r [u8]>,
}

/// A stream as the entries of a batch leave it, from the last to the first.
struct Running<'r> {
    id: i64,
    row: &'r StreamRow,
    /// How many entries address the public, up to the one that is next.
    public: u64,
}

impl<'r> Entries<'r> {
    /// `known` are the ids of the streams that exist. A new one's is the position of its first entry.
    ///
    /// # Errors
    /// [`StoreError::Driver`](crate::store::StoreError) where an entry's stream or a draft key's entry is not in the rows.
    pub(super) fn new(rows: &'r Rows, known: &HashMap<String, i64>) -> Result<Self> {
        let mut columns = Self::default();
        let mut streams = columns.streams(rows, known);
        let mut public = rows.head.public;
        for entry in rows.entries.iter().rev() {
            let stream = streams.get_mut(entry.stream.as_str()).ok_or_else(incomplete)?;
            columns.push(entry, stream, public)?;
            stream.public -= u64::from(entry.public);
            public -= u64::from(entry.public);
        }
        columns.draft_keys(rows, &streams)?;
        Ok(columns)
    }

    fn streams(&mut self, rows: &'r Rows, known: &HashMap<String, i64>) -> HashMap<&'r str, Running<'r>> {
        let mut first = HashMap::new();
        for entry in &rows.entries {
            first
                .entry(entry.stream.as_str())
                .or_insert(integer(entry.position));
        }
        let mut streams = HashMap::with_capacity(rows.streams.len());
        for row in &rows.streams {
            let Some(first) = first.get(row.name.as_str()) else {
                continue;
            };
            let id = known.get(&row.name).copied().unwrap_or_else(|| {
                self.stream_ids.push(*first);
                self.stream_names.push(&row.name);
                *first
            });
            let public = row.public;
            streams.insert(row.name.as_str(), Running { id, row, public });
        }
        streams
    }

    fn push(&mut self, entry: &'r Entry, stream: &Running<'_>, public: u64) -> Result<()> {
        let (prefix, last) = split(&entry.activity_id);
        let is_own = !prefix.is_empty() && last == entry.cid;
        let id = Some(entry.activity_id.as_str()).filter(|id| !id.is_empty());
        self.positions.push(integer(entry.position));
        self.streams.push(stream.id);
        self.versions.push(integer(entry.version));
        self.log_public.push(integer(public));
        self.stream_public.push(integer(stream.public));
        self.appended_at.push(entry.appended_at_us);
        self.published
            .push(stream.row.published.map(jiff::Timestamp::as_microsecond));
        self.public.push(entry.public);
        self.cids.push(&entry.cid);
        self.id_prefixes.push(is_own.then_some(prefix));
        self.foreign_ids.push(id.filter(|_| !is_own));
        self.metas.push(meta(entry.meta.as_ref())?);
        self.bodies.push(&entry.body);
        Ok(())
    }

    fn draft_keys(&mut self, rows: &'r Rows, streams: &HashMap<&str, Running<'_>>) -> Result<()> {
        if rows.draft_keys.is_empty() {
            return Ok(());
        }
        let positions: HashMap<_, _> = rows
            .entries
            .iter()
            .map(|entry| {
                (
                    (entry.stream.as_str(), entry.cid.as_str()),
                    integer(entry.position),
                )
            })
            .collect();
        for row in &rows.draft_keys {
            let position = positions.get(&(row.stream.as_str(), row.cid.as_str()));
            let stream = streams.get(row.stream.as_str()).ok_or_else(incomplete)?;
            self.key_streams.push(stream.id);
            self.keys.push(&row.key);
            self.key_positions.push(*position.ok_or_else(incomplete)?);
        }
        Ok(())
    }

    pub(super) fn query(&self) -> Query<'_, Postgres, PgArguments> {
        sqlx::query(ENTRIES)
            .bind(&self.stream_ids)
            .bind(&self.stream_names)
            .bind(&self.key_streams)
            .bind(&self.keys)
            .bind(&self.key_positions)
            .bind(&self.positions)
            .bind(&self.streams)
            .bind(&self.versions)
            .bind(&self.log_public)
            .bind(&self.stream_public)
            .bind(&self.appended_at)
            .bind(&self.published)
            .bind(&self.public)
            .bind(&self.cids)
            .bind(&self.id_prefixes)
            .bind(&self.foreign_ids)
            .bind(&self.metas)
            .bind(&self.bodies)
    }
}

fn meta(meta: Option<&Meta>) -> Result<String> {
    match meta {
        Some(meta) => serde_json::to_string(meta).map_err(driver("write an entry's meta")),
        None => Ok("{}".to_owned()),
    }
}

fn incomplete() -> crate::store::StoreError {
    driver("write a batch")("a row names another that is not there")
}

/// The columns of changes of kv.
#[derive(Debug, Default)]
pub(super) struct Kv<'r> {
    deleted_spaces: Vec<&'r str>,
    deleted_keys: Vec<&'r str>,
    spaces: Vec<&'r str>,
    keys: Vec<&'r str>,
    versions: Vec<i64>,
    values: Vec<&'r [u8]>,
    head: i64,
}

impl<'r> Kv<'r> {
    pub(super) fn new(rows: &'r [KvRow], head: u64) -> Self {
        let mut columns = Self {
            head: integer(head),
            ..Self::default()
        };
        for row in rows {
            if let Some(value) = &row.value {
                columns.spaces.push(&row.space);
                columns.keys.push(&row.key);
                columns.versions.push(integer(row.version));
                columns.values.push(value);
            } else {
                columns.deleted_spaces.push(&row.space);
                columns.deleted_keys.push(&row.key);
            }
        }
        columns
    }

    pub(super) fn query(&self) -> Query<'_, Postgres, PgArguments> {
        sqlx::query(KV)
            .bind(&self.deleted_spaces)
            .bind(&self.deleted_keys)
            .bind(&self.spaces)
            .bind(&self.keys)
            .bind(&self.versions)
            .bind(&self.values)
            .bind(self.head)
    }
}

/// The columns of definitions.
#[derive(Debug, Default)]
pub(super) struct Definitions<'r> {
    positions: Vec<i64>,
    kinds: Vec<&'r str>,
    names: Vec<&'r str>,
    cids: Vec<&'r str>,
    bodies: Vec<&'r [u8]>,
}

impl<'r> Definitions<'r> {
    pub(super) fn new(rows: &'r [DefinitionRow]) -> Self {
        let mut columns = Self::default();
        for row in rows {
            columns.positions.push(integer(row.position));
            columns.kinds.push(&row.kind);
            columns.names.push(&row.name);
            columns.cids.push(&row.cid);
            columns.bodies.push(&row.body);
        }
        columns
    }

    pub(super) fn query(&self) -> Query<'_, Postgres, PgArguments> {
        sqlx::query(DEFINITIONS)
            .bind(&self.positions)
            .bind(&self.kinds)
            .bind(&self.names)
            .bind(&self.cids)
            .bind(&self.bodies)
    }
}
