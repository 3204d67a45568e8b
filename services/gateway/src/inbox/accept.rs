//! Whether an activity is for us, before anything is spent on its signatures.

use fedsx_kernel::{audience, origin::Origin};
use fedsx_runtime::code::{Code, Refusal};
use serde::de::IgnoredAny;

use super::Received;
use crate::{
    App,
    views::{ACTORS, BLOCKS, Views},
};

/// Most addressed local actors that are looked up; an activity whose first so many do not exist is not for us.
const MAX_LOOKUPS: usize = 32;

/// What an accepted activity's sender is to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Standing {
    /// Somebody here follows the origin, or has asked to: it is no stranger.
    pub(super) followed: bool,
}

/// Accepts what addresses a local actor or our base, or comes from an actor that somebody here follows or has asked to
/// follow; so a directed activity cannot be replayed to a third domain.
///
/// # Errors
/// [`Code::Forbidden`] for our own origin, [`Code::Blocked`], [`Code::NotFound`] for an unknown actor's inbox,
/// [`Code::NotAddressed`]; [`Code::Unavailable`] where the views cannot tell.
pub(super) async fn check(app: &App, received: &Received) -> Result<Standing, Refusal> {
    let actor = received.activity.actor();
    if received.origin == app.settings.origin {
        let detail = "what our own actors say is published here, not posted to an inbox";
        return Err(Refusal::new(Code::Forbidden, detail));
    }
    let followed = format!("{actor} ");
    // Independent questions, asked at once and judged in order.
    let (blocked, inbox, addressed, followed) = tokio::join!(
        app.views.row::<IgnoredAny>(BLOCKS, received.origin.as_str()),
        inbox_exists(app, received),
        addresses_us(app, received, 0),
        app.views.follows(&followed, 0),
    );
    if blocked?.is_some() {
        return Err(Refusal::new(
            Code::Blocked,
            format!("{} is blocked here", received.origin),
        ));
    }
    if !inbox? {
        return Err(Refusal::new(Code::NotFound, "there is no such actor here"));
    }
    let (addressed, followed) = (addressed?, followed?);
    let followed = if !addressed && !followed {
        settle(app, received).await?
    } else {
        followed
    };
    // The quota goes by origin: whoever is followed there makes it no stranger.
    let followed = followed || origin_followed(&app.views, &received.origin).await?;
    Ok(Standing { followed })
}

/// Asks the views again once they have reached the log's head, before it is believed that an activity is not for us: a
/// view that lags must not lose one. Whether its actor is followed.
async fn settle(app: &App, received: &Received) -> Result<bool, Refusal> {
    let head = app.log.head().await?;
    let followed = format!("{} ", received.activity.actor());
    let (addressed, followed) = tokio::try_join!(
        addresses_us(app, received, head),
        app.views.follows(&followed, head)
    )?;
    if addressed || followed {
        return Ok(followed);
    }
    let detail = "it addresses nobody here, and nobody here follows its actor";
    Err(Refusal::new(Code::NotAddressed, detail))
}

async fn inbox_exists(app: &App, received: &Received) -> Result<bool, Refusal> {
    match &received.inbox {
        Some(actor) => Ok(app
            .views
            .settled_row::<IgnoredAny>(ACTORS, actor)
            .await?
            .is_some()),
        None => Ok(true),
    }
}

/// Whether it addresses our base, or an actor that exists.
async fn addresses_us(app: &App, received: &Received, at_least: u64) -> Result<bool, Refusal> {
    let origin = &app.settings.origin;
    let addressees = audience::local_addressees(&received.activity, origin);
    if addressees.iter().any(|addressee| origin.is_base(addressee)) {
        return Ok(true);
    }
    for addressee in addressees.iter().take(MAX_LOOKUPS) {
        if app
            .views
            .row_at::<IgnoredAny>(ACTORS, addressee, at_least)
            .await?
            .is_some()
        {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether any actor at this origin is followed.
async fn origin_followed(views: &Views, origin: &Origin) -> Result<bool, Refusal> {
    views.follows(&origin.base(), 0).await
}
