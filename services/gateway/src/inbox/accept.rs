//! Whether an activity is for us, before anything is spent on its signatures.

use fedsx_kernel::audience;
use fedsx_runtime::code::{Code, Refusal};

use super::{
    Received,
    standing::{self, Followed, Standing},
};
use crate::{App, local_actor};

/// Most addressed local actors that are looked up; an activity whose first so many do not exist is not for us.
const MAX_LOOKUPS: usize = 32;

/// Accepts what addresses a local actor or our base, or comes from an actor that somebody here follows or has asked to
/// follow; so a directed activity cannot be replayed to a third domain. What its sender is to us.
///
/// # Errors
/// [`Code::Blocked`], [`Code::NotFound`] for an unknown actor's inbox, [`Code::NotAddressed`]; [`Code::Unavailable`]
/// where the views cannot tell.
pub(super) async fn check(app: &App, received: &Received) -> Result<Followed, Refusal> {
    let (actor, origin) = (received.activity.actor(), &received.origin);
    // Independent questions, asked at once and judged in order.
    let (standing, inbox, addressed) = tokio::join!(
        app.standings.of(&app.views, actor, origin),
        inbox_exists(app, received),
        addresses_us(app, received, None),
    );
    let Standing { blocked, followed } = standing?;
    if blocked && standing::is_blocked(&app.views, origin).await? {
        return Err(Refusal::new(Code::Blocked, format!("{origin} is blocked here")));
    }
    if !inbox? {
        return Err(Refusal::new(Code::NotFound, "there is no such actor here"));
    }
    if addressed? || followed == Followed::Actor {
        return Ok(followed);
    }
    settle(app, received, followed).await
}

/// Asks the views again once they have reached the log's head, before it is believed that an activity is not for us: a
/// view that lags must not lose one.
async fn settle(app: &App, received: &Received, followed: Followed) -> Result<Followed, Refusal> {
    let head = app.log.head().await?;
    let actor = standing::one(received.activity.actor());
    let (addressed, follows) = tokio::try_join!(
        addresses_us(app, received, Some(head)),
        app.views.follows(&actor, head)
    )?;
    if follows {
        return Ok(Followed::Actor);
    }
    if addressed {
        return Ok(followed);
    }
    let detail = "it addresses nobody here, and nobody here follows its actor";
    Err(Refusal::new(Code::NotAddressed, detail))
}

async fn inbox_exists(app: &App, received: &Received) -> Result<bool, Refusal> {
    match &received.inbox {
        Some(actor) => local_actor::exists(app, actor).await,
        None => Ok(true),
    }
}

/// Whether it addresses our base, or an actor that exists, by a view that has applied the position where there is one.
async fn addresses_us(app: &App, received: &Received, at_least: Option<u64>) -> Result<bool, Refusal> {
    let origin = &app.settings.origin;
    let addressees = audience::local_addressees(&received.activity, origin);
    if addressees.iter().any(|addressee| origin.is_base(addressee)) {
        return Ok(true);
    }
    for addressee in addressees.iter().take(MAX_LOOKUPS) {
        let exists = match at_least {
            Some(position) => local_actor::exists_at(app, addressee, position).await?,
            None => local_actor::is_seen(app, addressee).await?,
        };
        if exists {
            return Ok(true);
        }
    }
    Ok(false)
}
