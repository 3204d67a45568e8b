//! Our own actors, as a path names them.

use std::{sync::Arc, time::Duration};

use axum::{
    extract::{FromRequestParts, RawPathParams},
    http::request::Parts,
};
use fedsx_runtime::code::{Code, Refusal};
use moka::future::Cache;
use serde::de::IgnoredAny;

use crate::{
    App,
    problem::Problem,
    views::{ACTORS, ActorRow},
};

/// Longest name that is looked for. Bytes.
const MAX_NAME: usize = 64;
/// An actor that was seen is believed to exist for so long.
const BELIEVED: Duration = Duration::from_secs(30);
/// Actors that are remembered as seen.
const MAX_SEEN: u64 = 10_000;

/// The id of the local actor that a path names: `/actors/alice/…`, or the base where it names none. Whether there is
/// such an actor is not known yet.
#[derive(Debug, Clone)]
pub(crate) struct LocalActor(pub(crate) String);

impl FromRequestParts<App> for LocalActor {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let origin = &app.settings.origin;
        if !parts.uri.path().starts_with("/actors/") {
            return Ok(Self(origin.base()));
        }
        let parameters = RawPathParams::from_request_parts(parts, app)
            .await
            .map_err(|_| unknown())?;
        let name = parameters
            .iter()
            .find(|(parameter, _)| *parameter == "name")
            .map(|(_, name)| name);
        let name = name.filter(|name| is_name(name)).ok_or_else(unknown)?;
        Ok(Self(origin.actor(name)))
    }
}

/// Local actors that were seen to exist a while ago.
#[derive(Debug)]
pub(crate) struct Seen(Cache<String, ()>);

impl Default for Seen {
    fn default() -> Self {
        Self(
            Cache::builder()
                .max_capacity(MAX_SEEN)
                .time_to_live(BELIEVED)
                .build(),
        )
    }
}

/// Why an actor was not seen.
#[derive(Clone)]
enum Unseen {
    Missing,
    Unknown(Refusal),
}

/// Whether there is an actor with this id; of one that was just created too, as long as the view catches up.
pub(crate) async fn exists(app: &App, actor: &str) -> Result<bool, Refusal> {
    Ok(is_seen(app, actor).await? || exists_at(app, actor, app.log.head().await?).await?)
}

/// Whether there is an actor with this id, as the view says just now or said a while ago; those who ask at the same time
/// share one answer.
pub(crate) async fn is_seen(app: &App, actor: &str) -> Result<bool, Refusal> {
    let look = async {
        match exists_at(app, actor, 0).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(Unseen::Missing),
            Err(refusal) => Err(Unseen::Unknown(refusal)),
        }
    };
    let seen = app.local_actors.0.try_get_with_by_ref(actor, look).await;
    match seen.map_err(Arc::unwrap_or_clone) {
        Ok(()) => Ok(true),
        Err(Unseen::Missing) => Ok(false),
        Err(Unseen::Unknown(refusal)) => Err(refusal),
    }
}

/// Whether there is an actor with this id, as a view says that has applied this position.
pub(crate) async fn exists_at(app: &App, actor: &str, at_least: u64) -> Result<bool, Refusal> {
    let row = app.views.row_at::<IgnoredAny>(ACTORS, actor, at_least).await?;
    Ok(row.is_some())
}

/// Whether an actor could have this name; what cannot is not asked for.
pub(crate) fn is_name(name: &str) -> bool {
    let byte = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_.-".contains(&byte);
    !name.is_empty() && name.len() <= MAX_NAME && name.bytes().all(byte)
}

/// A local actor's row; of one that was just created too, as long as the view catches up.
pub(crate) async fn find(app: &App, actor: &str) -> Result<ActorRow, Problem> {
    app.views.settled_row(ACTORS, actor).await?.ok_or_else(unknown)
}

fn unknown() -> Problem {
    Refusal::new(Code::NotFound, "there is no such actor here").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_that_actors_can_have() {
        assert!(is_name("alice") && is_name("a.b_c-9"));
        for name in ["", "Alice", "a/b", "a b", "é", &"a".repeat(65)] {
            assert!(!is_name(name), "{name:?}");
        }
    }
}
