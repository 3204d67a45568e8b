//! What senders are to us: blocked, followed, or strangers. Asked of the views, and believed for a moment, so that a sender
//! of many activities does not cost a question each.
//!
//! What is believed only ever lets an activity in: before one is refused the views are asked again.

use std::time::Duration;

use fedsx_kernel::origin::Origin;
use fedsx_runtime::code::Refusal;
use moka::future::Cache;
use serde::de::IgnoredAny;

use crate::views::{BLOCKS, Views};

/// So much later than the views know of it a block may take effect.
const BELIEVED: Duration = Duration::from_millis(200);
/// Senders that are held in memory.
const MAX_SENDERS: u64 = 10_000;

/// What an activity's actor is to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Standing {
    /// Its origin is blocked.
    pub(super) blocked: bool,
    pub(super) followed: Followed,
}

/// Whom somebody here follows, or has asked to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Followed {
    Actor,
    /// Another actor of its origin: what the origin says without being asked has no quota.
    Origin,
    Nobody,
}

/// The senders that were asked about a moment ago.
#[derive(Debug)]
pub(crate) struct Standings(Cache<String, Standing>);

impl Default for Standings {
    fn default() -> Self {
        Self(
            Cache::builder()
                .max_capacity(MAX_SENDERS)
                .time_to_live(BELIEVED)
                .build(),
        )
    }
}

impl Standings {
    /// What the views say, or said a moment ago.
    pub(super) async fn of(&self, views: &Views, actor: &str, origin: &Origin) -> Result<Standing, Refusal> {
        self.0
            .try_get_with_by_ref(actor, ask(views, actor, origin))
            .await
            .map_err(|refusal| (*refusal).clone())
    }
}

/// What the views say now.
pub(super) async fn ask(views: &Views, actor: &str, origin: &Origin) -> Result<Standing, Refusal> {
    // Independent questions, asked at once.
    let (blocked, followed) = tokio::try_join!(is_blocked(views, origin), followed(views, actor, origin))?;
    Ok(Standing { blocked, followed })
}

pub(super) async fn is_blocked(views: &Views, origin: &Origin) -> Result<bool, Refusal> {
    let row = views.row::<IgnoredAny>(BLOCKS, origin.as_str()).await?;
    Ok(row.is_some())
}

async fn followed(views: &Views, actor: &str, origin: &Origin) -> Result<Followed, Refusal> {
    if views.follows(&one(actor), 0).await? {
        return Ok(Followed::Actor);
    }
    Ok(if views.follows(&origin.base(), 0).await? {
        Followed::Origin
    } else {
        Followed::Nobody
    })
}

/// The prefix of one actor's rows in `following_by`.
pub(super) fn one(actor: &str) -> String {
    format!("{actor} ")
}
