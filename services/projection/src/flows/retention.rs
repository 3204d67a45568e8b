//! Forgets flows that are over for long: the log has them all the same.

use std::{sync::Arc, time::Duration};

use fedsx_runtime::clock::Clock;
use jiff::SignedDuration;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::store::Store;

/// How often it is looked for such.
const TURN: Duration = Duration::from_mins(10);
/// Flows that are forgotten at once.
const MANY: u32 = 1000;

/// Forgets until it is told to stop.
pub(super) async fn run(
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    kept: SignedDuration,
    stop: CancellationToken,
) {
    while stop.run_until_cancelled(sleep(TURN)).await.is_some() {
        let Ok(before) = clock.now().checked_sub(kept) else {
            continue;
        };
        let forgetting = async {
            while store.prune_flows(before, MANY).await? {}
            Ok::<_, crate::store::StoreError>(())
        };
        match stop.run_until_cancelled(forgetting).await {
            Some(Ok(())) => {}
            Some(Err(error)) => tracing::warn!(%error, "flows that are over are kept for now"),
            None => return,
        }
    }
}
