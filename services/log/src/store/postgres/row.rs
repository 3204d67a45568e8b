//! Reading rows: whatever this service never writes is a corrupt row, named by its table, column and key.

use std::fmt::Display;

use bytes::Bytes;
use fedsx_kernel::cid::Cid;
use fedsx_proto::v1::{Entry, KvItem, Meta};
use jiff::Timestamp;
use sqlx::{Decode, Postgres, Row as _, Type, postgres::PgRow};

use crate::store::{DefinitionRow, Head, PeerTypeRow, Placed, Result, StoreError};

/// What names a row.
#[derive(Clone, Copy)]
pub(super) enum Key<'r> {
    /// Columns of the result.
    Columns(&'static [&'static str]),
    /// What was asked for.
    Asked(&'r [&'r str]),
}

const POSITION: Key<'static> = Key::Columns(&["position"]);

/// A row of a table, or a part of a result's.
pub(super) struct Row<'r> {
    row: &'r PgRow,
    table: &'static str,
    key: Key<'r>,
}

impl<'r> Row<'r> {
    pub(super) fn new(row: &'r PgRow, table: &'static str, key: Key<'r>) -> Self {
        Self { row, table, key }
    }

    pub(super) fn get<T: Decode<'r, Postgres> + Type<Postgres>>(&self, column: &'static str) -> Result<T> {
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

    pub(super) fn timestamp(&self, column: &'static str) -> Result<Option<Timestamp>> {
        let microseconds: Option<i64> = self.get(column)?;
        microseconds
            .map(|at| Timestamp::from_microsecond(at).map_err(|error| self.corrupt(column, &error)))
            .transpose()
    }

    pub(super) fn corrupt(&self, column: &'static str, problem: &dyn Display) -> StoreError {
        let part = |name: &&str| {
            let text = self.row.try_get::<String, _>(*name);
            text.or_else(|_| self.row.try_get::<i64, _>(*name).map(|number| number.to_string()))
                .unwrap_or_else(|_| "?".to_owned())
        };
        let key = match self.key {
            Key::Columns(names) => names.iter().map(part).collect::<Vec<_>>().join(" "),
            Key::Asked(texts) => texts.join(" "),
        };
        StoreError::Corrupt {
            table: self.table,
            column,
            key,
            problem: problem.to_string(),
        }
    }

    /// The activity's id, from its two columns.
    fn activity_id(&self, cid: &str) -> Result<String> {
        if let Some(id) = self.get("foreign_id")? {
            return Ok(id);
        }
        let prefix: Option<&str> = self.get("id_prefix")?;
        Ok(prefix.map_or_else(String::new, |prefix| format!("{prefix}{cid}")))
    }
}

/// From `position` and `log_public` of the last entry, none where the log is empty, `version`, which is the last definition's
/// position, and `kv_version`.
pub(super) fn head(row: &PgRow) -> Result<Head> {
    let entry = Row::new(row, "entry", POSITION);
    let kv = Row::new(row, "kv_head", Key::Columns(&["kv_version"]));
    let kv_version: i64 = kv
        .get("kv_version")
        .map_err(|_| kv.corrupt("version", &"the row is missing"))?;
    let mut head = Head {
        kv_version: u64::try_from(kv_version).map_err(|_| kv.corrupt("version", &"it is below zero"))?,
        ..Head::default()
    };
    let definition = Row::new(row, "definition", Key::Columns(&["version"]));
    if definition.get::<Option<i64>>("version")?.is_some() {
        head.definition = definition.number("version")?;
    }
    if entry.get::<Option<i64>>("position")?.is_some() {
        head.position = entry.number("position")?;
        head.public = entry.number("log_public")?;
    }
    Ok(head)
}

pub(super) fn entry(row: &PgRow) -> Result<Entry> {
    let row = Row::new(row, "entry", POSITION);
    let cid = row.text("cid")?;
    let meta: Meta = serde_json::from_str(row.get("meta")?).map_err(|error| row.corrupt("meta", &error))?;
    Ok(Entry {
        position: row.number("position")?,
        stream: row.text("stream")?,
        version: row.number("version")?,
        body: row.bytes("body")?,
        meta: Some(meta),
        appended_at_us: row.get("appended_at")?,
        activity_id: row.activity_id(&cid)?,
        public: row.get("public")?,
        cid,
    })
}

/// What a stream's last entry tells of the stream.
pub(super) struct Last {
    /// The stream's id.
    pub(super) stream: i64,
    pub(super) version: u64,
    /// How many of the stream's entries address the public.
    pub(super) public: u64,
    pub(super) published: Option<Timestamp>,
    pub(super) cid: Cid,
}

pub(super) fn last(row: &PgRow) -> Result<Last> {
    let row = Row::new(row, "entry", POSITION);
    let cid: &str = row.get("cid")?;
    Ok(Last {
        stream: row.get("stream")?,
        version: row.number("version")?,
        public: row.number("stream_public")?,
        published: row.timestamp("published")?,
        cid: cid.parse().map_err(|error| row.corrupt("cid", &error))?,
    })
}

pub(super) fn placed(row: &PgRow) -> Result<Placed> {
    let row = Row::new(row, "entry", POSITION);
    let cid = row.text("cid")?;
    Ok(Placed {
        position: row.number("position")?,
        version: row.number("version")?,
        activity_id: row.activity_id(&cid)?,
        cid,
    })
}

pub(super) fn definition(row: &PgRow) -> Result<DefinitionRow> {
    let row = Row::new(row, "definition", POSITION);
    Ok(DefinitionRow {
        position: row.number("position")?,
        kind: row.text("kind")?,
        name: row.text("name")?,
        cid: row.text("cid")?,
        body: row.bytes("body")?,
    })
}

pub(super) fn peer_type(row: &PgRow) -> Result<PeerTypeRow> {
    let row = Row::new(row, "peer_type", Key::Columns(&["cid"]));
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

pub(super) fn kv(row: &PgRow) -> Result<KvItem> {
    let row = Row::new(row, "kv", Key::Columns(&["space", "key"]));
    Ok(KvItem {
        space: row.text("space")?,
        key: row.text("key")?,
        version: row.number("version")?,
        value: row.bytes("value")?,
    })
}
