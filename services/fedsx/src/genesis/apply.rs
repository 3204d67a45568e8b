//! Publishing what a domain lacks, as its base, once: whoever else does the same at the same time, and however often.
//!
//! A record has a key of its own for its first time in a domain: replicas that start together publish it once, and a
//! start publishes it never again, whatever stands in its place by then. So no restart takes back what an operator has
//! defined since, nor does an older version that starts beside a newer one. To put it in place again is an operator's
//! word ([`Manner::Again`]), whose key names the position of what it replaces.

use fedsx_kernel::{
    activity::{Activity, CONTEXT, PUBLIC, cid_of},
    actor,
    origin::Origin,
};
use fedsx_proto::v1::{
    AppendRequest, NewEntry, PublishRequest, append_response, publish_response::Outcome as PublishOutcome,
};
use fedsx_runtime::code::{Code, Refusal};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use serde_json::{Value, json};

use super::{Manifest, Step, plan::InEffect, seeds};
use crate::{domain::clients::LogClient, drafts};

/// Steps under way at the same time: a log commits them together, so that its verbs are declared all at once.
const TOGETHER: usize = 64;

/// How a record is put in place that the domain has had and replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    /// Not at all: a start.
    Once,
    /// Again: an operator.
    Again,
}

/// What became of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Done {
    /// At this position.
    Published(u64),
    /// Somebody else has published it meanwhile, or before.
    Found,
    /// It was in place once, and another has taken that; [`Manner::Once`] leaves it so.
    Left,
}

/// An answer of the log.
enum Placed {
    New(u64),
    Before(u64),
}

/// The domain's own actor, once.
///
/// # Errors
/// The log's refusal.
pub(crate) async fn create_base(log: &mut LogClient, manifest: &Manifest) -> anyhow::Result<()> {
    let (title, summary) = (Some(&*manifest.title), Some(&*manifest.summary));
    let draft = drafts::create_actor(None, actor::Kind::Service, title, summary, false);
    match publish(log, "genesis/base", &draft).await {
        Err(error) if already_exists(&error) => Ok(()),
        placed => placed.map(drop),
    }
}

/// Takes the steps, those that know nothing of each other together, and says what became of each.
///
/// # Errors
/// The log's refusal, naming the step. What was published before stays.
pub(crate) async fn apply(
    log: &LogClient,
    origin: &Origin,
    steps: Vec<Step>,
    manner: Manner,
) -> anyhow::Result<Vec<(Step, Done)>> {
    let mut all = Vec::with_capacity(steps.len());
    let mut steps = steps;
    steps.sort_by_key(Step::rank);
    let mut steps = steps.into_iter().peekable();
    while let Some(rank) = steps.peek().map(Step::rank) {
        let together: Vec<_> = std::iter::from_fn(|| steps.next_if(|step| step.rank() == rank)).collect();
        let done = together.into_iter().map(|step| {
            let mut log = log.clone();
            async move {
                let done = take(&mut log, origin, &step, manner).await;
                done.map(|done| (step.clone(), done))
                    .map_err(|error| error.context(format!("{} {}", step.kind(), step.name())))
            }
        });
        let done: Vec<_> = stream::iter(done).buffered(TOGETHER).try_collect().await?;
        all.extend(done);
    }
    Ok(all)
}

async fn take(log: &mut LogClient, origin: &Origin, step: &Step, manner: Manner) -> anyhow::Result<Done> {
    let again = manner == Manner::Again;
    match step {
        Step::Create(actor) => {
            let key = format!("genesis/actor/{}", actor.name);
            match publish(log, &key, &actor.draft()).await {
                Ok(Placed::New(position)) => Ok(Done::Published(position)),
                Ok(Placed::Before(_)) => Ok(Done::Found),
                Err(error) if already_exists(&error) => Ok(Done::Found),
                Err(error) => Err(error),
            }
        }
        Step::Define { record, replaces } => {
            let draft = json!({ "type": record.kind.verb(), "to": [PUBLIC], "object": record.document });
            let key = format!("genesis/{}/{}/{}", record.kind, record.name, record.cid);
            match (publish(log, &key, &draft).await?, replaces) {
                (Placed::New(position), _) => Ok(Done::Published(position)),
                (Placed::Before(_), None) => Ok(Done::Found),
                (Placed::Before(position), Some(InEffect { position: since, .. })) if position > *since => {
                    Ok(Done::Found)
                }
                (Placed::Before(_), Some(InEffect { position, .. })) if again => {
                    let key = format!("{key}/{position}");
                    Ok(done(publish(log, &key, &draft).await?))
                }
                (Placed::Before(_), Some(_)) => Ok(Done::Left),
            }
        }
        Step::Grant { actor, after } => match grant(log, origin, actor, None).await? {
            Placed::New(position) => Ok(Done::Published(position)),
            Placed::Before(_) if again => Ok(done(grant(log, origin, actor, Some(*after)).await?)),
            Placed::Before(_) => Ok(Done::Left),
        },
        Step::Publish { object, known } => seeds::publish(log, origin, object, known.as_ref(), manner).await,
    }
}

fn done(placed: Placed) -> Done {
    match placed {
        Placed::New(position) => Done::Published(position),
        Placed::Before(_) => Done::Found,
    }
}

async fn publish(log: &mut LogClient, key: &str, draft: &Value) -> anyhow::Result<Placed> {
    let request = PublishRequest {
        draft: serde_json::to_vec(draft)?.into(),
        idempotency_key: key.to_owned(),
        ..PublishRequest::default()
    };
    let answer = log.publish(request).await.map_err(Refusal::from)?;
    match answer.into_inner().outcome {
        Some(PublishOutcome::Appended(at)) => Ok(Placed::New(at.position)),
        Some(PublishOutcome::Duplicate(at)) => Ok(Placed::Before(at.position)),
        other => anyhow::bail!("the log answered {other:?}"),
    }
}

/// The right to define, as the base decides it. The same words are the same CID, hence one entry.
async fn grant(
    log: &mut LogClient,
    origin: &Origin,
    actor: &str,
    after: Option<u64>,
) -> anyhow::Result<Placed> {
    let said = json!({
        "@context": CONTEXT, "type": "Grant", "actor": origin.base(), "object": actor, "grant": "define",
    });
    let mut said = said.as_object().cloned().unwrap_or_default();
    if let Some(after) = after {
        said.insert("after".to_owned(), after.into());
    }
    let id = origin.activity(&cid_of(&said)?);
    said.insert("id".to_owned(), id.into());
    let activity = Activity::from_document(said)?;
    let request = AppendRequest {
        stream: "domain".to_owned(),
        entries: vec![NewEntry {
            body: serde_json::to_vec(activity.document())?.into(),
            meta: None,
        }],
        ..AppendRequest::default()
    };
    let answer = log.append(request).await.map_err(Refusal::from)?;
    match answer.into_inner().outcome {
        Some(append_response::Outcome::Appended(at)) => Ok(Placed::New(at.position)),
        Some(append_response::Outcome::Duplicate(at)) => Ok(Placed::Before(at.position)),
        other => anyhow::bail!("the log answered {other:?}"),
    }
}

/// An operator made an actor of this name before the bundle named it.
fn already_exists(error: &anyhow::Error) -> bool {
    let refusal = error.downcast_ref::<Refusal>();
    refusal.is_some_and(|refusal| refusal.code == Code::AlreadyExists)
}
