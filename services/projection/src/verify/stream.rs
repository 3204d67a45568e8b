//! The call `Verify`.

use fedsx_proto::v1::{self, VerifyProgress, verify_progress::Step};
use futures::{StreamExt as _, stream::BoxStream};
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;
use tonic::Status;

use super::{Folded, RowDiffers, ShardDiffers, Verdict, Verifier, VerifyError};

/// What is not taken at once of how far it is, is not told.
const WAITING: usize = 4;

/// What is answered, the verdict last.
pub(crate) type Progresses = BoxStream<'static, Result<VerifyProgress, Status>>;

impl Verifier {
    /// Verifies a view for as long as somebody listens.
    pub(crate) fn listen(&self, view: String) -> Progresses {
        let (sender, receiver) = mpsc::channel(WAITING);
        let verifier = self.clone();
        let task = AbortOnDropHandle::new(tokio::spawn(async move {
            let told = |folded: Folded| {
                let _ = sender.try_send(Ok(progress(folded)));
            };
            let verified = tokio::select! {
                () = verifier.stop.cancelled() => Err(VerifyError::Stopping),
                verified = verifier.verify(&view, told) => verified,
            };
            let last = verified.map(answer).map_err(|error| Status::from(error.refuse()));
            let _ = sender.send(last).await;
        }));
        let state = (receiver, task);
        futures::stream::unfold(state, |(mut receiver, task)| async {
            let step = receiver.recv().await?;
            Some((step, (receiver, task)))
        })
        .boxed()
    }
}

fn progress(folded: Folded) -> VerifyProgress {
    VerifyProgress {
        step: Some(Step::Folded(v1::VerifyFolded {
            position: folded.position,
            target: folded.target,
        })),
    }
}

fn answer(verdict: Verdict) -> VerifyProgress {
    let shard = |shard: ShardDiffers| v1::ShardDifference {
        shard: shard.kept.shard,
        kept: Some(at(shard.kept)),
        folded: Some(at(shard.folded)),
        halted: shard.halted,
    };
    let row = |row: RowDiffers| v1::RowDifference {
        key: row.key,
        kept: row.kept,
        folded: row.folded,
    };
    VerifyProgress {
        step: Some(Step::Verdict(v1::VerifyVerdict {
            kept: verdict.kept.into(),
            folded: verdict.folded.into(),
            position: verdict.position,
            rows: verdict.rows,
            shards: verdict.shards.into_iter().map(shard).collect(),
            rows_differ: verdict.differing.count,
            first_rows: verdict.differing.first.into_iter().map(row).collect(),
        })),
    }
}

fn at(at: fedsx_kernel::snapshot::ShardAt) -> v1::ShardApplied {
    v1::ShardApplied {
        position: at.position,
        count: at.count,
        digest: at.digest,
    }
}
