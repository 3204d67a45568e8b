//! Flows in the same file.

use std::collections::{HashMap, HashSet};

use async_trait::async_trait;
use fedsx_runtime::database::driver;
use jiff::{SignedDuration, Timestamp};

use super::Sqlite;
use crate::store::{
    Result,
    flows::{
        AwaitedKey, Claim, FlowQuery, FlowRow, FlowStore, Holder, KeptBehaviour, listing::is_kept, written,
    },
};

mod claim;
mod read;
mod runner;
#[cfg(test)]
mod tests;
mod write;

impl Sqlite {
    fn until(&self, term: SignedDuration) -> Timestamp {
        self.clock.now().saturating_add(term).unwrap_or(Timestamp::MAX)
    }
}

#[async_trait]
impl FlowStore for Sqlite {
    async fn keep_behaviours(&self, behaviours: &[KeptBehaviour]) -> Result<()> {
        let mut transaction = self.pools.begin().await?;
        write::keep(&mut transaction, behaviours).await?;
        transaction.commit().await.map_err(driver("keep behaviours"))
    }

    async fn behaviours(&self) -> Result<Vec<KeptBehaviour>> {
        read::behaviours(&self.pools.reader).await
    }

    async fn put_flows(&self, flows: &[FlowRow], holder: Holder<'_>) -> Result<HashSet<String>> {
        let statements = written::statements(flows)?;
        let mut transaction = self.pools.begin().await?;
        // Read under the lock, so that waiting for it costs nobody's term.
        let now = self.clock.now();
        let mut taken = HashSet::new();
        for rows in &statements {
            taken.extend(write::put(&mut transaction, rows, holder.into(), now).await?);
        }
        transaction.commit().await.map_err(driver("write flows"))?;
        Ok(taken)
    }

    async fn flows(&self, ids: &[&str]) -> Result<Vec<FlowRow>> {
        read::flows(&self.pools.reader, ids).await
    }

    async fn versions(&self, ids: &[&str]) -> Result<HashMap<String, u64>> {
        read::versions(&self.pools.reader, ids).await
    }

    async fn claim_flows(&self, claim: &Claim<'_>) -> Result<Vec<FlowRow>> {
        // Who finds nothing keeps nobody from writing.
        if claim::due(&self.pools.reader, claim, self.clock.now())
            .await?
            .is_empty()
        {
            return Ok(Vec::new());
        }
        let mut transaction = self.pools.begin().await?;
        let claimed = claim::claim(&mut transaction, claim, self.clock.now()).await?;
        transaction.commit().await.map_err(driver("claim flows"))?;
        Ok(claimed)
    }

    async fn renew_flows(&self, owner: &str, ids: &[&str], term: SignedDuration) -> Result<Vec<String>> {
        let mut transaction = self.pools.begin().await?;
        let renewed = claim::renew(&mut transaction, owner, ids, self.until(term)).await?;
        transaction.commit().await.map_err(driver("renew claims"))?;
        Ok(renewed)
    }

    async fn release_flows(&self, owner: &str, ids: Option<&[&str]>) -> Result<()> {
        let mut transaction = self.pools.begin().await?;
        claim::release(&mut transaction, owner, ids).await?;
        transaction.commit().await.map_err(driver("release claims"))
    }

    async fn waiting(&self, keys: &[AwaitedKey]) -> Result<Vec<(AwaitedKey, FlowRow)>> {
        read::waiting(&self.pools.reader, keys).await
    }

    async fn list_flows(&self, query: &FlowQuery) -> Result<Vec<FlowRow>> {
        if !is_kept(query) {
            return Ok(Vec::new());
        }
        read::list(&self.pools.reader, query).await
    }

    async fn advertise(&self, owner: &str, kinds: &[&str], term: Option<SignedDuration>) -> Result<()> {
        let mut transaction = self.pools.begin().await?;
        match term {
            None => runner::end(&mut transaction, owner).await?,
            Some(term) => {
                let now = self.clock.now();
                runner::advertise(&mut transaction, owner, kinds, now, self.until(term)).await?;
            }
        }
        transaction
            .commit()
            .await
            .map_err(driver("tell what a runner can do"))
    }

    async fn runners(&self) -> Result<Vec<(String, Vec<String>)>> {
        runner::runners(&self.pools.reader, self.clock.now()).await
    }

    async fn prune_flows(&self, before: Timestamp, limit: u32) -> Result<bool> {
        if write::prunable(&self.pools.reader, before, 1).await?.is_empty() {
            return Ok(false);
        }
        let mut transaction = self.pools.begin().await?;
        let pruned = write::prune(&mut transaction, before, limit).await?;
        transaction.commit().await.map_err(driver("prune flows"))?;
        Ok(pruned)
    }
}
