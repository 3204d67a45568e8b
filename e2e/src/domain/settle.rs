//! Nothing is under way any more.

use std::time::Duration;

use fedsx_proto::v1::{GetProgressRequest, ListViewsRequest, ViewState};

use super::Domain;
use crate::eventually;

/// Debug processes work off a few hundred deliveries within this time.
const REST: Duration = Duration::from_secs(60);

/// Waits until nothing is under way at these domains or between them: each view and fan-out at the head, nothing owed, and
/// no head moved while that was found out. Returns the heads. What has not happened then does not happen any more.
pub async fn settle(domains: &[&Domain]) -> Vec<u64> {
    settle_within(domains, REST).await
}

/// [`settle`] with more patience.
pub(crate) async fn settle_within(domains: &[&Domain], within: Duration) -> Vec<u64> {
    let mut before = Vec::new();
    eventually("everything is at rest", within, async || {
        let mut heads = Vec::new();
        for domain in domains {
            let head = domain.at_rest().await;
            heads.push(head.map_err(|problem| format!("{}: {problem}", domain.origin()))?);
        }
        let known = std::mem::replace(&mut before, heads.clone());
        (known == heads)
            .then_some(heads)
            .ok_or(format!("the heads moved from {known:?}"))
    })
    .await
}

impl Domain {
    /// The log's head, if fan-out and every view have reached it, every Follow has been considered and nothing is owed;
    /// else what is under way.
    async fn at_rest(&self) -> Result<u64, String> {
        let told = |status: tonic::Status| status.to_string();
        let head = self.try_head().await.map_err(told)?;
        let progress = self.delivery_client().get_progress(GetProgressRequest {}).await;
        let progress = progress.map_err(told)?.into_inner();
        if progress.cursor < head || progress.pending > 0 {
            let (cursor, pending) = (progress.cursor, progress.pending);
            return Err(format!("fan-out at {cursor} of {head}, {pending} pending"));
        }
        let log = self.try_log().await.map_err(told)?;
        let asked = log
            .iter()
            .rfind(|entry| entry.verb() == "Follow" && entry.stream.starts_with("inbox/"))
            .map_or(0, |entry| entry.position);
        let views = self.projection_client().list_views(ListViewsRequest {}).await;
        for ViewState { view, shards, .. } in views.map_err(told)?.into_inner().views {
            // A reaction writes its cursor when it has answered something, and else only now and then.
            let goal = if view.starts_with("reaction/") {
                asked
            } else {
                head
            };
            if let Some(shard) = shards.iter().find(|shard| shard.position < goal) {
                return Err(format!("{view} at {} of {goal}", shard.position));
            }
        }
        Ok(head)
    }
}
