//! A ledger that was lost, told from one that is new: the log's kv remembers which ledger sent from it.
//!
//! A new ledger sends the log from its beginning. One beside a log that another ledger has sent from folds the audience
//! from the beginning, starts at the head, and resends nothing. Webhooks that were under way are not posted again either,
//! since nobody knows whether they were: their flows wait until an operator decides.

use fedsx_runtime::code::Refusal;

use crate::{
    ledger::{Ledger, StoreError},
    log::Log,
};

/// The kv space that is delivery's.
const SPACE: &str = "delivery";
/// The name of the ledger that sends.
const KEY: &str = "ledger";

/// It cannot be decided now.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RebuildError {
    #[error(transparent)]
    Ledger(#[from] StoreError),
    #[error("the log: {0}")]
    Log(#[from] Refusal),
}

/// Decides up to where this ledger stays silent, if that is not decided yet. A crash between any two steps leads to the same
/// decision.
pub(crate) async fn decide(ledger: &dyn Ledger, log: &Log) -> Result<(), RebuildError> {
    let cursor = ledger.cursor().await?;
    while ledger.cursor().await?.silent_until.is_none() {
        let known = log.get_kv(SPACE, KEY).await?;
        match known {
            Some(item) if item.value != cursor.ledger.as_bytes() => {
                let head = log.head().await?;
                tracing::warn!(
                    head,
                    "another ledger has sent from this log: rebuilding, nothing is sent again"
                );
                ledger.decide_silence(head).await?;
                log.put_kv(SPACE, KEY, item.version, &cursor.ledger).await?;
            }
            Some(_) => ledger.decide_silence(0).await?,
            None => {
                log.put_kv(SPACE, KEY, 0, &cursor.ledger).await?;
            }
        }
    }
    Ok(())
}
