//! The facts of a batch: one read for each kind of thing that is needed.

use std::collections::{BTreeSet, HashMap};

use fedsx_runtime::database::driver;
use sqlx::{QueryBuilder, SqliteConnection, sqlite::SqliteRow};

use super::{
    CHUNK,
    row::{self, Row},
};
use crate::store::{Facts, Head, KEY_SPACE, Name, NameKind, Need, Placed, Result, StoredKey, StreamRow};

pub(super) async fn read(connection: &mut SqliteConnection, need: &Need) -> Result<Facts> {
    let mut facts = Facts {
        head: head(connection).await?,
        ..Facts::default()
    };
    facts.streams = streams(connection, &need.streams).await?;
    for kind in [NameKind::Cid, NameKind::ActivityId, NameKind::DraftKey] {
        placed(connection, kind, &need.names, &mut facts.placed).await?;
    }
    facts.kv = kv(connection, &need.kv).await?;
    facts.signing_keys = signing_keys(connection, &need.signing_keys).await?;
    Ok(facts)
}

async fn head(connection: &mut SqliteConnection) -> Result<Head> {
    let found = sqlx::query(row::HEAD)
        .fetch_one(connection)
        .await
        .map_err(driver("read the head"))?;
    row::head(&found)
}

async fn streams(
    connection: &mut SqliteConnection,
    names: &BTreeSet<String>,
) -> Result<HashMap<String, StreamRow>> {
    let wanted: Vec<_> = names.iter().map(|name| [name.as_str()]).collect();
    let rows = join(
        connection,
        "SELECT stream.* FROM n CROSS JOIN stream ON name = a",
        &wanted,
    )
    .await?;
    rows.iter()
        .map(|found| row::stream(found).map(|stream| (stream.name.clone(), stream)))
        .collect()
}

async fn placed(
    connection: &mut SqliteConnection,
    kind: NameKind,
    names: &BTreeSet<Name>,
    into: &mut HashMap<Name, Placed>,
) -> Result<()> {
    let select = match kind {
        NameKind::Cid => {
            "SELECT a, b, position, version, cid, activity_id FROM n CROSS JOIN entry ON cid = b AND stream = a"
        }
        NameKind::ActivityId => {
            "SELECT a, b, position, version, cid, activity_id FROM n CROSS JOIN entry ON activity_id = b AND stream = a"
        }
        NameKind::DraftKey => {
            "SELECT a, b, position, version, entry.cid, activity_id FROM n \
             CROSS JOIN draft_key ON draft_key.stream = a AND key = b \
             CROSS JOIN entry ON entry.cid = draft_key.cid AND entry.stream = a"
        }
    };
    let wanted: Vec<_> = names
        .iter()
        .filter(|name| name.kind == kind)
        .map(|name| [name.stream.as_str(), name.text.as_str()])
        .collect();
    for found in join(connection, select, &wanted).await? {
        let asked = Row::new(&found, "entry", &["position"]);
        let name = Name {
            stream: asked.text("a")?,
            kind,
            text: asked.text("b")?,
        };
        into.insert(name, row::placed(&found)?);
    }
    Ok(())
}

async fn kv(
    connection: &mut SqliteConnection,
    keys: &BTreeSet<(String, String)>,
) -> Result<HashMap<(String, String), u64>> {
    let wanted: Vec<_> = keys
        .iter()
        .map(|(space, key)| [space.as_str(), key.as_str()])
        .collect();
    let select = "SELECT space, key, version FROM n CROSS JOIN kv ON space = a AND key = b";
    let rows = join(connection, select, &wanted).await?;
    rows.iter()
        .map(|found| {
            let row = Row::new(found, "kv", &["space", "key"]);
            Ok(((row.text("space")?, row.text("key")?), row.number("version")?))
        })
        .collect()
}

async fn signing_keys(
    connection: &mut SqliteConnection,
    actors: &BTreeSet<String>,
) -> Result<HashMap<String, StoredKey>> {
    let wanted: Vec<_> = actors.iter().map(|actor| [KEY_SPACE, actor.as_str()]).collect();
    let rows = join(
        connection,
        "SELECT kv.* FROM n CROSS JOIN kv ON space = a AND key = b",
        &wanted,
    )
    .await?;
    rows.iter()
        .map(|found| {
            let item = row::kv(found)?;
            Ok((
                item.key,
                StoredKey {
                    version: item.version,
                    sealed: item.value,
                },
            ))
        })
        .collect()
}

/// Rows of a `SELECT` from `n(a)` or `n(a, b)`, the tuples that are wanted. `CROSS JOIN` keeps SQLite from scanning the
/// table instead of them.
async fn join<const N: usize>(
    connection: &mut SqliteConnection,
    select: &str,
    wanted: &[[&str; N]],
) -> Result<Vec<SqliteRow>> {
    let mut rows = Vec::new();
    for chunk in wanted.chunks(CHUNK) {
        let mut query = QueryBuilder::new(if N == 1 {
            "WITH n(a) AS ("
        } else {
            "WITH n(a, b) AS ("
        });
        query.push_values(chunk, |mut tuple, texts| {
            for text in texts {
                tuple.push_bind(*text);
            }
        });
        query.push(") ").push(select);
        let found = query.build().persistent(false).fetch_all(&mut *connection).await;
        rows.append(&mut found.map_err(driver("read the facts of a batch"))?);
    }
    Ok(rows)
}
