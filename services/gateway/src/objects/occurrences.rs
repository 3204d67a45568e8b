//! `GET /objects/{path}/occurrences?from=&to=&limit=`: when a public event takes place.

use axum::response::Response;
use fedsx_kernel::recurrence::{MAX_OCCURRENCES, Recurring, Window};
use fedsx_runtime::code::{Code, Refusal};
use http::StatusCode;
use jiff::Timestamp;
use serde_json::{Value, json};
use url::form_urlencoded;

use super::{public, unknown};
use crate::{
    App,
    collections::malformed,
    media::{self, Keep},
    problem::Problem,
};

/// What stands behind an event's id.
pub(super) const SUFFIX: &str = "/occurrences";
/// Occurrences where nobody says how many.
const DEFAULT: usize = 10;

pub(super) async fn answer(app: &App, id: &str, query: Option<&str>) -> Result<Response, Problem> {
    let window = window(query, app.context.clock.now())?;
    let row = public(app, id)
        .await?
        .filter(|row| !row.deleted)
        .ok_or_else(unknown)?;
    let Value::Object(event) = row.object else {
        return Err(unknown());
    };
    let recurring = Recurring::read(&event).map_err(|error| {
        Refusal::new(
            Code::NotFound,
            format!("the object does not say when it takes place: {error}"),
        )
    })?;
    // A rule may take a while.
    let told = tokio::task::spawn_blocking(move || recurring.occurrences(window)).await;
    let told = told.map_err(|died| {
        tracing::error!(id, "a thread that expands a rule has died: {died}");
        Refusal::new(Code::Internal, "the event's rule could not be expanded")
    })?;
    let document = json!({
        "event": id, "occurrences": told.occurrences, "complete": told.complete,
    });
    Ok(media::json(StatusCode::OK, Keep::Minutes, &document))
}

/// What is asked for.
fn window(query: Option<&str>, now: Timestamp) -> Result<Window, Refusal> {
    let mut window = Window {
        from: now,
        to: None,
        limit: DEFAULT,
    };
    for (name, value) in form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
        match &*name {
            "from" => window.from = moment("from", &value)?,
            "to" => window.to = Some(moment("to", &value)?),
            "limit" => {
                let limit = value.parse().ok();
                window.limit = limit
                    .filter(|limit| (1..=MAX_OCCURRENCES).contains(limit))
                    .ok_or_else(|| malformed(format!("`limit` is no number from 1 to {MAX_OCCURRENCES}")))?;
            }
            name => {
                let shown: String = name.chars().take(64).collect();
                return Err(malformed(format!(
                    "{shown:?} is no parameter: from, to and limit are"
                )));
            }
        }
    }
    if window.to.is_some_and(|to| to <= window.from) {
        return Err(malformed("`to` is not after `from`"));
    }
    Ok(window)
}

/// A moment, whose `+` may have become a space on the way.
fn moment(name: &str, value: &str) -> Result<Timestamp, Refusal> {
    let moment = value.replace(' ', "+").parse();
    moment.map_err(|_| malformed(format!("`{name}` is no time with an offset (RFC 3339)")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_begins_now_unless_it_is_said() {
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        let asked = |query| window(Some(query), now);
        let whole = Window {
            from: now,
            to: None,
            limit: 10,
        };
        assert_eq!((window(None, now), asked("")), (Ok(whole), Ok(whole)));
        let told = asked("from=2026-11-21T20:00:00+01:00&to=2026-12-01T00:00:00Z&limit=1000").unwrap();
        assert_eq!(told.from.to_string(), "2026-11-21T19:00:00Z");
        assert_eq!(told.to.unwrap().to_string(), "2026-12-01T00:00:00Z");
        assert_eq!(told.limit, 1000);
        for wrong in [
            "from=now",
            "from=2026-11-21",
            "to=",
            "limit=0",
            "limit=1001",
            "limit=many",
            "page=1",
            "from=2026-11-21T20:00:00Z&to=2026-11-21T20:00:00Z",
        ] {
            assert_eq!(asked(wrong).unwrap_err().code, Code::Malformed, "{wrong}");
        }
    }
}
