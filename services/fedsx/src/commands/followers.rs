//! `fedsx followers`: who follows, and who waits for an answer.

use clap::{Args, Subcommand};
use fedsx_proto::v1::{GetRowRequest, ListRowsRequest};
use fedsx_runtime::code::{Code, Refusal};

use super::{connect::Target, follow::Relation};
use crate::drafts;

#[derive(Debug, Subcommand)]
pub(crate) enum Followers {
    /// List followers and those who ask
    List(List),
    /// Accept a follower who asks
    Accept(Answer),
    /// Reject a follower who asks, or end an accepted one's follow
    Reject(Answer),
}

#[derive(Debug, Args)]
pub(crate) struct List {
    /// Of this local actor: name or id; none: of every actor
    #[arg(long, value_name = "ACTOR")]
    actor: Option<String>,
    /// At most this many
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1000))]
    limit: u32,
    /// Continue after this row, `<actor> <follower>`
    #[arg(long, value_name = "KEY", default_value = "", hide_default_value = true)]
    after: String,
    #[command(flatten)]
    target: Target,
}

#[derive(Debug, Args)]
pub(crate) struct Answer {
    /// The follower's id
    follower: String,
    /// The local actor who is followed: name or id; none: the domain's own
    #[arg(long, value_name = "ACTOR")]
    actor: Option<String>,
    #[command(flatten)]
    target: Target,
}

pub(crate) async fn run(followers: Followers) -> anyhow::Result<()> {
    match followers {
        Followers::List(list) => list.run().await,
        Followers::Accept(answer) => answer.run("Accept", "accepted").await,
        Followers::Reject(answer) => answer.run("Reject", "rejected").await,
    }
}

impl List {
    async fn run(self) -> anyhow::Result<()> {
        let mut domain = self.target.open().await?;
        let prefix = self
            .actor
            .as_deref()
            .map(|name| format!("{} ", domain.actor(Some(name))))
            .unwrap_or_default();
        let request = ListRowsRequest {
            view: "followers".to_owned(),
            prefix,
            after: self.after,
            limit: self.limit,
            at_least: domain.head,
            count: false,
        };
        let rows = domain
            .clients
            .projection
            .list_rows(request)
            .await
            .map_err(Refusal::from)?
            .into_inner()
            .rows;
        let relations: Vec<Relation> = rows
            .iter()
            .map(|row| serde_json::from_slice(&row.value))
            .collect::<Result<_, _>>()?;
        domain
            .output
            .many(["STATE", "ACTOR", "FOLLOWER", "SINCE"], &relations, |relation| {
                [
                    &relation.state,
                    &relation.followed,
                    &relation.follower,
                    &relation.since,
                ]
                .map(Clone::clone)
            })
    }
}

impl Answer {
    async fn run(self, verb: &str, state: &str) -> anyhow::Result<()> {
        let mut domain = self.target.open().await?;
        let actor = domain.actor(self.actor.as_deref());
        let follower = drafts::actor_id(&self.follower)?;
        let key = format!("{actor} {follower}");
        let request = GetRowRequest {
            view: "followers".to_owned(),
            key,
            at_least: domain.head,
        };
        let row = domain
            .clients
            .projection
            .get_row(request)
            .await
            .map_err(Refusal::from);
        let row = row.map_err(|refusal| match refusal.code {
            Code::NotFound => Refusal::new(
                Code::NotFound,
                format!("{follower} has not asked to follow {actor}"),
            ),
            _ => refusal,
        })?;
        let relation: Relation = serde_json::from_slice(&row.into_inner().row.unwrap_or_default().value)?;
        let draft = drafts::about_follow(verb, &relation.follow_id, &follower, &actor, &follower);
        // A change of mind is a new answer; the same answer twice is one.
        let key = format!(
            "{}/{}/{}",
            verb.to_lowercase(),
            relation.follow_cid,
            relation.since
        );
        let published = domain.publish(&actor, &draft, &key).await?;
        domain.output.one(&published, || {
            format!("{state} {follower} as a follower of {actor}")
        })
    }
}
