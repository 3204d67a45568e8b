//! Our own actors, as a path names them.

use axum::{
    extract::{FromRequestParts, RawPathParams},
    http::request::Parts,
};
use fedsx_runtime::code::{Code, Refusal};

use crate::{
    App,
    problem::Problem,
    views::{ACTORS, ActorRow},
};

/// Longest name that is looked for. Bytes.
const MAX_NAME: usize = 64;

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
