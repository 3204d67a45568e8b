//! What an activity is called.

use serde_json::{Map, Value};

use super::{ActivityError, envelope};
use crate::{canonical, cid::Cid, origin::Origin};

/// The CID of a document by the design's rule: without `proof` and `signature`, and without an `id` that is this very
/// CID's URL, `<origin of the actor>/activities/<cid>`; any other `id` is hashed with the rest.
///
/// # Errors
/// [`ActivityError::CidMismatch`] where the id has the shape of an activity's URL with another CID, and
/// [`ActivityError::Envelope`] where there is no canonical form.
pub fn cid_of(document: &Map<String, Value>) -> Result<Cid, ActivityError> {
    let actor = document.get("actor").and_then(envelope::id_of);
    let origin = actor.and_then(|actor| Origin::of(actor).ok());
    cid_at(document, origin.as_ref())
}

/// The same, where the actor's origin, if it has one, is known.
pub(super) fn cid_at(document: &Map<String, Value>, origin: Option<&Origin>) -> Result<Cid, ActivityError> {
    let claimed = origin.and_then(|origin| claimed_cid(document, origin));
    let left_out: &[&str] = if claimed.is_some() {
        &["id", "proof", "signature"]
    } else {
        &["proof", "signature"]
    };
    let canonical = canonical::without(document, left_out)
        .map_err(|error| envelope::error("document", error.to_string()))?;
    let actual = Cid::of_canonical(&canonical);
    match claimed {
        Some(claimed) if claimed != actual => Err(ActivityError::CidMismatch { claimed, actual }),
        _ => Ok(actual),
    }
}

/// The CID in an id of exactly the shape `<actor's origin>/activities/<cid>`.
fn claimed_cid(document: &Map<String, Value>, origin: &Origin) -> Option<Cid> {
    let id = document.get("id").and_then(Value::as_str)?;
    id.strip_prefix(origin.as_str())?
        .strip_prefix("/activities/")?
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::activity::{Activity, CONTEXT};

    fn note() -> Value {
        json!({
            "@context": CONTEXT,
            "id": "https://blog.example/notes/1/activity",
            "type": "Create",
            "actor": "https://blog.example/actors/alice",
            "object": {"type": "Note", "content": "Gig Night"},
        })
    }

    fn parse(document: &Value) -> Result<Activity, ActivityError> {
        Activity::parse(document.to_string().as_bytes())
    }

    fn whole(document: &Value) -> Cid {
        Cid::of_canonical(&canonical::to_vec(document).unwrap())
    }

    /// The activity under the id that its own CID makes.
    fn named_by_cid(mut document: Value) -> Value {
        document.as_object_mut().unwrap().remove("id");
        document["id"] = format!("https://blog.example/activities/{}", whole(&document)).into();
        document
    }

    #[test]
    fn the_cid_leaves_out_proof_signature_and_its_own_url() {
        let document = named_by_cid(note());
        let activity = parse(&document).unwrap();
        assert_eq!(
            activity.id(),
            format!("https://blog.example/activities/{}", activity.cid())
        );
        let mut signed = document;
        signed["proof"] = json!({"type": "DataIntegrityProof"});
        signed["signature"] = json!({"type": "RsaSignature2017"});
        assert_eq!(parse(&signed).unwrap().cid(), activity.cid());
    }

    #[test]
    fn any_other_id_is_hashed_with_the_rest() {
        assert_eq!(parse(&note()).unwrap().cid(), &whole(&note()));
        let shaped = named_by_cid(note())["id"].as_str().unwrap().to_owned();
        for id in [
            "https://blog.example/notes/1/activity#2".to_owned(),
            format!("{shaped}#a"),
            format!("{shaped}/"),
            shaped.replace("blog", "BLOG"),
            shaped.replace("activities", "objects"),
        ] {
            let mut document = note();
            document["id"] = id.into();
            assert_eq!(parse(&document).unwrap().cid(), &whole(&document));
            assert_ne!(whole(&document), whole(&note()));
        }
    }

    #[test]
    fn a_cid_shaped_id_that_disagrees_is_refused() {
        let mut document = named_by_cid(note());
        document["object"]["content"] = "Gig Night, cancelled".into();
        let Err(ActivityError::CidMismatch { claimed, actual }) = parse(&document) else {
            panic!("accepted")
        };
        assert!(document["id"].as_str().unwrap().ends_with(claimed.as_str()));
        document["id"] = format!("https://blog.example/activities/{actual}").into();
        assert_eq!(parse(&document).unwrap().cid(), &actual);
    }
}
