//! `fedsx relations`: edges between objects, and those that follow from them.

use clap::Args;
use fedsx_proto::v1::{ListEdgesRequest, list_edges_request::End};
use fedsx_runtime::code::Refusal;
use serde_json::{Value, json};

use super::connect::Target;

#[derive(Debug, Args)]
pub(crate) struct Relations {
    /// The projection that they are of
    #[arg(default_value = "relations")]
    view: String,
    /// How they are related: `tag`, `subtypeOf`
    #[arg(long, value_name = "NAME")]
    relation: String,
    #[command(flatten)]
    end: Ends,
    /// At most this many
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1000))]
    limit: u32,
    /// Continue after this other end
    #[arg(long, value_name = "END", default_value = "", hide_default_value = true)]
    after: String,
    #[command(flatten)]
    target: Target,
}

/// Which edges.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Ends {
    /// What this object is related to: its tags
    #[arg(long, value_name = "OBJECT")]
    from: Option<String>,
    /// What is related to this object: what is tagged so
    #[arg(long, value_name = "OBJECT")]
    to: Option<String>,
}

pub(crate) async fn run(relations: Relations) -> anyhow::Result<()> {
    let mut domain = relations.target.open().await?;
    let Ends { from, to } = relations.end;
    let request = ListEdgesRequest {
        view: relations.view,
        relation: relations.relation,
        end: from.map(End::From).or(to.map(End::To)),
        after: relations.after,
        limit: relations.limit,
        at_least: domain.head,
    };
    let answer = domain.clients.projection.list_edges(request).await;
    let edges = answer.map_err(Refusal::from)?.into_inner().edges;
    let edges: Vec<Value> = edges
        .into_iter()
        .map(|edge| {
            json!({"relation": edge.relation, "from": edge.from, "to": edge.to, "derived": edge.derived})
        })
        .collect();
    let text = |edge: &Value, key: &str| edge[key].as_str().unwrap_or_default().to_owned();
    domain
        .output
        .many(["RELATION", "FROM", "TO", "BY"], &edges, |edge| {
            let by = if edge["derived"] == true { "rule" } else { "object" };
            [
                text(edge, "relation"),
                text(edge, "from"),
                text(edge, "to"),
                by.to_owned(),
            ]
        })
}
