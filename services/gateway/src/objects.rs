//! `GET /objects/{*path}`: what public activities published.

mod occurrences;

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use fedsx_kernel::activity::CONTEXT;
use fedsx_runtime::code::{Code, Refusal};
use http::{HeaderMap, StatusCode, Uri};
use serde_json::{Map, Value, json};

use crate::{
    App,
    media::{self, Keep},
    problem::Problem,
    views::{OBJECTS, ObjectRow},
};

pub(crate) async fn object(
    State(app): State<App>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    // An id is compared as the text it is: nothing in the path is decoded.
    let id = format!("{}{}", app.settings.origin, uri.path());
    let row = match public(&app, &id).await? {
        Some(row) => row,
        // An object's own path may end so, too.
        None => match id.strip_suffix(occurrences::SUFFIX) {
            Some(event) => return occurrences::answer(&app, event, uri.query()).await,
            None => return Err(unknown()),
        },
    };
    if row.deleted {
        let gone = media::document(&headers, Keep::Minutes, &tombstone(&id, &row.object));
        return Ok((StatusCode::GONE, gone).into_response());
    }
    let Value::Object(object) = row.object else {
        return Err(unknown());
    };
    let object = with_context(&app, object, &row.activity).await;
    Ok(media::document(&headers, Keep::Minutes, &Value::Object(object)))
}

async fn public(app: &App, id: &str) -> Result<Option<ObjectRow>, Refusal> {
    let row = app.views.row::<ObjectRow>(OBJECTS, id).await?;
    Ok(row.filter(|row| row.public))
}

/// What is left of a deleted object (ActivityStreams 2.0 Vocabulary, `Tombstone`).
fn tombstone(id: &str, object: &Value) -> Value {
    let kind = object.get("type").filter(|kind| *kind != "Tombstone");
    let mut tombstone = json!({ "@context": CONTEXT, "id": id, "type": "Tombstone" });
    for (member, value) in [
        ("formerType", kind.or_else(|| object.get("formerType"))),
        ("deleted", object.get("deleted")),
    ] {
        if let Some(value) = value {
            tombstone[member] = value.clone();
        }
    }
    tombstone
}

/// On its own an object needs the context in which its activity spoke of it.
async fn with_context(app: &App, mut object: Map<String, Value>, activity: &str) -> Map<String, Value> {
    if object.contains_key("@context") {
        return object;
    }
    let entry = app.log.by_activity_id(activity).await.ok().flatten();
    let document = entry.and_then(|entry| serde_json::from_slice::<Map<String, Value>>(&entry.body).ok());
    let context = document.and_then(|mut document| document.remove("@context"));
    object.insert("@context".to_owned(), context.unwrap_or_else(|| json!(CONTEXT)));
    object
}

fn unknown() -> Problem {
    Refusal::new(Code::NotFound, "there is no such object here").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tombstone_keeps_nothing_but_what_it_was() {
        let id = "https://blog.example/objects/a";
        let context = CONTEXT;
        assert_eq!(
            tombstone(id, &json!({"id": id, "type": "Note", "content": "secret"})),
            json!({"@context": context, "id": id, "type": "Tombstone", "formerType": "Note"})
        );
        assert_eq!(
            tombstone(
                id,
                &json!({"type": "Tombstone", "formerType": "Note", "deleted": "2026-01-01T00:00:00Z"})
            ),
            json!({"@context": context, "id": id, "type": "Tombstone", "formerType": "Note",
                   "deleted": "2026-01-01T00:00:00Z"})
        );
        assert_eq!(
            tombstone(id, &Value::Null),
            json!({"@context": context, "id": id, "type": "Tombstone"})
        );
    }
}
