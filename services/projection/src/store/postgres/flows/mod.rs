//! Flows in the same schema.
//!
//! Whoever writes flows locks their rows first, in the order of ids, or skips those that somebody else has locked; rows of
//! `flow_wait` are written only under these locks.

use std::collections::{HashMap, HashSet};

use async_trait::async_trait;
use fedsx_runtime::database::{driver, postgres::retried};
use jiff::{SignedDuration, Timestamp};
use sqlx::Connection as _;

use super::Postgres;
use crate::store::{
    Result,
    flows::{
        AwaitedKey, Claim, FlowQuery, FlowRow, FlowStore, Holder, KeptBehaviour, listing::is_kept, written,
    },
};

pub(super) mod claim;
pub(super) mod read;
pub(super) mod runner;
pub(super) mod write;

/// The database's time, or the one that a test sets.
macro_rules! clock {
    ($parameter:literal) => {
        concat!(
            "clock AS (SELECT coalesce(",
            $parameter,
            ", (extract(epoch FROM clock_timestamp()) * 1000000)::bigint) AS now)"
        )
    };
}
use clock;

impl Postgres {
    fn set(&self) -> Option<i64> {
        self.clock.as_ref().map(|clock| clock.now().as_microsecond())
    }

    async fn put_once(&self, flows: &[FlowRow], holder: Holder<'_>) -> Result<HashSet<String>> {
        let statements = written::statements(flows)?;
        self.call(async |connection| {
            let begun = connection.begin().await;
            let mut transaction = begun.map_err(driver("begin to write flows"))?;
            let mut taken = HashSet::new();
            for rows in &statements {
                taken.extend(write::put(&mut transaction, rows, holder.into(), self.set()).await?);
            }
            transaction.commit().await.map_err(driver("write flows"))?;
            Ok(taken)
        })
        .await
    }
}

#[async_trait]
impl FlowStore for Postgres {
    async fn keep_behaviours(&self, behaviours: &[KeptBehaviour]) -> Result<()> {
        retried(|| self.call(async |connection| write::keep(connection, behaviours).await)).await
    }

    async fn behaviours(&self) -> Result<Vec<KeptBehaviour>> {
        self.call(read::behaviours).await
    }

    async fn put_flows(&self, flows: &[FlowRow], holder: Holder<'_>) -> Result<HashSet<String>> {
        retried(|| self.put_once(flows, holder)).await
    }

    async fn flows(&self, ids: &[&str]) -> Result<Vec<FlowRow>> {
        self.call(async |connection| read::flows(connection, ids).await)
            .await
    }

    async fn versions(&self, ids: &[&str]) -> Result<HashMap<String, u64>> {
        self.call(async |connection| read::versions(connection, ids).await)
            .await
    }

    async fn claim_flows(&self, claim: &Claim<'_>) -> Result<Vec<FlowRow>> {
        retried(|| self.call(async |connection| claim::claim(connection, claim, self.set()).await)).await
    }

    async fn renew_flows(&self, owner: &str, ids: &[&str], term: SignedDuration) -> Result<Vec<String>> {
        retried(|| self.call(async |connection| claim::renew(connection, owner, ids, term, self.set()).await))
            .await
    }

    async fn release_flows(&self, owner: &str, ids: Option<&[&str]>) -> Result<()> {
        retried(|| self.call(async |connection| claim::release(connection, owner, ids).await)).await
    }

    async fn waiting(&self, keys: &[AwaitedKey]) -> Result<Vec<(AwaitedKey, FlowRow)>> {
        self.call(async |connection| read::waiting(connection, keys).await)
            .await
    }

    async fn list_flows(&self, query: &FlowQuery) -> Result<Vec<FlowRow>> {
        if !is_kept(query) {
            return Ok(Vec::new());
        }
        self.call(async |connection| read::list(connection, query).await)
            .await
    }

    async fn advertise(&self, owner: &str, kinds: &[&str], term: Option<SignedDuration>) -> Result<()> {
        retried(|| {
            self.call(async |connection| runner::advertise(connection, owner, kinds, term, self.set()).await)
        })
        .await
    }

    async fn runners(&self) -> Result<Vec<(String, Vec<String>)>> {
        self.call(async |connection| runner::runners(connection, self.set()).await)
            .await
    }

    async fn prune_flows(&self, before: Timestamp, limit: u32) -> Result<bool> {
        retried(|| self.call(async |connection| write::prune(connection, before, limit).await)).await
    }
}

fn micros(term: SignedDuration) -> i64 {
    i64::try_from(term.as_micros()).unwrap_or(i64::MAX)
}

/// As far as PostgreSQL takes texts; no id has NUL.
fn sound<'t>(texts: &[&'t str]) -> Vec<&'t str> {
    texts
        .iter()
        .copied()
        .filter(|text| !text.contains('\0'))
        .collect()
}
