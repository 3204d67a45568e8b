//! The one transaction that may number entries.

use std::{collections::HashMap, sync::Arc};

use async_trait::async_trait;
use fedsx_runtime::{clock::Clock, database::integer};
use sqlx::AssertSqlSafe;

use super::{
    facts::Asked,
    found::Found,
    listen::CHANNEL,
    read::DEFINITIONS,
    row::{self, Key, Row},
    write::{Definitions, Entries, Kv},
    writer::Held,
};
use crate::store::{Batch, DefinitionRow, Facts, Need, Result, Rows};

pub(super) struct PostgresBatch {
    held: Held,
    clock: Option<Arc<dyn Clock>>,
    /// Ids of streams, as the facts told them; none where there is no such stream.
    streams: HashMap<String, Option<i64>>,
}

impl PostgresBatch {
    pub(super) fn new(held: Held, clock: Option<Arc<dyn Clock>>) -> Self {
        Self {
            held,
            clock,
            streams: HashMap::new(),
        }
    }

    /// Ids of the streams that are written to and exist. The facts have told them, unless nobody asked.
    async fn known_streams(&mut self, rows: &Rows) -> Result<HashMap<String, i64>> {
        let names = rows.streams.iter().map(|row| row.name.as_str());
        let unknown: Vec<_> = names.filter(|name| !self.streams.contains_key(*name)).collect();
        if !unknown.is_empty() {
            let query = sqlx::query("SELECT id, name FROM stream WHERE name = ANY($1)").bind(&unknown);
            for row in self.held.run(query, "find the streams of a batch").await? {
                let row = Row::new(&row, "stream", Key::Columns(&["name"]));
                self.streams.insert(row.text("name")?, Some(row.get("id")?));
            }
        }
        let known = self.streams.drain().filter_map(|(name, id)| Some((name, id?)));
        Ok(known.collect())
    }
}

#[async_trait]
impl Batch for PostgresBatch {
    async fn facts(&mut self, need: &Need) -> Result<Facts> {
        let asked = Asked::new(need);
        let rows = self.held.run(asked.query(), "read the facts of a batch").await?;
        let (mut facts, ids) = Found::new(need, &asked).read(&rows)?;
        for name in &asked.streams {
            self.streams.insert((*name).to_owned(), ids.get(*name).copied());
        }
        if let Some(clock) = &self.clock {
            facts.now = clock.now();
        }
        Ok(facts)
    }

    async fn definitions(&mut self, after: u64) -> Result<Vec<DefinitionRow>> {
        let query = sqlx::query(DEFINITIONS).bind(integer(after));
        let found = self.held.run(query, "read definitions").await?;
        found.iter().map(row::definition).collect()
    }

    async fn commit(mut self: Box<Self>, rows: &Rows) -> Result<()> {
        let mut end = "COMMIT".to_owned();
        if !rows.entries.is_empty() {
            let known = self.known_streams(rows).await?;
            let entries = Entries::new(rows, &known)?;
            self.held.run(entries.query(), "insert entries").await?;
            // In a transaction of its own: within the batch's it would hold a lock that all databases of the server
            // share until the commit is on the disk.
            end = format!("COMMIT; NOTIFY {CHANNEL}, '{}'", rows.head.position);
        }
        if !rows.definitions.is_empty() {
            let definitions = Definitions::new(&rows.definitions);
            self.held.run(definitions.query(), "insert definitions").await?;
        }
        if !rows.kv.is_empty() {
            let kv = Kv::new(&rows.kv, rows.head.kv_version);
            self.held.run(kv.query(), "write kv").await?;
        }
        self.held
            .run(sqlx::raw_sql(AssertSqlSafe(end)), "commit a batch")
            .await?;
        self.held.ended();
        Ok(())
    }
}
