//! The views:
//!
//! * `GET /views`: every view, and how far it is;
//! * `GET /views/{view}?prefix=&after=&limit=&at_least=&count=true`: a page of rows, `{"position", "rows", "next", "total"}`;
//!   `next` is the next page's `after`. A page may end before its limit, by its bytes; one without rows is the end;
//! * `GET /views/{view}/row?key=&at_least=`: one row;
//! * `GET /views/{view}/edges?relation=&from=&after=&limit=&at_least=`, or `to` instead of `from`: of a projection of
//!   relations a page of edges by one end, `{"position", "edges", "next"}`.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{Path, State},
    routing::get,
};
use fedsx_proto::v1::{Edge, GetRowRequest, ListEdgesRequest, ListRowsRequest, Row, list_edges_request::End};
use fedsx_runtime::{code::Code, problem::Problem};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Answer, Asked, sound};
use crate::query::ProjectionService;

pub(super) fn router(service: Arc<ProjectionService>) -> Router {
    Router::new()
        .route("/views", get(views))
        .route("/views/{view}", get(page))
        .route("/views/{view}/row", get(row))
        .route("/views/{view}/edges", get(edges))
        .with_state(service)
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PageAsked {
    #[serde(default)]
    prefix: String,
    #[serde(default)]
    after: String,
    #[serde(default)]
    limit: u32,
    #[serde(default)]
    at_least: u64,
    #[serde(default)]
    count: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RowAsked {
    key: String,
    #[serde(default)]
    at_least: u64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct EdgesAsked {
    relation: String,
    from: Option<String>,
    to: Option<String>,
    #[serde(default)]
    after: String,
    #[serde(default)]
    limit: u32,
    #[serde(default)]
    at_least: u64,
}

async fn views(State(service): State<Arc<ProjectionService>>) -> Answer {
    let view = |view: &fedsx_proto::v1::ViewState| {
        let halted = view.shards.iter().find(|shard| !shard.halted.is_empty());
        json!({
            "view": view.view,
            "id": view.id,
            "state": view.state,
            "position": view.shards.iter().map(|shard| shard.position).min(),
            "applied": view.shards.iter().map(|shard| shard.count).sum::<u64>(),
            "halted": halted.map(|shard| &shard.halted),
        })
    };
    let listed = service.views().await?.views;
    Ok(Json(listed.iter().map(view).collect()))
}

async fn page(
    State(service): State<Arc<ProjectionService>>,
    Path(view): Path<String>,
    asked: Asked<PageAsked>,
) -> Answer {
    let asked = sound(asked)?;
    let request = ListRowsRequest {
        view,
        prefix: asked.prefix,
        after: asked.after,
        limit: asked.limit,
        at_least: asked.at_least,
        count: asked.count,
    };
    let page = service.list(request).await?;
    let rows = page.rows.iter().map(as_json).collect::<Result<Vec<_>, _>>()?;
    let mut answer = json!({ "position": page.position, "rows": rows });
    if asked.count {
        answer["total"] = page.total.into();
    }
    if let Some(last) = page.rows.last() {
        answer["next"] = last.key.as_str().into();
    }
    Ok(Json(answer))
}

async fn row(
    State(service): State<Arc<ProjectionService>>,
    Path(view): Path<String>,
    asked: Asked<RowAsked>,
) -> Answer {
    let RowAsked { key, at_least } = sound(asked)?;
    let found = service.get(GetRowRequest { view, key, at_least }).await?;
    let mut answer = as_json(&found.row.unwrap_or_default())?;
    answer["at"] = found.position.into();
    Ok(Json(answer))
}

async fn edges(
    State(service): State<Arc<ProjectionService>>,
    Path(view): Path<String>,
    asked: Asked<EdgesAsked>,
) -> Answer {
    let asked = sound(asked)?;
    let by_from = asked.from.is_some();
    let end = match (asked.from, asked.to) {
        (Some(from), None) => End::From(from),
        (None, Some(to)) => End::To(to),
        _ => {
            return Err(Problem::new(
                Code::Malformed,
                "one of `from` and `to` has to be there",
            ));
        }
    };
    let request = ListEdgesRequest {
        view,
        relation: asked.relation,
        end: Some(end),
        after: asked.after,
        limit: asked.limit,
        at_least: asked.at_least,
    };
    let page = service.edges(request).await?;
    let edge = |edge: &Edge| json!({ "relation": edge.relation, "from": edge.from, "to": edge.to, "derived": edge.derived });
    let edges: Vec<Value> = page.edges.iter().map(edge).collect();
    let mut answer = json!({ "position": page.position, "edges": edges });
    if let Some(last) = page.edges.last() {
        let other = if by_from { &last.to } else { &last.from };
        answer["next"] = other.as_str().into();
    }
    Ok(Json(answer))
}

fn as_json(row: &Row) -> Result<Value, Problem> {
    let value: Value = serde_json::from_slice(&row.value)
        .map_err(|error| Problem::new(Code::Internal, format!("the row {:?}: {error}", row.key)))?;
    Ok(json!({ "key": row.key, "position": row.position, "value": value }))
}
