//! A Follow of one of our actors is answered by an Accept, unless the actor leaves that to a person.
//!
//! A Follow is answered because the log says that it waits: the views `actors` and `followers`, folded at least as far as
//! the Follow, show an actor that answers by itself and a relation whose newest Follow is this one and has no answer.
//! That alone makes a repetition harmless. After a crash, and after a replay from the first entry, the relation shows
//! the Accept that was logged in the meantime, or the Reject, or that the Follow was undone, and nothing is said again;
//! the runner lets no Follow be judged by views that have not seen all that was logged before it began to look
//! ([`super::runner`]). The idempotency key of the log, made from the Follow's CID, closes the one gap that is left: an
//! Accept that was logged after the views were read, by this runner's earlier life or by a person, who uses the same
//! key. Should the log one day forget old keys, nothing changes for Follows that the views show as answered.
//!
//! A Follow of an actor that does not exist is not answered: there is nobody who could speak.

use fedsx_kernel::{cid::Cid, follow::Event, origin::Origin};
use fedsx_proto::v1::{Meta, PublishRequest};
use serde_json::json;

use crate::{
    entry::Entry,
    views::{actors::ActorRow, is_local_actor, relation::RelationRow},
};

/// A Follow that may want an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) position: u64,
    pub(crate) followed: String,
    pub(crate) follower: String,
    cid: Cid,
    id: String,
    /// The followed actor as the follower wrote it, so that it recognises its own Follow.
    object: String,
    pub(crate) traceparent: String,
}

/// Whether an entry asks one of our actors.
pub(crate) fn asked(entry: &Entry, origin: &Origin) -> Option<Asked> {
    match &entry.event {
        Some(Event::Follow {
            followed,
            follower,
            follow,
        }) if is_local_actor(origin, followed) => Some(Asked {
            position: entry.position,
            followed: followed.clone(),
            follower: follower.clone(),
            cid: follow.cid.clone(),
            id: follow.id.clone(),
            object: entry.activity.object_id().unwrap_or(followed).to_owned(),
            traceparent: entry.traceparent.clone(),
        }),
        _ => None,
    }
}

/// What is published in answer; none: nothing, or nothing by itself.
pub(crate) fn answer(
    asked: &Asked,
    actor: Option<&ActorRow>,
    relation: Option<&RelationRow>,
) -> Option<PublishRequest> {
    let automatic = actor.is_some_and(|actor| !actor.manual);
    let waits = relation.is_some_and(|relation| relation.awaits_answer_to(&asked.cid));
    (automatic && waits).then(|| PublishRequest {
        actor: asked.followed.clone(),
        draft: draft(asked).into(),
        idempotency_key: format!("accept/{}", asked.cid),
        kv: Vec::new(),
        meta: Some(Meta {
            traceparent: asked.traceparent.clone(),
            ..Meta::default()
        }),
    })
}

/// The Follow is embedded, since not every server looks one up by its id, but without what else its sender put into it: a
/// large one would make an Accept that nobody may publish, and its proof is no business of ours.
fn draft(asked: &Asked) -> Vec<u8> {
    let Asked {
        id, follower, object, ..
    } = asked;
    json!({
        "type": "Accept",
        "actor": asked.followed,
        "object": { "type": "Follow", "id": id, "actor": follower, "object": object },
        "to": [follower],
        "causedBy": id,
    })
    .to_string()
    .into_bytes()
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::{
        testing::{ALICE, BASE, BOB, Story, origin, person},
        views,
    };

    /// What the reaction would publish about each Follow, judged by views that have seen the whole story.
    fn answers(story: &Story) -> Vec<PublishRequest> {
        let rows = |name: &str| story.rows(&*views::native(name, 1, &origin()).unwrap());
        let (actors, followers) = (rows("actors"), rows("followers"));
        let asked = story
            .entries()
            .into_iter()
            .filter_map(|entry| asked(&entry, &origin()));
        let answers = asked.filter_map(|asked| {
            let decode = |row: &Value| serde_json::from_value(row.clone()).unwrap();
            let actor: Option<ActorRow> = actors.get(&asked.followed).map(decode);
            let decode = |row: &Value| serde_json::from_value(row.clone()).unwrap();
            let key = views::followers::key(&asked.followed, &asked.follower);
            let relation: Option<RelationRow> = followers.get(&key).map(decode);
            answer(&asked, actor.as_ref(), relation.as_ref())
        });
        answers.collect()
    }

    fn with_alice(manual: bool) -> Story {
        let mut story = Story::default();
        story.published(BASE, json!({"type": "Create", "object": person("alice", manual)}));
        story
    }

    fn follow() -> Value {
        json!({"type": "Follow", "object": ALICE, "to": [ALICE], "note": "x".repeat(1000)})
    }

    #[test]
    fn a_follow_is_accepted_by_whom_it_asks() {
        let mut story = with_alice(false);
        let follow = story.received(BOB, follow());
        let [request] = answers(&story).try_into().unwrap();
        assert_eq!(
            (request.actor.as_str(), request.idempotency_key),
            (ALICE, format!("accept/{}", follow.cid()))
        );
        let draft: Value = serde_json::from_slice(&request.draft).unwrap();
        let embedded = json!({"type": "Follow", "id": follow.id(), "actor": BOB, "object": ALICE});
        let expected = json!({
            "type": "Accept", "actor": ALICE, "object": embedded, "to": [BOB], "causedBy": follow.id(),
        });
        assert_eq!(draft, expected);
    }

    #[test]
    fn the_base_is_named_as_the_follower_wrote_it() {
        let mut story = Story::default();
        let mut service = person("", false);
        service["type"] = "Service".into();
        story.published(BASE, json!({"type": "Create", "object": service}));
        story.received(BOB, json!({"type": "Follow", "object": "https://blog.example"}));
        let [request] = answers(&story).try_into().unwrap();
        let draft: Value = serde_json::from_slice(&request.draft).unwrap();
        assert_eq!(
            (request.actor.as_str(), &draft["object"]["object"]),
            (BASE, &json!("https://blog.example"))
        );
    }

    #[test]
    fn a_manual_actor_waits_for_a_person() {
        let mut story = with_alice(true);
        story.received(BOB, follow());
        assert_eq!(answers(&story), []);
    }

    #[test]
    fn nobody_speaks_for_an_actor_that_does_not_exist() {
        let mut story = Story::default();
        story.received(BOB, follow());
        story.received(
            BOB,
            json!({"type": "Follow", "object": "https://shop.example/actors/eve"}),
        );
        assert_eq!(answers(&story), []);
    }

    #[test]
    fn what_is_answered_or_undone_is_not_answered_again() {
        for (verb, speaker) in [("Accept", ALICE), ("Reject", ALICE), ("Undo", BOB)] {
            let mut story = with_alice(false);
            let follow = story.received(BOB, follow());
            let said = json!({"type": verb, "object": follow.id()});
            if speaker == BOB {
                story.received(BOB, said);
            } else {
                story.published(ALICE, said);
            }
            assert_eq!(answers(&story), [], "{verb}");
        }
    }

    #[test]
    fn a_repeated_follow_is_answered_again() {
        let mut story = with_alice(false);
        let first = story.received(BOB, follow());
        story.published(ALICE, json!({"type": "Accept", "object": first.id()}));
        let mut again = follow();
        again["again"] = true.into();
        let again = story.received(BOB, again);
        let [request] = answers(&story).try_into().unwrap();
        assert_eq!(request.idempotency_key, format!("accept/{}", again.cid()));
    }
}
