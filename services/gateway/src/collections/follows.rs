//! `GET /…/followers` and `GET /…/following`: who follows an actor, and whom it follows, once accepted.

use std::{sync::Arc, time::Duration};

use axum::{
    extract::{RawQuery, State},
    response::Response,
};
use fedsx_proto::v1::ListRowsRequest;
use fedsx_runtime::code::{Code, Refusal};
use http::HeaderMap;
use moka::future::Cache;
use serde_json::Value;

use super::{Ask, FIRST, PAGE, collection, outbox::below, page, page_url};
use crate::{
    App,
    local_actor::{LocalActor, find},
    media::{self, Keep},
    problem::Problem,
    views::{self, FOLLOWERS, FOLLOWING, Relation, RelationState, Rows},
};

/// So long a tally is shown again: it costs a reading of all rows.
const COUNTED: Duration = Duration::from_mins(1);
/// Tallies held in memory.
const MAX_TALLIES: u64 = 1000;

/// What was counted a moment ago, by view and actor; those who ask at the same time share one count.
#[derive(Debug)]
pub(crate) struct Tallies(Cache<(&'static str, String), Arc<Tally>>);

impl Default for Tallies {
    fn default() -> Self {
        Self(
            Cache::builder()
                .max_capacity(MAX_TALLIES)
                .time_to_live(COUNTED)
                .build(),
        )
    }
}

pub(crate) async fn followers(
    State(app): State<App>,
    LocalActor(actor): LocalActor,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    answer(&app, actor, FOLLOWERS, query.as_deref(), &headers).await
}

pub(crate) async fn following(
    State(app): State<App>,
    LocalActor(actor): LocalActor,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    answer(&app, actor, FOLLOWING, query.as_deref(), &headers).await
}

async fn answer(
    app: &App,
    actor: String,
    view: &'static str,
    query: Option<&str>,
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    let ask = Ask::parse(query)?;
    find(app, &actor).await?;
    // The collections bear the names of their views.
    let id = below(&actor, view);
    let walk = Walk {
        app,
        view,
        prefix: format!("{actor} "),
    };
    let document = match ask {
        Ask::Whole => {
            let counted = app
                .tallies
                .0
                .try_get_with((view, actor), async { walk.tally().await.map(Arc::new) });
            let tally = counted.await.map_err(Arc::unwrap_or_clone)?;
            collection(&id, tally.total, &tally.last_page)
        }
        Ask::Page(cursor) => {
            let (items, more) = walk.page(&cursor).await?;
            let next = items
                .last()
                .filter(|_| more)
                .map(|last| page_url(&id, "page", last));
            let mut page = page(&id, &page_url(&id, "page", &cursor), next);
            page.insert("orderedItems".to_owned(), Value::from(items));
            page
        }
        Ask::After(_) => return Err(Problem::new(Code::Malformed, "`after` is for outboxes")),
    };
    Ok(media::document(headers, Keep::Never, &Value::Object(document)))
}

/// The accepted relations of one actor, in the order of the others' ids.
struct Walk<'a> {
    app: &'a App,
    view: &'static str,
    /// The actor's id and a space.
    prefix: String,
}

/// How many there are, and where the last page begins.
#[derive(Debug, PartialEq, Eq)]
struct Tally {
    total: u64,
    last_page: String,
}

impl Walk<'_> {
    /// Counts by reading every row: the view counts rows, but not those that are accepted.
    async fn tally(&self) -> Result<Tally, Refusal> {
        let mut count = Count::default();
        let mut after = String::new();
        loop {
            let rows = self.rows(after, views::PAGE).await?.rows;
            let Some((last, _)) = rows.last() else {
                return Ok(count.tally());
            };
            after = last.clone();
            let whole = rows.len() < views::PAGE as usize;
            self.accepted(rows).for_each(|other| count.add(other));
            if whole {
                return Ok(count.tally());
            }
        }
    }

    /// The page after a cursor, and whether there are more.
    async fn page(&self, cursor: &str) -> Result<(Vec<String>, bool), Refusal> {
        let mut items: Vec<String> = Vec::new();
        let mut after = if cursor == FIRST {
            String::new()
        } else {
            format!("{}{cursor}", self.prefix)
        };
        while items.len() <= PAGE {
            let rows = self.rows(after, 100).await?.rows;
            let Some((last, _)) = rows.last() else {
                return Ok((items, false));
            };
            after = last.clone();
            items.extend(self.accepted(rows));
        }
        items.truncate(PAGE);
        Ok((items, true))
    }

    async fn rows(&self, after: String, limit: u32) -> Result<Rows<Relation>, Refusal> {
        let request = ListRowsRequest {
            view: self.view.to_owned(),
            prefix: self.prefix.clone(),
            after,
            limit,
            at_least: 0,
            count: false,
        };
        self.app.views.rows(request).await
    }

    /// The others' ids, of relations that are accepted.
    fn accepted(&self, rows: Vec<(String, Relation)>) -> impl Iterator<Item = String> {
        let prefix = self.prefix.len();
        let accepted = rows
            .into_iter()
            .filter(|(_, relation)| relation.state == RelationState::Accepted);
        accepted.filter_map(move |(key, _)| key.get(prefix..).map(str::to_owned))
    }
}

/// Counts, remembering the id after which the last page begins.
#[derive(Debug, Default)]
struct Count {
    total: u64,
    newest: Option<String>,
    boundary: Option<String>,
}

impl Count {
    fn add(&mut self, other: String) {
        if self.total > 0 && self.total.is_multiple_of(PAGE as u64) {
            self.boundary = self.newest.take();
        }
        self.total += 1;
        self.newest = Some(other);
    }

    fn tally(self) -> Tally {
        Tally {
            total: self.total,
            last_page: self.boundary.unwrap_or_else(|| FIRST.to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_page_begins_after_the_last_full_one() {
        let last_page = |total: usize| {
            let mut count = Count::default();
            (0..total).for_each(|index| count.add(index.to_string()));
            count.tally().last_page
        };
        assert_eq!(last_page(0), FIRST);
        assert_eq!(last_page(PAGE), FIRST);
        assert_eq!(last_page(PAGE + 1), (PAGE - 1).to_string());
        assert_eq!(last_page(2 * PAGE), (PAGE - 1).to_string());
        assert_eq!(last_page(2 * PAGE + 1), (2 * PAGE - 1).to_string());
    }
}
