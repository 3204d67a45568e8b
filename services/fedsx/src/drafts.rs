//! The drafts that commands, seeding and the demo publish. What the log adds (id, published, proof) is not here.

use anyhow::Context as _;
use fedsx_kernel::{activity::PUBLIC, actor::Kind, origin::Origin};
use serde_json::{Value, json};

/// The actor that a person means by a URL: an origin alone means its base.
pub(crate) fn actor_id(url: &str) -> anyhow::Result<String> {
    match url.parse::<Origin>() {
        Ok(origin) => Ok(origin.base()),
        Err(_) => {
            Origin::of(url).with_context(|| format!("{url:?} is no actor's URL"))?;
            Ok(url.to_owned())
        }
    }
}

/// `Create` of a local actor, by the base.
pub(crate) fn create_actor(
    name: Option<&str>,
    kind: Kind,
    title: Option<&str>,
    summary: Option<&str>,
    manual: bool,
) -> Value {
    let mut object = json!({ "type": kind });
    let mut set = |key: &str, value: Option<Value>| {
        if let (Some(object), Some(value)) = (object.as_object_mut(), value) {
            object.insert(key.to_owned(), value);
        }
    };
    set("preferredUsername", name.map(Value::from));
    set("name", title.or(name).map(Value::from));
    set("summary", summary.map(Value::from));
    set("manuallyApprovesFollowers", manual.then_some(Value::Bool(true)));
    json!({ "type": "Create", "object": object, "to": [PUBLIC] })
}

/// `Follow` of a remote actor.
pub(crate) fn follow(target: &str) -> Value {
    json!({ "type": "Follow", "object": target, "to": [target] })
}

/// `Undo`, `Accept` or `Reject` of a Follow, which it embeds so that the peer needs to look nothing up.
pub(crate) fn about_follow(verb: &str, follow_id: &str, follower: &str, followed: &str, to: &str) -> Value {
    let follow = json!({ "type": "Follow", "id": follow_id, "actor": follower, "object": followed });
    json!({ "type": verb, "object": follow, "to": [to] })
}

/// `Allocate` of an article to a calendar: to the calendar's domain and to the actor's followers, and where it is public to all.
pub(crate) fn allocate(actor: &str, article: &str, calendar: &str, public: bool) -> anyhow::Result<Value> {
    let domain = Origin::of(calendar).with_context(|| format!("{calendar:?} is no calendar's URL"))?;
    let mut cc = vec![followers_of(actor)];
    cc.extend(public.then(|| PUBLIC.to_owned()));
    Ok(json!({
        "type": "Allocate",
        "object": article,
        "target": calendar,
        "to": [domain.base()],
        "cc": cc,
    }))
}

/// The article that the demo and the self-test have events take up.
pub(crate) fn gig_night(id: &str, author: &str, name: &str) -> Value {
    json!({
        "id": id, "type": "Article", "attributedTo": author, "name": name,
        "summary": "Three bands, one stage.", "content": "<p>Doors at eight, music at nine.</p>",
    })
}

/// Where an actor's followers are addressed.
pub(crate) fn followers_of(actor: &str) -> String {
    format!("{}/followers", actor.trim_end_matches('/'))
}

/// A path whose URL is what it looks like: no empty or dotted segments, nothing that would have to be encoded.
pub(crate) fn object_path(path: &str) -> Result<String, String> {
    let sound = |segment: &str| {
        !segment.is_empty()
            && segment.chars().any(|letter| letter != '.')
            && segment
                .chars()
                .all(|letter| letter.is_ascii_alphanumeric() || "-_.~".contains(letter))
    };
    if path.split('/').all(sound) {
        return Ok(path.to_owned());
    }
    Err("it is not made of segments of letters, digits, `-`, `_`, `.` and `~`".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_means_its_base() {
        assert_eq!(
            actor_id("http://127.0.0.1:8001").unwrap(),
            "http://127.0.0.1:8001/"
        );
        assert_eq!(
            actor_id("https://blog.example/").unwrap(),
            "https://blog.example/"
        );
        assert_eq!(
            actor_id("https://blog.example/actors/a").unwrap(),
            "https://blog.example/actors/a"
        );
        assert!(actor_id("blog").is_err());
    }

    #[test]
    fn an_article_is_allocated_to_the_calendars_domain_and_the_followers() {
        let author = "https://blog.example/actors/author";
        let (article, calendar) = (
            "https://blog.example/objects/gig",
            "https://events.example/actors/main",
        );
        let draft = |public| allocate(author, article, calendar, public).unwrap();
        let private = json!({
            "type": "Allocate", "object": article, "target": calendar,
            "to": ["https://events.example/"], "cc": ["https://blog.example/actors/author/followers"],
        });
        assert_eq!(draft(false), private);
        let mut public = private;
        public["cc"].as_array_mut().unwrap().push(PUBLIC.into());
        assert_eq!(draft(true), public);
        assert!(allocate(author, article, "main", true).is_err());
    }

    #[test]
    fn an_objects_path_stays_below_objects() {
        for path in ["gig-night", "2026/gig", "a.b~c_d"] {
            assert_eq!(object_path(path).as_deref(), Ok(path));
        }
        for path in [
            "",
            "/",
            "..",
            "../etc",
            "a//b",
            "a b",
            "ü",
            "a?x",
            "a#y",
            "http://x.example/",
        ] {
            assert!(object_path(path).is_err(), "{path}");
        }
    }
}
