//! Whom an activity concerns: who is to get it, and whether a received one is for us.

use std::collections::HashSet;

use crate::{
    activity::{Activity, envelope},
    actor,
    origin::Origin,
};

/// The addressees of a local activity, sorted by what delivery does with them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Recipients {
    /// The actor's followers are addressed.
    pub followers: bool,
    /// Remote actors and bases addressed by name, each once.
    pub actors: Vec<String>,
}

/// Sorts `to` ∪ `cc` of an activity of a local actor: the public is nobody to post to, our own actors and base are
/// served by the views, `<actor>/followers` stands for the followers, every other http(s) URL at another origin is an
/// addressee. Other collections of ours are ignored.
#[must_use]
pub fn recipients(activity: &Activity, origin: &Origin) -> Recipients {
    let followers = actor::followers(activity.actor());
    let mut recipients = Recipients::default();
    let mut seen = HashSet::new();
    for addressee in activity.addressees() {
        if addressee == followers {
            recipients.followers = true;
        } else if !envelope::is_public_collection(addressee)
            && let Ok(at) = Origin::of(addressee)
            && at != *origin
        {
            let actor = if at.is_base(addressee) {
                at.base()
            } else {
                addressee.to_owned()
            };
            if seen.insert(actor.clone()) {
                recipients.actors.push(actor);
            }
        }
    }
    recipients
}

/// The local addressees that make a received activity ours: local actors' ids (or ids below them, such as a
/// `/followers` collection, cut to the actor) and the base. Empty: it does not address us.
#[must_use]
pub fn local_addressees(activity: &Activity, origin: &Origin) -> Vec<String> {
    let mut seen = HashSet::new();
    let addressees = activity
        .addressees()
        .into_iter()
        .filter_map(|addressee| local_actor(addressee, origin));
    addressees.filter(|actor| seen.insert(actor.clone())).collect()
}

/// The local actor that an addressee is, or lies below.
fn local_actor(addressee: &str, origin: &Origin) -> Option<String> {
    let base = origin.base();
    if origin.is_base(addressee) || addressee == actor::followers(&base) {
        return Some(base);
    }
    let path = addressee
        .strip_prefix(origin.as_str())?
        .strip_prefix("/actors/")?;
    let name = path
        .split(['/', '?', '#'])
        .next()
        .filter(|name| !name.is_empty())?;
    Some(origin.actor(name))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::activity::{CONTEXT, PUBLIC};

    fn origin() -> Origin {
        "https://blog.example".parse().unwrap()
    }

    fn activity(actor: &str, to: Value) -> Activity {
        let id = format!("{}/x", Origin::of(actor).unwrap());
        let document = json!({"@context": CONTEXT, "id": id, "type": "Create", "actor": actor, "to": to});
        Activity::from_document(document.as_object().unwrap().clone()).unwrap()
    }

    fn sorted(to: Value) -> Recipients {
        recipients(&activity("https://blog.example/actors/alice", to), &origin())
    }

    fn local(to: Value) -> Vec<String> {
        local_addressees(&activity("https://events.example/actors/bob", to), &origin())
    }

    #[test]
    fn followers_are_those_of_the_activitys_own_actor() {
        let followers = Recipients {
            followers: true,
            actors: Vec::new(),
        };
        assert_eq!(
            sorted(json!(["https://blog.example/actors/alice/followers"])),
            followers
        );
        assert_eq!(
            sorted(json!(["https://blog.example/actors/carol/followers"])),
            Recipients::default()
        );
        assert_eq!(
            sorted(json!(["https://blog.example/followers"])),
            Recipients::default()
        );
        let base = activity("https://blog.example/", json!("https://blog.example/followers"));
        assert_eq!(recipients(&base, &origin()), followers);
    }

    #[test]
    fn the_public_our_own_and_what_is_no_url_get_nothing() {
        let nobody = [
            PUBLIC,
            "as:Public",
            "Public",
            "https://blog.example/actors/carol",
            "https://blog.example/",
            "did:x:y",
        ];
        assert_eq!(sorted(json!(nobody)), Recipients::default());
        assert_eq!(
            sorted(json!(["https://user@events.example/", "ftp://events.example/"])),
            Recipients::default()
        );
    }

    #[test]
    fn everybody_elsewhere_is_an_addressee_once() {
        let to = json!([
            "https://events.example/actors/bob",
            "https://events.example",
            "https://events.example/",
            "http://127.0.0.1:8002/actors/dave",
            "https://events.example/actors/bob",
            "http://blog.example/actors/alice",
        ]);
        let expected = [
            "https://events.example/actors/bob",
            "https://events.example/",
            "http://127.0.0.1:8002/actors/dave",
            "http://blog.example/actors/alice",
        ];
        assert_eq!(sorted(to).actors, expected);
    }

    #[test]
    fn a_received_activity_is_ours_by_actor_collection_or_base() {
        let to = json!([
            "https://blog.example/actors/alice",
            "https://blog.example/actors/alice/followers",
            "https://blog.example/actors/carol#main",
            "https://blog.example",
            "https://blog.example/followers",
        ]);
        let expected = [
            "https://blog.example/actors/alice",
            "https://blog.example/actors/carol",
            "https://blog.example/",
        ];
        assert_eq!(local(to), expected);
    }

    #[test]
    fn what_addresses_nobody_of_ours_is_not_ours() {
        let to = json!([
            PUBLIC,
            "https://events.example/actors/bob/followers",
            "https://blog.example.evil/actors/alice",
            "http://blog.example/actors/alice",
            "https://blog.example/actors/",
            "https://blog.example/actors",
            "https://blog.example/notes/1",
        ]);
        assert_eq!(local(to), [""; 0]);
    }
}
