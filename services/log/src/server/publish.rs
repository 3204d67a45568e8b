//! Publish: a draft of a local actor, to be sealed in the batch.

use std::sync::Arc;

use fedsx_kernel::{actor::NewActor, draft::Draft, key::SigningKey, origin::Origin, stream::Stream};
use fedsx_proto::v1::{PublishRequest, PublishResponse, publish_response::Outcome};
use fedsx_runtime::{
    code::{Code, Refusal},
    token::Role,
};
use serde_json::Value;

use super::{
    LogService,
    append::{appended, duplicate},
    claim::{self, Taken},
    kv, meta, unexpected,
};
use crate::{
    authority::{self, Action},
    limits::{self, MAX_DRAFT_KEY, MAX_ID},
    plan::{Answer, NewActorKey, Publish, Request, publish_again},
    refusal,
    registry::checked::{Checked, speaker},
    store::UNIQUE_SPACE,
};

/// How often a draft is claimed for whose texts others claim meanwhile.
const MAX_CLAIMS: usize = 200;

pub(super) async fn publish(
    log: &LogService,
    role: Role,
    request: PublishRequest,
    traceparent: String,
) -> Result<PublishResponse, Refusal> {
    let length = request.draft.len();
    let service = log.clone();
    let parse = move || parse(&service, role, request, &traceparent);
    let parsed = super::parse(length, parse).await;
    let mut taken = Taken::default();
    for _ in 0..MAX_CLAIMS {
        let checked = match &parsed {
            Ok((publish, bytes)) => checked(log, publish, length, *bytes, &mut taken).await,
            Err(refusal) => Err(refusal.clone()),
        };
        let outcome = match log.write("Publish", checked).await? {
            Answer::Appended(placed) => Outcome::Appended(appended(placed)),
            Answer::Duplicate(placed) => Outcome::Duplicate(duplicate(placed)),
            Answer::KvConflict(conflict) if conflict.space == UNIQUE_SPACE => continue,
            Answer::KvConflict(conflict) => Outcome::KvConflict(conflict),
            answer @ (Answer::Conflict { .. } | Answer::Changed) => return Err(unexpected(&answer)),
        };
        return Ok(PublishResponse {
            outcome: Some(outcome),
        });
    }
    let detail = "others have claimed what the object asks for, again and again: try again";
    Err(Refusal::new(Code::Unavailable, detail))
}

/// Claims what the draft's objects ask for, and runs the stages, as an append's.
async fn checked(
    log: &LogService,
    given: &Publish,
    length: usize,
    bytes: usize,
    taken: &mut Taken,
) -> Result<(Request, usize), Refusal> {
    let mut publish = given.clone();
    match claim::claim(log, &publish.actor, &given.given, taken).await {
        Ok(claims) => {
            if let Some(draft) = claims.draft {
                publish.given = Arc::new(draft);
                publish.draft = Arc::clone(&publish.given);
            }
            publish.kv.extend(claims.changes);
            publish.asked = claims.asked;
        }
        // A draft that the log has already is its duplicate all the same, which the batch finds out.
        Err(refusal) if refusal.code == Code::AlreadyExists => {
            publish.checked.passed = Err(refusal);
            return Ok((Request::Publish(Box::new(publish)), bytes));
        }
        Err(refusal) => return Err(refusal),
    }
    publish.checked = {
        let speaker = speaker(&log.origin, &publish.actor);
        log.unchecked(publish.given.document(), speaker).await?
    };
    let bytes = bytes + kv::bytes(&publish.kv) - kv::bytes(&given.kv);
    let service = log.clone();
    let check = move || {
        let publish = publish_again(&publish, &service.origin, &service.registry.get());
        Ok((Request::Publish(Box::new(publish)), bytes))
    };
    super::parse(length, check).await
}

