//! `fedsx actor`: a domain's actors.

use clap::{Args, Subcommand, ValueEnum};
use fedsx_kernel::actor::Kind;
use fedsx_proto::v1::{GetRowRequest, ListRowsRequest};
use fedsx_runtime::code::Refusal;
use serde_json::Value;

use super::{connect::Target, output::print};
use crate::drafts;

#[derive(Debug, Subcommand)]
pub(crate) enum Actor {
    /// Create an actor; the domain makes its keys
    Create(Create),
    /// List the domain's actors
    List(List),
    /// Print an actor's document
    Show(Show),
}

#[derive(Debug, Args)]
pub(crate) struct Create {
    /// 1 to 64 of a-z, 0-9, `_`, `.` and `-`
    name: String,
    /// What it is
    #[arg(long = "type", value_enum, ignore_case = true, default_value_t = ActorType::Person)]
    kind: ActorType,
    /// How people call it
    #[arg(long, value_name = "TEXT")]
    display_name: Option<String>,
    /// What it is about
    #[arg(long, value_name = "TEXT")]
    summary: Option<String>,
    /// A person answers its Follows (`fedsx followers accept`)
    #[arg(long)]
    manual: bool,
    #[command(flatten)]
    target: Target,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum ActorType {
    Person,
    Service,
    Group,
}

#[derive(Debug, Args)]
pub(crate) struct List {
    #[command(flatten)]
    target: Target,
}

#[derive(Debug, Args)]
pub(crate) struct Show {
    /// Name or id; none: the domain's own
    name: Option<String>,
    #[command(flatten)]
    target: Target,
}

pub(crate) async fn run(actor: Actor) -> anyhow::Result<()> {
    match actor {
        Actor::Create(create) => create.run().await,
        Actor::List(list) => list.run().await,
        Actor::Show(show) => show.run().await,
    }
}

impl Create {
    async fn run(self) -> anyhow::Result<()> {
        let mut domain = self.target.open().await?;
        let kind = match self.kind {
            ActorType::Person => Kind::Person,
            ActorType::Service => Kind::Service,
            ActorType::Group => Kind::Group,
        };
        let (title, summary) = (self.display_name.as_deref(), self.summary.as_deref());
        let draft = drafts::create_actor(Some(&self.name), kind, title, summary, self.manual);
        let base = domain.origin.base();
        let published = domain.publish(&base, &draft, "").await?;
        let id = domain.origin.actor(&self.name);
        let created =
            serde_json::json!({ "id": id, "activity": published.id, "position": published.position });
        domain.output.one(&created, || format!("created {id}"))
    }
}

/// An actor in a list.
#[derive(serde::Serialize)]
struct Listed {
    id: String,
    name: String,
    kind: String,
    manual: bool,
}

impl List {
    async fn run(self) -> anyhow::Result<()> {
        let mut domain = self.target.open().await?;
        let mut actors = Vec::new();
        let mut request = ListRowsRequest {
            view: "actors".to_owned(),
            limit: 1000,
            at_least: domain.head,
            ..ListRowsRequest::default()
        };
        loop {
            let rows = domain
                .clients
                .projection
                .list_rows(request.clone())
                .await
                .map_err(Refusal::from)?;
            let rows = rows.into_inner().rows;
            let Some(last) = rows.last() else { break };
            request.after = last.key.clone();
            for row in rows {
                let value: Value = serde_json::from_slice(&row.value)?;
                let text = |key: &str| value[key].as_str().unwrap_or("-").to_owned();
                let manual = value["manual"].as_bool().unwrap_or(false);
                actors.push(Listed {
                    name: text("name"),
                    kind: text("kind"),
                    manual,
                    id: row.key,
                });
            }
        }
        domain
            .output
            .many(["NAME", "TYPE", "FOLLOWS", "ID"], &actors, |actor| {
                let answer = if actor.manual { "manual" } else { "automatic" };
                [
                    actor.name.clone(),
                    actor.kind.clone(),
                    answer.to_owned(),
                    actor.id.clone(),
                ]
            })
    }
}

impl Show {
    async fn run(self) -> anyhow::Result<()> {
        let mut domain = self.target.open().await?;
        let key = domain.actor(self.name.as_deref());
        let request = GetRowRequest {
            view: "actors".to_owned(),
            key,
            at_least: domain.head,
        };
        let row = domain
            .clients
            .projection
            .get_row(request)
            .await
            .map_err(Refusal::from)?;
        let value: Value = serde_json::from_slice(&row.into_inner().row.unwrap_or_default().value)?;
        // A document has one form, so both ways of printing show it; --json on one line.
        let document = &value["document"];
        if domain.output.json {
            return print(&document.to_string());
        }
        print(&serde_json::to_string_pretty(document)?)
    }
}
