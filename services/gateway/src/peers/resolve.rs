//! Fetching an actor's document from its own id.

use fedsx_kernel::{activity::ActivityError, actor::ActorDocument, json, origin::Origin};
use fedsx_runtime::fetch::{Document, FetchError, Fetcher};
use jiff::Timestamp;
use serde_json::Value;

use super::actor::PeerActor;
use crate::media::is_activity_streams;

const ACCEPT: &str =
    r#"application/activity+json, application/ld+json; profile="https://www.w3.org/ns/activitystreams""#;

/// Why an actor could not be resolved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Unresolved {
    /// There is none, or what is there is not its document: asking again soon changes nothing.
    Gone(String),
    /// Not just now.
    Away(String),
}

/// Fetches the actor with this id from its origin.
pub(super) async fn fetch(
    fetcher: &Fetcher,
    origin: &Origin,
    id: &str,
    now: Timestamp,
) -> Result<PeerActor, Unresolved> {
    let document = fetcher.get(id, ACCEPT).await.map_err(|error| match error {
        FetchError::Status(404 | 410)
        | FetchError::Forbidden(_)
        | FetchError::TooLarge(_)
        | FetchError::Redirects => Unresolved::Gone(error.to_string()),
        FetchError::Status(_) | FetchError::Unreachable(_) => Unresolved::Away(error.to_string()),
    })?;
    read(origin, id, &document)
        .map(|actor| PeerActor::new(actor, now))
        .map_err(Unresolved::Gone)
}

/// Reads an actor's document as its origin's word: it must have come from there, as ActivityStreams (a file that
/// somebody uploaded is served as something else), and speak of this id.
fn read(origin: &Origin, id: &str, document: &Document) -> Result<ActorDocument, String> {
    if !origin.owns(&document.url) {
        return Err("it redirects to another origin".to_owned());
    }
    if !is_activity_streams(&document.content_type) {
        return Err("it is not served as application/activity+json or application/ld+json".to_owned());
    }
    let value = json::parse(&document.body).map_err(|error| ActivityError::from(error).to_string())?;
    let Value::Object(object) = value else {
        return Err("it is no object".to_owned());
    };
    let actor = ActorDocument::parse(&object).map_err(|error| error.to_string())?;
    if actor.id != id {
        return Err(format!("it is the document of {}", actor.id));
    }
    Ok(actor)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use fedsx_kernel::{
        actor::{Kind, NewActor},
        key::SigningKey,
    };
    use serde_json::json;

    use super::*;

    const ID: &str = "https://blog.example/actors/alice";

    fn origin() -> Origin {
        "https://blog.example".parse().unwrap()
    }

    fn alice() -> Value {
        let actor = NewActor {
            name: Some("alice".to_owned()),
            kind: Kind::Person,
            display_name: None,
            summary: None,
            manual_approval: false,
        };
        actor.document(&origin(), &SigningKey::from_seed(&[7; 32]).verifying_key())
    }

    fn fetched(url: &str, content_type: &str, body: &Value) -> Document {
        Document {
            url: url.to_owned(),
            content_type: content_type.to_owned(),
            body: Bytes::from(body.to_string()),
        }
    }

    #[test]
    fn an_actors_own_document_is_read() {
        let document = fetched(ID, "application/activity+json; charset=utf-8", &alice());
        assert_eq!(read(&origin(), ID, &document).unwrap().keys.len(), 1);
    }

    #[test]
    fn a_document_that_is_not_the_origins_word_about_this_actor_is_refused() {
        let activity = "application/activity+json";
        let mut other = alice();
        other["id"] = json!("https://blog.example/actors/bob");
        let cases = [
            (
                fetched("https://evil.example/actors/alice", activity, &alice()),
                "redirects",
            ),
            (fetched(ID, "application/json", &alice()), "not served as"),
            (fetched(ID, "text/plain", &alice()), "not served as"),
            (
                fetched(ID, activity, &other),
                "document of https://blog.example/actors/bob",
            ),
            (fetched(ID, activity, &json!([])), "no object"),
            (fetched(ID, activity, &json!({"id": ID})), "`"),
        ];
        for (document, reason) in cases {
            let error = read(&origin(), ID, &document).unwrap_err();
            assert!(error.contains(reason), "{error} should say {reason}");
        }
    }
}