/// The request before the stages, and its size in bytes.
fn parse(
    log: &LogService,
    role: Role,
    request: PublishRequest,
    traceparent: &str,
) -> Result<(Publish, usize), Refusal> {
    authority::check(role, Action::Publish)?;
    kv::check(role, &request.kv)?;
    if !request.idempotency_key.is_empty() {
        limits::name("idempotency_key", &request.idempotency_key, MAX_DRAFT_KEY)?;
    }
    let actor = local_actor(&log.origin, &request.actor)?;
    let bytes = request.draft.len() + kv::bytes(&request.kv);
    let draft = Draft::parse(&request.draft).and_then(|draft| draft.by(&actor));
    let draft = draft.map_err(refusal::draft)?;
    let span = tracing::Span::current();
    span.record("activitypub.actor.id", actor.as_str());
    span.record("activitypub.activity.type", draft.verb());
    let (draft, creates) = if log.origin.is_base(&actor) {
        new_actor(log, draft)?
    } else {
        (draft, None)
    };
    let given = Arc::new(draft);
    let publish = Publish {
        stream: Stream::Outbox(actor.clone()).to_string(),
        actor,
        draft: Arc::clone(&given),
        given,
        checked: Checked::default(),
        idempotency_key: Some(request.idempotency_key).filter(|key| !key.is_empty()),
        kv: request.kv,
        asked: Vec::new(),
        is_outdated: false,
        meta: meta::complete(request.meta, traceparent)?,
        creates,
    };
    Ok((publish, bytes))
}

/// The id of the actor that a caller names by its id, by its name alone, or, the base, by nothing.
fn local_actor(origin: &Origin, named: &str) -> Result<String, Refusal> {
    if named.is_empty() || origin.is_base(named) {
        return Ok(origin.base());
    }
    limits::name("actor", named, MAX_ID)?;
    let id = if named.contains("://") {
        named.to_owned()
    } else {
        origin.actor(named)
    };
    match origin.actor_name(&id) {
        Some(_) => Ok(id),
        None => Err(Refusal::new(
            Code::NotFound,
            format!("{named} is no actor of {origin}"),
        )),
    }
}

/// A `Create` of an actor by the base: draws the actor's key, and completes its document.
fn new_actor(log: &LogService, draft: Draft) -> Result<(Draft, Option<NewActorKey>), Refusal> {
    let object = draft.document().get("object").and_then(Value::as_object);
    let Some(object) = object.filter(|_| draft.verb() == "Create") else {
        return Ok((draft, None));
    };
    let Some(new) = NewActor::from_object(object).map_err(refusal::actor)? else {
        return Ok((draft, None));
    };
    let actor = new.id(&log.origin);
    let key = SigningKey::from_seed(&log.entropy.seed());
    let sealed = log.keys.seal(&actor, &key).map_err(|error| {
        tracing::error!(%actor, "a new actor's key could not be sealed: {error}");
        Refusal::new(Code::Internal, "the new actor's key could not be sealed")
    })?;
    let draft = draft
        .with_object(new.document(&log.origin, &key.verifying_key()))
        .map_err(refusal::draft)?;
    Ok((
        draft,
        Some(NewActorKey {
            actor,
            key: Arc::new(key),
            sealed: sealed.into(),
        }),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_actor_is_named_by_id_or_name_and_the_base_by_nothing() {
        let origin: Origin = "https://blog.example".parse().unwrap();
        let alice = Ok("https://blog.example/actors/alice".to_owned());
        let base = Ok("https://blog.example/".to_owned());
        assert_eq!(local_actor(&origin, "alice"), alice);
        assert_eq!(local_actor(&origin, "https://blog.example/actors/alice"), alice);
        assert_eq!(local_actor(&origin, ""), base);
        assert_eq!(local_actor(&origin, "https://blog.example"), base);
        assert_eq!(local_actor(&origin, "https://blog.example/"), base);
        for stranger in [
            "https://events.example/actors/bob",
            "alice/inbox",
            "https://blog.example/objects/1",
        ] {
            assert_eq!(
                local_actor(&origin, stranger).unwrap_err().code,
                Code::NotFound,
                "{stranger}"
            );
        }
    }
}
