//! The objects of an activity, and the records that they name.

use serde_json::{Map, Value};

use crate::cid::{Cid, CidError};

/// Most embedded objects of one activity whose types are checked.
pub const MAX_OBJECTS: usize = 64;

/// What an activity is about: the members of `object`, or `object` itself.
#[must_use]
pub fn objects(activity: &Map<String, Value>) -> &[Value] {
    match activity.get("object") {
        Some(Value::Array(several)) => several,
        Some(object) => std::slice::from_ref(object),
        None => &[],
    }
}

/// The record that an object names as its type by `typeCid`; none where it names none.
///
/// # Errors
/// [`CidError`]: `typeCid` is no CID.
pub fn type_cid(object: &Map<String, Value>) -> Result<Option<Cid>, CidError> {
    match object.get("typeCid") {
        None => Ok(None),
        Some(Value::String(text)) => text.parse().map(Some),
        Some(_) => Err(CidError("no string".to_owned())),
    }
}

/// The records that an activity's embedded objects name, each once, as far as they are CIDs.
#[must_use]
pub fn type_cids(activity: &Map<String, Value>) -> Vec<Cid> {
    let embedded = objects(activity).iter().filter_map(Value::as_object);
    let mut named = Vec::new();
    for object in embedded.take(MAX_OBJECTS) {
        if let Ok(Some(cid)) = type_cid(object)
            && !named.contains(&cid)
        {
            named.push(cid);
        }
    }
    named
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_record_that_an_object_names_is_told_once() {
        let (post, note) = (Cid::of_canonical(b"post"), Cid::of_canonical(b"note"));
        let of = |object: Value| {
            let activity = json!({"type": "Create", "object": object});
            type_cids(activity.as_object().unwrap())
        };
        assert_eq!(of(json!({"typeCid": post})), std::slice::from_ref(&post));
        let several =
            json!([{"typeCid": post}, "https://blog.example/1", {"typeCid": note}, {"typeCid": post}]);
        assert_eq!(of(several), [post, note]);
        assert!(of(json!([{"typeCid": "bafy"}, {"typeCid": 7}, {"type": "Note"}])).is_empty());
        assert!(type_cids(&Map::new()).is_empty());
    }

    #[test]
    fn what_is_no_cid_is_told() {
        let object = json!({"typeCid": 7});
        assert!(type_cid(object.as_object().unwrap()).is_err());
    }
}
