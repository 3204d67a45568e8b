//! From an entry of the log to what it says about who follows whom.

use serde_json::{Map, Value};

use super::{Event, Follow, decision::decided};
use crate::{
    activity::{Activity, Object},
    origin::Origin,
    stream::Stream,
};

/// Where the actor of an entry takes deliveries, as the entry's `meta` tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Inboxes<'a> {
    pub own: Option<&'a str>,
    pub shared: Option<&'a str>,
}

impl<'a> Inboxes<'a> {
    /// From `meta`, where an empty string stands for none.
    #[must_use]
    pub fn new(own: &'a str, shared: &'a str) -> Self {
        let some = |url: &'a str| (!url.is_empty()).then_some(url);
        Self {
            own: some(own),
            shared: some(shared),
        }
    }

    /// The shared inbox, else the own one. An inbox at another origin than its actor's is not believed: a peer could
    /// have us post to a stranger, and blocks and parking go by the follower's origin.
    fn of(self, actor: &str) -> Option<String> {
        let origin = Origin::of(actor).ok()?;
        [self.shared, self.own]
            .into_iter()
            .flatten()
            .find(|url| origin.owns(url))
            .map(str::to_owned)
    }
}

/// The id of the activity that must be looked up in the log before [`event`] can be asked: an Accept, Reject or Undo may
/// name its object by id alone, or embed a part of it. None: no lookup is needed, or the activity is about nothing
/// that follows care for.
#[must_use]
pub fn reference(activity: &Activity) -> Option<&str> {
    if !matches!(activity.verb(), "Accept" | "Reject" | "Undo") {
        return None;
    }
    let id = match activity.object() {
        Object::Id(id) => id,
        Object::Embedded(object) if parties(object).is_none() => activity.object_id()?,
        _ => return None,
    };
    // What is no URL names nothing, and need not trouble a database: a stranger wrote it.
    Origin::of(id).is_ok().then_some(id)
}

/// What an entry says about who follows whom; none where it says nothing, or nothing that its actor may say.
///
/// `referred` is the log's activity with the id that [`reference()`] gave; without it an answer that needs it says
/// nothing. An embedded Follow is its sender's claim. It can do no harm: the followed actor alone accepts and rejects,
/// the follower alone undoes, and [`step`](super::step) changes only what was asked.
#[must_use]
pub fn event(
    activity: &Activity,
    stream: &Stream,
    inboxes: Inboxes<'_>,
    referred: Option<&Activity>,
) -> Option<Event> {
    match stream {
        Stream::Domain => decided(activity, referred),
        Stream::Outbox(actor) | Stream::Inbox(actor) if actor == activity.actor() => {
            said(activity, stream, inboxes, referred)
        }
        _ => None,
    }
}

/// Of an actor, local or remote.
fn said(
    activity: &Activity,
    stream: &Stream,
    inboxes: Inboxes<'_>,
    referred: Option<&Activity>,
) -> Option<Event> {
    let actor = activity.actor();
    if activity.verb() == "Follow" {
        let followed = local_base(stream, activity.object_id()?);
        let inbox = inboxes.of(actor);
        let follow = Follow {
            cid: activity.cid().clone(),
            id: activity.id().to_owned(),
            inbox,
        };
        let follower = actor.to_owned();
        return (followed != follower).then_some(Event::Follow {
            followed,
            follower,
            follow,
        });
    }
    if !matches!(activity.verb(), "Accept" | "Reject" | "Undo") {
        return None;
    }
    let (follower, followed, id) = answered(activity, referred)?;
    let followed = local_base(stream, followed);
    let (follower, id) = (follower.to_owned(), id.map(str::to_owned));
    match activity.verb() {
        "Accept" if same(actor, &followed) => Some(Event::Accept {
            followed: actor.to_owned(),
            follower,
            id,
        }),
        "Reject" if same(actor, &followed) => Some(Event::Reject {
            followed: actor.to_owned(),
            follower,
            id,
        }),
        "Undo" if actor == follower => Some(Event::Undo {
            followed,
            follower,
            id,
        }),
        _ => None,
    }
}

/// Follower, followed and id of the Follow that an answer is about.
fn answered<'a>(
    activity: &'a Activity,
    referred: Option<&'a Activity>,
) -> Option<(&'a str, &'a str, Option<&'a str>)> {
    if let Object::Embedded(object) = activity.object()
        && let Some((follower, followed)) = parties(object)
    {
        return Some((follower, followed, activity.object_id()));
    }
    let referred = referred.filter(|referred| Some(referred.id()) == activity.object_id())?;
    (referred.verb() == "Follow").then_some(())?;
    Some((referred.actor(), referred.object_id()?, Some(referred.id())))
}

