//! Reads what the decision about a Follow needs, and publishes the answer.

use std::time::Duration;

use async_trait::async_trait;
use fedsx_kernel::origin::Origin;
use fedsx_proto::v1::{PublishRequest, publish_response::Outcome};
use fedsx_runtime::{
    code::{Code, Refusal},
    telemetry,
};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use serde::de::DeserializeOwned;
use tracing::Instrument as _;

use super::{
    ReactError, Reacted, Reaction,
    follow::{self, Asked},
};
use crate::{
    entry::Entry,
    measure::Measures,
    serving::Serving,
    source::{self, Source, SourceError},
    views::{actors, followers},
};

/// Answers that are published at once.
const ABREAST: usize = 32;
/// How long the views are waited for before the lease is looked after again.
const PATIENCE: Duration = Duration::from_secs(5);

/// The name of the reaction.
pub(crate) const NAME: &str = "reaction/follow";

/// Answers Follows.
#[derive(Debug)]
pub(crate) struct Answers {
    pub(crate) serving: Serving,
    pub(crate) source: Source,
    pub(crate) origin: Origin,
    pub(crate) measures: Measures,
}

#[async_trait]
impl Reaction for Answers {
    fn name(&self) -> &'static str {
        NAME
    }

    async fn begin(&mut self, _after: u64) -> Result<(), ReactError> {
        Ok(())
    }

    async fn react(&mut self, entries: &[&Entry], floor: u64) -> Result<Reacted, ReactError> {
        let asked: Vec<Asked> = entries
            .iter()
            .filter_map(|entry| follow::asked(entry, &self.origin))
            .collect();
        let answers: Vec<_> = asked.iter().map(|asked| self.answer(asked, floor)).collect();
        stream::iter(answers)
            .buffered(ABREAST)
            .try_collect::<()>()
            .await?;
        Ok(Reacted {
            acted: !asked.is_empty(),
            anew: None,
        })
    }
}

impl Answers {
    async fn answer(&self, asked: &Asked, floor: u64) -> Result<(), ReactError> {
        let span = tracing::info_span!(
            "react",
            "fedsx.position" = asked.position,
            "activitypub.actor.id" = asked.follower,
        );
        telemetry::continue_trace(&span, &asked.traceparent);
        async {
            let at_least = floor.max(asked.position);
            let key = followers::key(&asked.followed, &asked.follower);
            let actor = self.row(actors::NAME, &asked.followed, at_least).await?;
            let relation = self.row(followers::NAME, &key, at_least).await?;
            match follow::answer(asked, actor.as_ref(), relation.as_ref()) {
                Some(request) => self.publish(asked, request).await,
                None => {
                    self.measures.answered("none");
                    Ok(())
                }
            }
        }
        .instrument(span)
        .await
    }

    async fn row<T: DeserializeOwned>(
        &self,
        view: &'static str,
        key: &str,
        at_least: u64,
    ) -> Result<Option<T>, ReactError> {
        let row = self.serving.row(view, key, at_least, PATIENCE).await;
        let (row, _) = row.map_err(ReactError::Views)?;
        let decoded = row.map(|row| serde_json::from_slice(&row.value));
        decoded.transpose().map_err(|error| ReactError::Row {
            view,
            key: key.to_owned(),
            problem: error.to_string(),
        })
    }

    async fn publish(&self, asked: &Asked, request: PublishRequest) -> Result<(), ReactError> {
        let mut client = self.source.client.clone();
        let refused = |refusal| ReactError::Refused {
            position: asked.position,
            refusal,
        };
        let published = match source::within(client.publish(request)).await {
            Ok(published) => published.into_inner(),
            Err(SourceError::Refused(refusal)) => return Err(refused(refusal)),
            Err(error) => return Err(error.into()),
        };
        match published.outcome {
            Some(Outcome::Appended(_)) => {
                tracing::info!(
                    follower = asked.follower,
                    followed = asked.followed,
                    "a Follow is accepted"
                );
                self.measures.answered("accept");
            }
            Some(Outcome::Duplicate(_)) => self.measures.answered("duplicate"),
            Some(Outcome::KvConflict(_)) | None => {
                let detail = "the log answered what it was not asked";
                return Err(refused(Refusal::new(Code::Internal, detail)));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use fedsx_runtime::metrics::Metrics;
    use jiff::SignedDuration;
    use serde_json::json;

    use super::*;
    use crate::{
        entry::Item,
        progress::Progress,
        shard::{ShardId, apply, lease::Lease},
        source::Batch,
        store::Group,
        testing::{ALICE, BASE, BOB, Story, log::TestLog, node, origin, person, serving, views},
    };

    /// What is judged again, after a crash or a replay, is judged by all that was logged in the meantime.
    #[tokio::test]
    async fn waits_for_views_that_know_what_was_answered() {
        let mut story = Story::default();
        story.published(BASE, json!({"type": "Create", "object": person("alice", false)}));
        let follow = story.received(BOB, json!({"type": "Follow", "object": ALICE}));
        story.published(ALICE, json!({"type": "Reject", "object": follow.id()}));
        let (log, store) = (TestLog::new(&story), node::store().await);
        let progress = Progress::new(store.clone());
        let shards = views().iter().flat_map(|view| ShardId::all(&view.id)).collect();
        let group = Group {
            name: "views".to_owned(),
            shards,
        };
        store.declare(&group.shards).await.unwrap();
        let leases = store
            .hold(&group, "a", SignedDuration::from_secs(60))
            .await
            .unwrap();
        let source = log.source();
        let items = source
            .items(story.entries.clone(), source::References::LookUp)
            .await
            .unwrap();
        let fold = async |leases: Vec<Lease>, items: &[Item]| {
            let applied = apply::apply(
                &*store,
                &views(),
                &leases,
                &crate::skips::Skips::default(),
                &Batch::of(items),
            )
            .await
            .unwrap();
            apply::after(leases, &applied)
        };
        let leases = fold(leases, &items[..2]).await;
        let mut answers = Answers {
            serving: serving(store.clone(), progress.clone()),
            source: source.clone(),
            origin: origin(),
            measures: Measures::register(&Metrics::default()).unwrap(),
        };
        let asked = [items[1].content.as_ref().unwrap()];
        let (reacted, _) = tokio::join!(answers.react(&asked, 3), async {
            let leases = fold(leases, &items[2..]).await;
            progress.moved(&leases);
        });
        assert!(reacted.unwrap().acted);
        assert_eq!(log.published(), []);
    }
}
