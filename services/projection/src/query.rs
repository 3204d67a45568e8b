//! The gRPC service: rows of the views, true for the position that is answered with them.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use fedsx_proto::v1::{
    GetRowRequest, GetRowResponse, ListRowsRequest, ListRowsResponse, ListViewsRequest, ListViewsResponse,
    Row, ShardState, ViewState, projection_server::Projection,
};
use fedsx_runtime::code::{Code, Refusal};
use tonic::{Request, Response, Status};

use crate::{
    progress::{Progress, Scope},
    shard::ShardId,
    store::{self, Page, PageQuery, Store},
};

/// How long a reader waits for a view to get where it has to be.
const PATIENCE: Duration = Duration::from_secs(5);
/// Rows of a page where the request does not say.
const PAGE: u32 = 100;
/// Most rows of a page.
const MAX_PAGE: u32 = 1000;
/// Most bytes of values of a page, unless one row alone has more: a page is far from the largest message.
const MAX_PAGE_BYTES: u64 = 16 << 20;

/// Answers `fedsx/v1/projection.proto`.
#[derive(Debug)]
pub struct ProjectionService {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) progress: Progress,
    /// Names of the views.
    pub(crate) views: Vec<String>,
    pub(crate) patience: Duration,
}

impl ProjectionService {
    pub(crate) fn new(store: Arc<dyn Store>, progress: Progress, views: Vec<String>) -> Self {
        Self {
            store,
            progress,
            views,
            patience: PATIENCE,
        }
    }

    /// A view that is misspelt must not pass for one without such a row.
    fn check(&self, view: &str) -> Result<(), Refusal> {
        if self.views.iter().any(|known| known == view) {
            return Ok(());
        }
        let known = self.views.join(", ");
        Err(Refusal::new(
            Code::Malformed,
            format!("there is no view {view:?}; there are {known}"),
        ))
    }

    async fn get(&self, request: GetRowRequest) -> Result<GetRowResponse, Refusal> {
        self.check(&request.view)?;
        let shard = ShardId::of(&request.view, &request.key);
        let read = || async {
            let (row, reach) = declared(self.store.row(&shard, &request.key).await?);
            Ok(((row, reach.position), reach))
        };
        match self
            .progress
            .reach(Scope::Shard(&shard), request.at_least, self.patience, read)
            .await?
        {
            (Some(found), position) => Ok(GetRowResponse {
                row: Some(row(found)),
                position,
            }),
            (None, position) => Err(Refusal::new(
                Code::NotFound,
                format!("{} has no row {:?} at {position}", request.view, request.key),
            )),
        }
    }

    async fn list(&self, request: ListRowsRequest) -> Result<ListRowsResponse, Refusal> {
        self.check(&request.view)?;
        let limit = match request.limit {
            0 => PAGE,
            limit if limit <= MAX_PAGE => limit,
            limit => {
                let detail = format!("`limit` is {limit}, at most {MAX_PAGE} rows are read");
                return Err(Refusal::new(Code::Malformed, detail));
            }
        };
        let query = PageQuery {
            view: request.view,
            prefix: request.prefix,
            after: request.after,
            limit,
            max_bytes: MAX_PAGE_BYTES,
            count: request.count,
        };
        let read = || async {
            let page = self.store.page(&query).await?.unwrap_or_else(empty);
            let reach = page.reach.clone();
            Ok((page, reach))
        };
        let scope = Scope::View(&query.view);
        let page = self
            .progress
            .reach(scope, request.at_least, self.patience, read)
            .await?;
        Ok(ListRowsResponse {
            rows: page.rows.into_iter().map(row).collect(),
            position: page.reach.position,
            total: page.total,
        })
    }

    async fn views(&self) -> Result<ListViewsResponse, Refusal> {
        let mut views: BTreeMap<String, Vec<ShardState>> = BTreeMap::new();
        for shard in self.store.shards().await.map_err(|error| error.refuse())? {
            views.entry(shard.id.view).or_default().push(ShardState {
                shard: shard.id.shard,
                position: shard.position,
                epoch: shard.epoch,
                owner: shard.owner,
                halted: shard.halted.unwrap_or_default(),
            });
        }
        let state = |(view, shards)| ViewState { view, shards };
        Ok(ListViewsResponse {
            views: views.into_iter().map(state).collect(),
        })
    }
}

/// Before its shards are declared, a view is at 0 and has no rows.
fn declared(found: Option<(Option<store::Row>, store::Reach)>) -> (Option<store::Row>, store::Reach) {
    found.unwrap_or_default()
}

fn empty() -> Page {
    Page {
        rows: Vec::new(),
        reach: store::Reach::default(),
        total: 0,
    }
}

fn row(row: store::Row) -> Row {
    Row {
        key: row.key,
        value: row.value.into(),
        position: row.position,
    }
}

