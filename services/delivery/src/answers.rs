//! Tells flows what came of their webhooks: each end that the [ledger](crate::ledger::Endings) has not down as told is
//! appended to the flow's stream, and then set down. After a crash between the two it is appended again, in the same words,
//! and the log has it once.

use std::{collections::HashMap, sync::Arc, time::Duration};

use fedsx_kernel::{origin::Origin, stream::Stream};
use fedsx_proto::v1::Entry;
use fedsx_runtime::{code::Refusal, telemetry};
use futures::{StreamExt as _, stream};
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use crate::{
    ledger::{Ended, Ledger, StoreError},
    log::Log,
    wake::Wake,
    webhook,
};

/// Ends that are read together.
const PAGE: u32 = 100;
/// Ends that are told at the same time.
const TOGETHER: usize = 16;

/// Tells flows.
#[derive(Debug)]
pub(crate) struct Answers {
    pub(crate) origin: Origin,
    pub(crate) ledger: Arc<dyn Ledger>,
    pub(crate) log: Log,
    pub(crate) wake: Arc<Wake>,
    pub(crate) tick: Duration,
    pub(crate) stop: CancellationToken,
}

#[derive(Debug, thiserror::Error)]
enum AnswersError {
    #[error(transparent)]
    Ledger(#[from] StoreError),
    #[error("the log: {0}")]
    Log(#[from] Refusal),
    #[error(transparent)]
    Json(#[from] serde_json::Error),
}

impl Answers {
    /// Tells what there is to tell, every tick, until shutdown.
    pub(crate) async fn run(self) {
        while !self.stop.is_cancelled() {
            if self.wake.leads()
                && let Err(error) = self.all().await
            {
                tracing::warn!(%error, "flows wait to be told what came of their webhooks");
            }
            tokio::select! {
                () = tokio::time::sleep(self.tick) => {}
                () = self.stop.cancelled() => {}
            }
        }
    }

    async fn all(&self) -> Result<(), AnswersError> {
        while !self.stop.is_cancelled() {
            let ended = self.ledger.untold(PAGE).await?;
            if ended.is_empty() {
                return Ok(());
            }
            let positions = ended.iter().map(|ended| ended.key.position).collect();
            let entries = self.log.at(positions).await?.into_iter();
            let entries: HashMap<_, _> = entries.map(|entry| (entry.position, entry)).collect();
            let mut each = Vec::with_capacity(ended.len());
            for ended in ended {
                // Those that exceeded the log's page are for the next round.
                if let Some(entry) = entries.get(&ended.key.position) {
                    each.push(async move { (self.tell(entry, &ended).await, ended) });
                }
            }
            let (mut told, mut failure) = (Vec::new(), None);
            let mut results = stream::iter(each).buffer_unordered(TOGETHER);
            while let Some((result, ended)) = results.next().await {
                match result {
                    Ok(()) => told.push(ended),
                    Err(error) => failure = Some(error),
                }
            }
            self.ledger.told(&told).await?;
            match failure {
                Some(error) => return Err(error),
                // The log has none of them, and would not have the next time.
                None if told.is_empty() => return Ok(()),
                None => {}
            }
        }
        Ok(())
    }

    async fn tell(&self, entry: &Entry, ended: &Ended) -> Result<(), AnswersError> {
        let answered = webhook::answered(&entry.body, entry.version, ended);
        let answered = answered.and_then(|answered| {
            let activity = answered
                .activity(&self.origin)
                .map_err(|error| error.to_string())?;
            Ok((answered.flow, activity))
        });
        let (flow, activity) = match answered {
            Ok(answered) => answered,
            Err(error) => {
                // Nor will it be by asking again.
                tracing::error!(
                    position = entry.position,
                    error,
                    "a flow cannot be told what came of its webhook"
                );
                return Ok(());
            }
        };
        let body = serde_json::to_vec(activity.document())?;
        let span = tracing::info_span!(
            "flow.answer",
            "otel.kind" = "producer",
            "fedsx.flow.id" = flow,
            "http.response.status_code" = ended.status,
        );
        telemetry::continue_trace(&span, &ended.trace);
        let stream = Stream::Flow(flow);
        Ok(self.log.append(&stream, body).instrument(span).await?)
    }
}
