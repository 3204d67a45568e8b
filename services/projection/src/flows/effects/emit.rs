//! Publishes an activity of a local actor.

use fedsx_kernel::{
    definition::{Effect, Step},
    flow::MAX_CAUSES,
};
use fedsx_proto::v1::{Meta, PublishRequest, publish_response::Outcome};
use fedsx_runtime::code::{Code, Refusal};
use serde_json::{Map, Value, json};

use super::{Undone, key, text};
use crate::{
    flows::{Engine, run::Run},
    source::{self, SourceError},
};

/// What an activity says of why it was published: the id of the one that caused it, and how many caused each other before.
const CAUSED_BY: &str = "causedBy";
const DEPTH: &str = "causeDepth";

impl Engine {
    pub(super) async fn emit(&self, run: &Run, step: &Step, effect: &Effect) -> Result<Value, Undone> {
        let request = request(run, step, effect)?;
        let mut client = self.source.client.clone();
        let published = match source::within(client.publish(request)).await {
            Ok(published) => published.into_inner(),
            Err(SourceError::Refused(refusal)) if refusal.code == Code::Unavailable => {
                return Err(SourceError::Refused(refusal).into());
            }
            Err(SourceError::Refused(refusal)) => return Err(Undone::refused(&refusal)),
            Err(error) => return Err(error.into()),
        };
        match published.outcome {
            Some(Outcome::Appended(placed)) => Ok(value(&placed.activity_id, &placed.cid, placed.position)),
            Some(Outcome::Duplicate(placed)) => Ok(value(&placed.activity_id, &placed.cid, placed.position)),
            Some(Outcome::KvConflict(_)) | None => {
                let refusal = Refusal::new(Code::Internal, "the log answered what it was not asked");
                Err(Undone::refused(&refusal))
            }
        }
    }
}

/// The same whether it is published now or was before.
fn value(id: &str, cid: &str, position: u64) -> Value {
    json!({ "id": id, "cid": cid, "position": position })
}

fn request(run: &Run, step: &Step, effect: &Effect) -> Result<PublishRequest, Undone> {
    let said = run.around(&step.id).said(effect, "activity")?;
    let Some(Value::Object(mut draft)) = said else {
        return Err(Undone::wrong("`activity` is no object"));
    };
    let depth = depth(run.trigger.activity.document()) + 1;
    if depth > MAX_CAUSES {
        return Err(Undone::wrong(format!(
            "chain_too_long: {MAX_CAUSES} activities have caused each other, and this would be one more"
        )));
    }
    draft.insert(CAUSED_BY.to_owned(), run.trigger.activity.id().into());
    draft.insert(DEPTH.to_owned(), depth.into());
    Ok(PublishRequest {
        actor: text(run, step, effect, "actor")?.unwrap_or_default(),
        draft: Value::Object(draft).to_string().into(),
        idempotency_key: key(run, step),
        kv: Vec::new(),
        meta: Some(Meta {
            traceparent: run.trace.clone(),
            ..Meta::default()
        }),
    })
}

/// How many activities caused each other before this one, as it says. One that says nothing begins a chain.
fn depth(activity: &Map<String, Value>) -> u64 {
    let said = activity.get(DEPTH).and_then(Value::as_u64);
    said.unwrap_or_default().min(MAX_CAUSES)
}