#[tonic::async_trait]
impl Projection for ProjectionService {
    async fn get_row(&self, request: Request<GetRowRequest>) -> Result<Response<GetRowResponse>, Status> {
        Ok(Response::new(self.get(request.into_inner()).await?))
    }

    async fn list_rows(
        &self,
        request: Request<ListRowsRequest>,
    ) -> Result<Response<ListRowsResponse>, Status> {
        Ok(Response::new(self.list(request.into_inner()).await?))
    }

    async fn list_views(&self, _: Request<ListViewsRequest>) -> Result<Response<ListViewsResponse>, Status> {
        Ok(Response::new(self.views().await?))
    }
}

#[cfg(test)]
mod tests {
    use fedsx_proto::v1::ListRowsRequest;
    use fedsx_runtime::code::Code;
    use serde_json::json;
    use tonic::Request;

    use super::*;
    use crate::testing::{
        ALICE, BASE, Story,
        log::TestLog,
        node::{Node, store},
        person,
    };

    fn actors() -> TestLog {
        let mut story = Story::default();
        for name in ["alice", "carol", "dora"] {
            story.published(BASE, json!({"type": "Create", "object": person(name, false)}));
        }
        TestLog::new(&story)
    }

    fn list(view: &str) -> ListRowsRequest {
        ListRowsRequest {
            view: view.to_owned(),
            at_least: 3,
            ..ListRowsRequest::default()
        }
    }

    #[tokio::test]
    async fn a_row_comes_with_the_entry_that_changed_it_and_the_views_position() {
        let log = actors();
        let node = Node::start(&store().await, &log).await;
        let request = GetRowRequest {
            view: "actors".to_owned(),
            key: ALICE.to_owned(),
            at_least: 3,
        };
        let answer = node
            .service
            .get_row(Request::new(request))
            .await
            .unwrap()
            .into_inner();
        let row = answer.row.unwrap();
        assert_eq!((row.key.as_str(), row.position, answer.position), (ALICE, 1, 3));
    }

    #[tokio::test]
    async fn rows_are_listed_by_prefix_in_pages_and_counted() {
        let log = actors();
        let node = Node::start(&store().await, &log).await;
        let prefix = "https://blog.example/actors/".to_owned();
        let mut request = ListRowsRequest {
            prefix,
            limit: 2,
            count: true,
            ..list("actors")
        };
        let first = node.list(request.clone()).await.unwrap();
        assert_eq!((first.rows.len(), first.total, first.position), (2, 3, 3));
        request.after.clone_from(&first.rows[1].key);
        let second = node.list(request).await.unwrap();
        assert_eq!((second.rows.len(), second.total), (1, 3));
        assert!(second.rows[0].key.ends_with("/dora"));
    }

    #[tokio::test]
    async fn a_reader_waits_for_its_writes_but_not_for_ever() {
        let log = actors();
        let mut node = Node::start(&store().await, &log).await;
        node.service.patience = Duration::from_millis(50);
        let request = ListRowsRequest {
            at_least: 4,
            ..list("actors")
        };
        let refusal = node.list(request.clone()).await.unwrap_err();
        assert_eq!(refusal.code, Code::Unavailable);
        assert!(refusal.detail.ends_with("before 4"), "{refusal}");

        node.service.patience = Duration::from_secs(60);
        let (listed, _) = tokio::join!(node.list(request), async {
            let erik = json!({"type": "Create", "object": person("erik", false)});
            log.append(&format!("outbox/{BASE}"), BASE, erik)
        });
        assert_eq!(listed.unwrap().rows.len(), 4);
    }

    #[tokio::test]
    async fn a_misspelt_view_and_a_greedy_page_are_refused() {
        let node = Node::start(&store().await, &actors()).await;
        let refusal = node.list(list("actor")).await.unwrap_err();
        assert_eq!(refusal.code, Code::Malformed);
        assert!(
            refusal
                .detail
                .contains("actors, blocks, followers, following, following_by, objects")
        );
        let greedy = ListRowsRequest {
            limit: 1001,
            ..list("actors")
        };
        assert_eq!(node.list(greedy).await.unwrap_err().code, Code::Malformed);
    }

    #[tokio::test]
    async fn views_tell_where_their_shards_are() {
        let log = actors();
        let node = Node::start(&store().await, &log).await;
        node.list(list("objects")).await.unwrap();
        let shards = node.shards("objects").await;
        let numbers: Vec<u32> = shards.iter().map(|shard| shard.shard).collect();
        assert_eq!(numbers, (0..8).collect::<Vec<_>>());
        for shard in shards {
            assert_eq!(
                (
                    shard.position,
                    shard.epoch,
                    shard.owner.as_str(),
                    shard.halted.as_str()
                ),
                (3, 1, "test", "")
            );
        }
        assert_eq!(node.shards("reaction/follow").await.len(), 1);
    }
}
