//! One batch: facts, plan, seals, rows, commit.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use fedsx_kernel::origin::Origin;
use fedsx_proto::v1::Entry;
use fedsx_runtime::code::{Code, Refusal};
use tokio::task::JoinError;

use crate::{
    keys::Keys,
    plan::{self, Answer, Chain, Request, SealedDraft},
    registry::Current,
    seal,
    store::{Facts, Rows, Store, StoreError},
};

/// Writes batches.
#[derive(Debug)]
pub struct Writer {
    pub origin: Origin,
    pub store: Arc<dyn Store>,
    pub keys: Arc<Keys>,
    pub registry: Current,
}

/// A batch that is written.
#[derive(Debug)]
pub struct Committed {
    /// Of each request that was written or refused, in order: of all, or of those up to the first that defines something.
    pub answers: Vec<Result<Answer, Refusal>>,
    /// The highest position.
    pub head: u64,
    /// What was added to the log.
    pub entries: Vec<Entry>,
}

/// A batch could not be written, or nobody knows whether it was.
#[derive(Debug, thiserror::Error)]
pub enum BatchError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("a thread that seals drafts has died")]
    Sealing(#[from] JoinError),
    #[error(transparent)]
    Unsealed(#[from] plan::Unsealed),
}

impl BatchError {
    /// A row that this batch read is broken; nothing was written.
    #[must_use]
    pub fn is_corrupt(&self) -> bool {
        matches!(self, Self::Store(error) if error.is_corrupt())
    }

    /// Logs the failure and makes the answer of it.
    #[must_use]
    pub fn refuse(&self) -> Refusal {
        match self {
            Self::Store(error) => error.refuse(),
            Self::Sealing(_) | Self::Unsealed(_) => {
                tracing::error!("{self}");
                Refusal::new(Code::Internal, self.to_string())
            }
        }
    }
}

impl Writer {
    /// Writes requests as one batch: all of them, or, since what is defined takes effect for what comes after, those up to the
    /// first that defines something.
    ///
    /// # Errors
    /// [`BatchError`]; then no answer may be given but that it is unknown.
    pub async fn commit(&self, requests: &[Request]) -> Result<Committed, BatchError> {
        let mut batch = self.store.begin().await?;
        let facts = batch.facts(&plan::need(requests)).await?;
        let registry = self
            .registry
            .caught_up(&mut *batch, facts.head.definition)
            .await?;
        let (requests, refused) = plan::rechecked(requests, &self.origin, &registry);
        let defining = requests.iter().position(Request::defines);
        let together = requests
            .get(..=defining.unwrap_or(requests.len()))
            .unwrap_or(&requests);
        let (rows, answers) = self.decide(together, &facts, refused).await?;
        if !rows.is_empty() {
            batch.commit(&rows).await?;
        }
        self.registry.learn(&rows.definitions)?;
        Ok(Committed {
            answers,
            head: rows.head.position,
            entries: rows.entries,
        })
    }

    /// Plans and seals. Drafts that turn out to be unsealable are refused and the batch planned again without them, since
    /// others may have been admitted, or not, because of them. All of a round are refused at once, so that there are few
    /// rounds: one that would be refused for another reason without the others is refused for what it is.
    async fn decide(
        &self,
        requests: &[Request],
        facts: &Facts,
        mut refused: BTreeMap<usize, Refusal>,
    ) -> Result<(Rows, Vec<Result<Answer, Refusal>>), BatchError> {
        loop {
            let plan = plan::plan(requests, facts, &refused);
            let mut sealed = HashMap::new();
            let before = refused.len();
            for (request, seal) in self.seal(plan.chains(facts), facts).await? {
                match seal {
                    Ok(draft) => drop(sealed.insert(request, draft)),
                    Err(refusal) => drop(refused.insert(request, refusal)),
                }
            }
            if refused.len() == before {
                return Ok(plan.finish(facts, sealed)?);
            }
        }
    }

    async fn seal(
        &self,
        chains: Vec<Chain>,
        facts: &Facts,
    ) -> Result<Vec<(usize, Result<SealedDraft, Refusal>)>, BatchError> {
        let mut seals = Vec::new();
        let mut keyed = Vec::with_capacity(chains.len());
        for chain in chains {
            match self.keys.signing_key(&chain.actor, &chain.signer).await {
                Ok(key) => keyed.push((chain, key)),
                Err(refusal) => {
                    seals.extend(
                        chain
                            .drafts
                            .iter()
                            .map(|(request, _)| (*request, Err(refusal.clone()))),
                    );
                }
            }
        }
        if !keyed.is_empty() {
            seals.extend(seal::seal(&self.origin, facts.now, keyed).await?);
        }
        Ok(seals)
    }
}
