//! The facts in the rows that answer them.

use std::collections::HashMap;

use fedsx_runtime::database::driver;
use sqlx::postgres::PgRow;

use super::{
    facts::{Asked, Names},
    row::{self, Key, Row},
};
use crate::store::{Facts, KEY_SPACE, Name, NameKind, Need, Result, StoreError, StoredKey, StreamRow};

/// Reads the rows of a [statement](super::facts::Asked::statement).
pub(super) struct Found<'n> {
    need: &'n Need,
    asked: &'n Asked<'n>,
    facts: Facts,
    /// Ids of the streams that there are.
    streams: HashMap<String, i64>,
}

impl<'n> Found<'n> {
    pub(super) fn new(need: &'n Need, asked: &'n Asked<'n>) -> Self {
        Self {
            need,
            asked,
            facts: Facts::default(),
            streams: HashMap::new(),
        }
    }

    /// The facts, and the ids of the streams that were asked for and exist.
    pub(super) fn read(mut self, rows: &[PgRow]) -> Result<(Facts, HashMap<String, i64>)> {
        for row in rows {
            let kind: i32 = Row::new(row, "head", Key::Asked(&["1"])).get("kind")?;
            match kind {
                0 => self.head(row)?,
                1 => self.stream(row, false)?,
                2 => self.stream(row, true)?,
                3 => self.by_cid(row)?,
                4 => self.by_name(row, NameKind::ActivityId, &self.asked.foreign_ids)?,
                5 => self.by_name(row, NameKind::DraftKey, &self.asked.draft_keys)?,
                6 => self.kv(row)?,
                _ => self.signing_key(row)?,
            }
        }
        Ok((self.facts, self.streams))
    }

    fn head(&mut self, row: &PgRow) -> Result<()> {
        self.facts.head = row::head(row)?;
        let clock = Row::new(row, "head", Key::Asked(&["1"]));
        self.facts.now = clock.timestamp("published")?.unwrap_or_default();
        Ok(())
    }

    /// One of a stream's two last entries: the last that addresses the public, or the last of the others.
    fn stream(&mut self, row: &PgRow, public: bool) -> Result<()> {
        let name = at(&self.asked.streams, row)?;
        let last = row::last(row)?;
        self.streams.insert(name.to_owned(), last.stream);
        if !self.need.streams.contains(name) {
            return Ok(());
        }
        let stream = self
            .facts
            .streams
            .entry(name.to_owned())
            .or_insert_with(|| StreamRow {
                name: name.to_owned(),
                ..StreamRow::default()
            });
        if public && last.published.is_some() {
            stream.public_cid = Some(last.cid);
        }
        if last.version > stream.version {
            stream.version = last.version;
            stream.public = last.public;
            stream.published = last.published;
        }
        Ok(())
    }

    /// An entry that was found by its CID, though it may have been asked for by an id that ends with it.
    fn by_cid(&mut self, row: &PgRow) -> Result<()> {
        let (stream, _) = self.named(&self.asked.cids, row)?;
        let placed = row::placed(row)?;
        let names = [
            (NameKind::Cid, &placed.cid),
            (NameKind::ActivityId, &placed.activity_id),
        ];
        for (kind, text) in names {
            let name = Name {
                stream: stream.to_owned(),
                kind,
                text: text.clone(),
            };
            if !name.text.is_empty() && self.need.names.contains(&name) {
                self.facts.placed.insert(name, placed.clone());
            }
        }
        Ok(())
    }

    fn by_name(&mut self, row: &PgRow, kind: NameKind, names: &'n Names<'n>) -> Result<()> {
        let (stream, text) = self.named(names, row)?;
        let name = Name {
            stream: stream.to_owned(),
            kind,
            text: text.to_owned(),
        };
        self.facts.placed.insert(name, row::placed(row)?);
        Ok(())
    }

    fn kv(&mut self, row: &PgRow) -> Result<()> {
        let (space, key) = (at(&self.asked.kv_spaces, row)?, at(&self.asked.kv_keys, row)?);
        let version = Row::new(row, "kv", Key::Asked(&[space, key])).number("version")?;
        self.facts.kv.insert((space.to_owned(), key.to_owned()), version);
        Ok(())
    }

    fn signing_key(&mut self, row: &PgRow) -> Result<()> {
        let actor = at(&self.asked.signing_keys, row)?;
        let key = [KEY_SPACE, actor];
        let row = Row::new(row, "kv", Key::Asked(&key));
        let stored = StoredKey {
            version: row.number("version")?,
            sealed: row.bytes("value")?,
        };
        self.facts.signing_keys.insert(actor.to_owned(), stored);
        Ok(())
    }

    /// The stream and the text of a name that was asked for.
    fn named(&self, names: &'n Names<'n>, row: &PgRow) -> Result<(&'n str, &'n str)> {
        let place = at(&names.streams, row)?;
        let stream = usize::try_from(place - 1)
            .ok()
            .and_then(|place| self.asked.streams.get(place));
        Ok((stream.copied().ok_or_else(unasked)?, at(&names.texts, row)?))
    }
}

/// What was asked for that the row answers.
fn at<T: Copy>(asked: &[T], row: &PgRow) -> Result<T> {
    let place: i64 = Row::new(row, "head", Key::Asked(&["1"])).get("ord")?;
    let place = usize::try_from(place - 1).ok();
    place
        .and_then(|place| asked.get(place))
        .copied()
        .ok_or_else(unasked)
}

fn unasked() -> StoreError {
    driver("read the facts of a batch")("the database answered what was not asked")
}