/// Actor and object of an embedded Follow that names both.
fn parties(object: &Map<String, Value>) -> Option<(&str, &str)> {
    (object.get("type")?.as_str()? == "Follow").then_some(())?;
    let id = |field: &str| match object.get(field)? {
        Value::String(id) => Some(id.as_str()),
        Value::Object(object) => object.get("id")?.as_str(),
        _ => None,
    };
    Some((id("actor")?, id("object")?))
}

/// What an inbox entry follows is one of ours, and our base may be written without its final slash.
fn local_base(stream: &Stream, id: &str) -> String {
    match (stream, Origin::of(id)) {
        (Stream::Inbox(_), Ok(origin)) if origin.is_base(id) => origin.base(),
        _ => id.to_owned(),
    }
}

/// Whether two ids are one actor's, a base's missing final slash forgiven.
fn same(one: &str, other: &str) -> bool {
    one == other || Origin::of(one).is_ok_and(|origin| origin.is_base(one) && origin.is_base(other))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::activity::CONTEXT;

    const ALICE: &str = "https://home.example/actors/alice";
    const BOB: &str = "https://a.example/users/bob";
    const EVE: &str = "https://a.example/users/eve";
    const FOLLOW: &str = "https://a.example/follows/1";

    fn activity(mut said: Value) -> Activity {
        let document = said.as_object_mut().unwrap();
        document.insert("@context".to_owned(), json!(CONTEXT));
        let origin = Origin::of(document["actor"].as_str().unwrap()).unwrap();
        document
            .entry("id")
            .or_insert_with(|| json!(origin.object("said/1")));
        Activity::from_document(document.clone()).unwrap()
    }

    fn follow_of(follower: &str, followed: &str) -> Value {
        json!({"type": "Follow", "id": FOLLOW, "actor": follower, "object": followed})
    }

    /// The event of an activity in its actor's own stream, of whichever domain it is.
    fn said(activity: &Activity, referred: Option<&Activity>) -> Option<Event> {
        let actor = activity.actor().to_owned();
        let local = actor.starts_with("https://home.example/");
        let stream = if local {
            Stream::Outbox(actor)
        } else {
            Stream::Inbox(actor)
        };
        event(activity, &stream, Inboxes::default(), referred)
    }

    fn answer(verb: &str, followed: &str, follower: &str, id: Option<&str>) -> Option<Event> {
        let (followed, follower, id) = (followed.to_owned(), follower.to_owned(), id.map(str::to_owned));
        Some(match verb {
            "Accept" => Event::Accept {
                followed,
                follower,
                id,
            },
            "Reject" => Event::Reject {
                followed,
                follower,
                id,
            },
            _ => Event::Undo {
                followed,
                follower,
                id,
            },
        })
    }

    #[test]
    fn a_follow_asks_by_its_id_and_cid() {
        let asked = activity(follow_of(BOB, ALICE));
        let Some(Event::Follow {
            followed,
            follower,
            follow,
        }) = said(&asked, None)
        else {
            panic!("no Follow")
        };
        assert_eq!((followed.as_str(), follower.as_str()), (ALICE, BOB));
        assert_eq!(
            (follow.id.as_str(), &follow.cid, follow.inbox),
            (FOLLOW, asked.cid(), None)
        );
    }

    #[test]
    fn a_base_may_be_followed_without_its_final_slash() {
        let asked = activity(follow_of(BOB, "https://home.example"));
        let Some(Event::Follow { followed, .. }) = said(&asked, None) else {
            panic!("no Follow")
        };
        assert_eq!(followed, "https://home.example/");
        let accepted = activity(json!({"type": "Accept", "actor": "https://home.example/",
            "object": follow_of(BOB, "https://home.example")}));
        assert_eq!(
            said(&accepted, None),
            answer("Accept", "https://home.example/", BOB, Some(FOLLOW))
        );
    }

    #[test]
    fn nobody_follows_itself_or_nothing() {
        assert_eq!(said(&activity(follow_of(BOB, BOB)), None), None);
        let nothing =
            activity(json!({"type": "Follow", "actor": BOB, "object": {"type": "Person", "name": "x"}}));
        assert_eq!(said(&nothing, None), None);
    }

    #[test]
    fn deliveries_go_to_an_inbox_at_the_followers_own_origin() {
        let (own, shared, other) = (
            "https://a.example/users/bob/inbox",
            "https://a.example/inbox",
            "https://victim.example/inbox",
        );
        let table = [
            (own, shared, Some(shared)),
            (own, "", Some(own)),
            (own, other, Some(own)),
            (other, "", None),
            (other, other, None),
            ("", "", None),
            ("nonsense", "", None),
        ];
        let asked = activity(follow_of(BOB, ALICE));
        for (own, shared, expected) in table {
            let stream = Stream::Inbox(BOB.to_owned());
            let event = event(&asked, &stream, Inboxes::new(own, shared), None);
            let Some(Event::Follow { follow, .. }) = event else {
                panic!("no Follow")
            };
            assert_eq!(follow.inbox.as_deref(), expected, "{own} {shared}");
        }
    }

    #[test]
    fn each_answers_only_what_is_its_own_to_answer() {
        // Verb, who says it, follower and followed of the Follow it is about, and whether it counts.
        let table = [
            ("Accept", ALICE, BOB, ALICE, true),
            ("Reject", ALICE, BOB, ALICE, true),
            ("Undo", ALICE, BOB, ALICE, false),
            ("Accept", BOB, BOB, ALICE, false),
            ("Reject", BOB, BOB, ALICE, false),
            ("Undo", BOB, BOB, ALICE, true),
            ("Accept", EVE, BOB, ALICE, false),
            ("Reject", EVE, BOB, ALICE, false),
            ("Undo", EVE, BOB, ALICE, false),
            ("Accept", BOB, ALICE, BOB, true),
            ("Reject", BOB, ALICE, BOB, true),
            ("Undo", ALICE, ALICE, BOB, true),
            ("Accept", EVE, ALICE, BOB, false),
            ("Like", ALICE, BOB, ALICE, false),
        ];
        for (verb, actor, follower, followed, counts) in table {
            let embedded =
                activity(json!({"type": verb, "actor": actor, "object": follow_of(follower, followed)}));
            let expected = counts
                .then(|| answer(verb, followed, follower, Some(FOLLOW)))
                .flatten();
            assert_eq!(said(&embedded, None), expected, "{verb} by {actor}");
            assert_eq!(reference(&embedded), None);

            let mut of = follow_of(follower, followed);
            of["id"] = json!(Origin::of(follower).unwrap().object("follows/2"));
            let referred = activity(of);
            let bare = activity(json!({"type": verb, "actor": actor, "object": referred.id()}));
            let expected = counts
                .then(|| answer(verb, followed, follower, Some(referred.id())))
                .flatten();
            assert_eq!(said(&bare, Some(&referred)), expected, "{verb} by {actor}, by id");
            assert_eq!(reference(&bare), (verb != "Like").then_some(referred.id()));
        }
    }

    #[test]
    fn an_embedded_follow_without_id_names_its_parties_alone() {
        let undone = activity(json!({"type": "Undo", "actor": BOB,
            "object": {"type": "Follow", "actor": BOB, "object": ALICE}}));
        assert_eq!(said(&undone, None), answer("Undo", ALICE, BOB, None));
    }

    #[test]
    fn parties_may_be_embedded_themselves() {
        let undone = activity(json!({"type": "Undo", "actor": BOB, "object":
            {"type": "Follow", "id": FOLLOW, "actor": {"type": "Person", "id": BOB}, "object": {"id": ALICE}}}));
        assert_eq!(said(&undone, None), answer("Undo", ALICE, BOB, Some(FOLLOW)));
    }

    #[test]
    fn part_of_a_follow_is_looked_up() {
        let undone =
            activity(json!({"type": "Undo", "actor": BOB, "object": {"type": "Follow", "id": FOLLOW}}));
        assert_eq!(reference(&undone), Some(FOLLOW));
        assert_eq!(said(&undone, None), None);
        let referred = activity(follow_of(BOB, ALICE));
        assert_eq!(
            said(&undone, Some(&referred)),
            answer("Undo", ALICE, BOB, Some(FOLLOW))
        );
    }

    #[test]
    fn what_was_looked_up_must_be_the_follow_that_was_named() {
        let undone = activity(json!({"type": "Undo", "actor": BOB, "object": "https://a.example/follows/2"}));
        assert_eq!(
            said(&undone, Some(&activity(follow_of(BOB, ALICE)))),
            None,
            "another id"
        );
        let like = activity(
            json!({"type": "Like", "id": "https://a.example/follows/2", "actor": BOB, "object": ALICE}),
        );
        assert_eq!(said(&undone, Some(&like)), None, "no Follow");
    }

    #[test]
    fn an_entry_speaks_in_its_actors_stream_only() {
        let asked = activity(follow_of(BOB, ALICE));
        for stream in [
            Stream::Inbox(EVE.to_owned()),
            Stream::Outbox(ALICE.to_owned()),
            Stream::Flow("1".to_owned()),
        ] {
            assert_eq!(event(&asked, &stream, Inboxes::default(), None), None, "{stream}");
        }
    }
}
