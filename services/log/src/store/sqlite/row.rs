//! Reading rows: whatever this service never writes is a corrupt row, named by its table, column and key.

use std::fmt::Display;

use bytes::Bytes;
use fedsx_proto::v1::{Entry, KvItem, Meta};
use jiff::Timestamp;
use sqlx::{Decode, Row as _, Sqlite, Type, sqlite::SqliteRow};

use crate::store::{DefinitionRow, Head, PeerTypeRow, Placed, Result, StoreError, StreamRow};

/// A row of a table.
pub(super) struct Row<'r> {
    row: &'r SqliteRow,
    table: &'static str,
    /// The column, or columns, that name the row.
    key: &'static [&'static str],
}

impl<'r> Row<'r> {
    pub(super) fn new(row: &'r SqliteRow, table: &'static str, key: &'static [&'static str]) -> Self {
        Self { row, table, key }
    }

    fn get<T: Decode<'r, Sqlite> + Type<Sqlite>>(&self, column: &'static str) -> Result<T> {
        self.row
            .try_get(column)
            .map_err(|error| self.corrupt(column, &error))
    }

    pub(super) fn text(&self, column: &'static str) -> Result<String> {
        self.get(column)
    }

    pub(super) fn bytes(&self, column: &'static str) -> Result<Bytes> {
        self.get::<Vec<u8>>(column).map(Bytes::from)
    }

    pub(super) fn number(&self, column: &'static str) -> Result<u64> {
        let number: i64 = self.get(column)?;
        u64::try_from(number).map_err(|_| self.corrupt(column, &format_args!("{number} is below zero")))
    }

    fn timestamp(&self, column: &'static str) -> Result<Option<Timestamp>> {
        let microseconds: Option<i64> = self.get(column)?;
        microseconds
            .map(|at| Timestamp::from_microsecond(at).map_err(|error| self.corrupt(column, &error)))
            .transpose()
    }

    fn corrupt(&self, column: &'static str, problem: &dyn Display) -> StoreError {
        let part = |name: &&str| {
            let text = self.row.try_get_unchecked::<String, _>(*name);
            text.or_else(|_| {
                self.row
                    .try_get_unchecked::<i64, _>(*name)
                    .map(|number| number.to_string())
            })
            .unwrap_or_else(|_| "?".to_owned())
        };
        StoreError::Corrupt {
            table: self.table,
            column,
            key: self.key.iter().map(part).collect::<Vec<_>>().join(" "),
            problem: problem.to_string(),
        }
    }
}

/// What [`head`] reads.
pub(super) const HEAD: &str = "SELECT id, position, public, kv_version, \
     coalesce((SELECT max(position) FROM definition), 0) AS definition FROM head";

pub(super) fn head(row: &SqliteRow) -> Result<Head> {
    let row = Row::new(row, "head", &["id"]);
    Ok(Head {
        position: row.number("position")?,
        public: row.number("public")?,
        kv_version: row.number("kv_version")?,
        definition: row.number("definition")?,
    })
}

pub(super) fn stream(row: &SqliteRow) -> Result<StreamRow> {
    let row = Row::new(row, "stream", &["name"]);
    let public_cid: Option<String> = row.get("public_cid")?;
    Ok(StreamRow {
        name: row.text("name")?,
        version: row.number("version")?,
        public: row.number("public")?,
        published: row.timestamp("published")?,
        public_cid: public_cid
            .map(|cid| cid.parse().map_err(|error| row.corrupt("public_cid", &error)))
            .transpose()?,
    })
}

pub(super) fn entry(row: &SqliteRow) -> Result<Entry> {
    let row = Row::new(row, "entry", &["position"]);
    let meta: String = row.text("meta")?;
    let meta: Meta = serde_json::from_str(&meta).map_err(|error| row.corrupt("meta", &error))?;
    Ok(Entry {
        position: row.number("position")?,
        stream: row.text("stream")?,
        version: row.number("version")?,
        cid: row.text("cid")?,
        body: row.bytes("body")?,
        meta: Some(meta),
        appended_at_us: row.get("appended_at")?,
        activity_id: row.get::<Option<String>>("activity_id")?.unwrap_or_default(),
        public: row.number("public")? == 1,
    })
}

pub(super) fn placed(row: &SqliteRow) -> Result<Placed> {
    let row = Row::new(row, "entry", &["position"]);
    Ok(Placed {
        position: row.number("position")?,
        version: row.number("version")?,
        cid: row.text("cid")?,
        activity_id: row.get::<Option<String>>("activity_id")?.unwrap_or_default(),
    })
}

pub(super) fn definition(row: &SqliteRow) -> Result<DefinitionRow> {
    let row = Row::new(row, "definition", &["position"]);
    Ok(DefinitionRow {
        position: row.number("position")?,
        kind: row.text("kind")?,
        name: row.text("name")?,
        cid: row.text("cid")?,
        body: row.bytes("body")?,
    })
}

pub(super) fn peer_type(row: &SqliteRow) -> Result<PeerTypeRow> {
    let row = Row::new(row, "peer_type", &["cid"]);
    let time = |column| {
        let at = row.timestamp(column)?;
        at.ok_or_else(|| row.corrupt(column, &"it is missing"))
    };
    Ok(PeerTypeRow {
        cid: row.text("cid")?,
        name: row.text("name")?,
        origin: row.text("origin")?,
        bytes: row.number("bytes")?,
        body: row.bytes("body")?,
        fetched_at: time("fetched_at")?,
        used_at: time("used_at")?,
    })
}

pub(super) fn kv(row: &SqliteRow) -> Result<KvItem> {
    let row = Row::new(row, "kv", &["space", "key"]);
    Ok(KvItem {
        space: row.text("space")?,
        key: row.text("key")?,
        version: row.number("version")?,
        value: row.bytes("value")?,
    })
}
