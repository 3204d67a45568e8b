//! `GET /.well-known/nodeinfo` and `GET /nodeinfo/2.1` (NodeInfo 2.1): what runs here and how much it is used.

use axum::{extract::State, response::Response};
use fedsx_proto::v1::ListRowsRequest;
use fedsx_runtime::code::Refusal;
use http::{HeaderValue, StatusCode};
use serde::de::IgnoredAny;
use serde_json::{Value, json};

use crate::{
    App,
    media::{self, Keep},
    problem::Problem,
    views::{self, ACTORS, ActorRow, OBJECTS},
};

const SCHEMA: &str = "http://nodeinfo.diaspora.software/ns/schema/2.1";

/// `GET /.well-known/nodeinfo`
pub(crate) async fn links(State(app): State<App>) -> Response {
    let links =
        json!({ "links": [{ "rel": SCHEMA, "href": format!("{}/nodeinfo/2.1", app.settings.origin) }] });
    media::json(StatusCode::OK, Keep::Minutes, &links)
}

/// `GET /nodeinfo/2.1`
pub(crate) async fn nodeinfo(State(app): State<App>) -> Result<Response, Problem> {
    let (users, posts) = tokio::try_join!(people(&app), published(&app))?;
    let content_type = HeaderValue::from_static(
        r#"application/json; profile="http://nodeinfo.diaspora.software/ns/schema/2.1#""#,
    );
    Ok(media::typed(
        content_type,
        Keep::Minutes,
        document(users, posts).to_string(),
    ))
}

fn document(users: u64, posts: u64) -> Value {
    json!({
        "version": "2.1",
        "software": { "name": "fed-sx", "version": env!("CARGO_PKG_VERSION") },
        "protocols": ["activitypub"],
        "services": { "inbound": [], "outbound": [] },
        // Actors are made by their operator.
        "openRegistrations": false,
        "usage": { "users": { "total": users }, "localPosts": posts },
        "metadata": {},
    })
}

/// Actors that are people; the view holds this domain's own alone.
async fn people(app: &App) -> Result<u64, Refusal> {
    let (mut people, mut after) = (0, String::new());
    loop {
        let request = ListRowsRequest {
            view: ACTORS.to_owned(),
            prefix: format!("{}/", app.settings.origin),
            after,
            limit: views::PAGE,
            ..ListRowsRequest::default()
        };
        let rows = app.views.rows::<ActorRow>(request).await?.rows;
        for (_, row) in &rows {
            people += u64::from(row.kind == "Person");
        }
        match rows.into_iter().next_back() {
            Some((last, _)) => after = last,
            None => return Ok(people),
        }
    }
}

/// Objects that our actors made, whatever became of them since; the view holds no others.
async fn published(app: &App) -> Result<u64, Refusal> {
    let request = ListRowsRequest {
        view: OBJECTS.to_owned(),
        prefix: format!("{}/", app.settings.origin),
        limit: 1,
        count: true,
        ..ListRowsRequest::default()
    };
    Ok(app.views.rows::<IgnoredAny>(request).await?.total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_has_every_member_that_the_schema_requires() {
        let document = document(2, 5);
        for member in [
            "version",
            "software",
            "protocols",
            "services",
            "openRegistrations",
            "usage",
            "metadata",
        ] {
            assert!(document.get(member).is_some(), "{member}");
        }
        assert_eq!(document["version"], "2.1");
        assert_eq!(document["usage"], json!({"users": {"total": 2}, "localPosts": 5}));
        let name = document["software"]["name"].as_str().unwrap();
        assert!(
            name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-'),
            "{name}"
        );
    }
}
