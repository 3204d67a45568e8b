//! `fedsx follow` and `fedsx unfollow`.

use std::time::Duration;

use clap::Args;
use fedsx_proto::v1::{DescribeRequest, GetRowRequest, ListDeliveriesRequest};
use fedsx_runtime::code::{Code, Refusal};
use serde::{Deserialize, Serialize};

use super::connect::{Running, Target};
use crate::{asked::Published, drafts};

#[derive(Debug, Args)]
pub(crate) struct Follow {
    /// The remote actor; an origin alone means the domain's own actor there
    #[arg(value_parser = drafts::actor_id)]
    url: String,
    /// Who follows: name or id; none: the domain's own actor
    #[arg(long, value_name = "ACTOR")]
    actor: Option<String>,
    /// Ask again even where it accepted before: it may have ended the follow without a word
    #[arg(long, conflicts_with = "wait")]
    again: bool,
    /// Wait until it is answered, at most this many seconds
    #[arg(long, value_name = "SECONDS")]
    wait: Option<u64>,
    #[command(flatten)]
    target: Target,
}

#[derive(Debug, Args)]
pub(crate) struct Unfollow {
    /// The remote actor
    #[arg(value_parser = drafts::actor_id)]
    url: String,
    /// Who follows it: name or id; none: the domain's own actor
    #[arg(long, value_name = "ACTOR")]
    actor: Option<String>,
    #[command(flatten)]
    target: Target,
}

/// A row of the views `followers` and `following`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Relation {
    pub(super) follower: String,
    pub(super) followed: String,
    pub(super) follow_id: String,
    pub(super) follow_cid: String,
    pub(super) state: String,
    pub(super) since: String,
}

/// A follow, as far as it is known.
#[derive(Serialize)]
struct Asked<'a> {
    actor: &'a str,
    followed: &'a str,
    state: &'a str,
}

pub(crate) async fn follow(follow: Follow) -> anyhow::Result<()> {
    let mut domain = follow.target.open().await?;
    let (actor, followed) = (domain.actor(follow.actor.as_deref()), follow.url);
    let head = domain.head;
    let before = state(&mut domain, &actor, &followed, head).await?;
    let state = if before.as_deref() == Some("accepted") && !follow.again {
        "accepted".to_owned()
    } else {
        let asked = domain.publish(&actor, &drafts::follow(&followed), "").await?;
        match follow.wait {
            Some(seconds) => wait(&mut domain, &actor, &followed, &asked, seconds).await?,
            None => "requested".to_owned(),
        }
    };
    let (actor, followed, state) = (&*actor, &*followed, &*state);
    domain.output.one(
        &Asked {
            actor,
            followed,
            state,
        },
        || format!("{state}: {actor} follows {followed}"),
    )?;
    anyhow::ensure!(state != "rejected", "{followed} rejected the follow");
    Ok(())
}

/// The answer, or why there is none yet.
async fn wait(
    domain: &mut Running,
    actor: &str,
    followed: &str,
    asked: &Published,
    seconds: u64,
) -> anyhow::Result<String> {
    let patience = Duration::from_secs(seconds);
    match tokio::time::timeout(patience, answered(domain, actor, followed, asked.position)).await {
        Ok(state) => Ok(state?.unwrap_or_else(|| "rejected".to_owned())),
        Err(_) => {
            let request = ListDeliveriesRequest {
                cid: asked.cid.clone(),
                limit: 1,
                ..Default::default()
            };
            let rows = domain
                .clients
                .delivery
                .list_deliveries(request)
                .await
                .map_err(Refusal::from)?;
            let rows = rows.into_inner().deliveries;
            let how = rows.first().map_or_else(String::new, |row| {
                format!(" (its delivery is {}: {})", row.state, row.cause)
            });
            anyhow::bail!("{followed} has not answered within {seconds} s; the follow stands{how}")
        }
    }
}

/// Waits for the answer; the row is gone where it was a rejection that ended the relation.
async fn answered(
    domain: &mut Running,
    actor: &str,
    followed: &str,
    mut at_least: u64,
) -> anyhow::Result<Option<String>> {
    loop {
        let state = state(domain, actor, followed, at_least).await?;
        if state.as_deref() != Some("requested") {
            return Ok(state);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
        at_least = domain
            .clients
            .log
            .describe(DescribeRequest {})
            .await
            .map_err(Refusal::from)?
            .into_inner()
            .head;
    }
}

async fn state(
    domain: &mut Running,
    actor: &str,
    followed: &str,
    at_least: u64,
) -> anyhow::Result<Option<String>> {
    Ok(relation(domain, actor, followed, at_least)
        .await?
        .map(|relation| relation.state))
}

async fn relation(
    domain: &mut Running,
    actor: &str,
    followed: &str,
    at_least: u64,
) -> anyhow::Result<Option<Relation>> {
    let key = format!("{actor} {followed}");
    let request = GetRowRequest {
        view: "following".to_owned(),
        key,
        at_least,
    };
    match domain
        .clients
        .projection
        .get_row(request)
        .await
        .map_err(Refusal::from)
    {
        Ok(answer) => Ok(Some(serde_json::from_slice(
            &answer.into_inner().row.unwrap_or_default().value,
        )?)),
        Err(refusal) if refusal.code == Code::NotFound => Ok(None),
        Err(refusal) => Err(refusal.into()),
    }
}

pub(crate) async fn unfollow(unfollow: Unfollow) -> anyhow::Result<()> {
    let mut domain = unfollow.target.open().await?;
    let (actor, followed) = (domain.actor(unfollow.actor.as_deref()), unfollow.url);
    let head = domain.head;
    let Some(relation) = relation(&mut domain, &actor, &followed, head).await? else {
        return Err(Refusal::new(Code::NotFound, format!("{actor} does not follow {followed}")).into());
    };
    let undo = drafts::about_follow("Undo", &relation.follow_id, &actor, &followed, &followed);
    domain
        .publish(&actor, &undo, &format!("undo/{}", relation.follow_cid))
        .await?;
    domain.output.one(
        &Asked {
            actor: &actor,
            followed: &followed,
            state: "undone",
        },
        || format!("undone: {actor} no longer follows {followed}"),
    )
}
