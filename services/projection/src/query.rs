//! The gRPC service: rows of the views, true for the position that is answered with them.

use std::{collections::BTreeMap, time::Duration};

use fedsx_proto::v1::{
    GetRowRequest, GetRowResponse, ListEdgesRequest, ListEdgesResponse, ListRowsRequest, ListRowsResponse,
    ListViewsRequest, ListViewsResponse, Row, ShardState, TakeSnapshotRequest, TakeSnapshotResponse,
    VerifyRequest, ViewState, list_edges_request, projection_server::Projection,
};
use fedsx_runtime::code::{Code, Refusal};
use tonic::{Request, Response, Status};

use crate::{
    relations::{EdgeQuery, End},
    roster::settle::State,
    serving::Serving,
    snapshot::Snapshots,
    store::{self, PageQuery},
    verify::{Progresses, Verifier},
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
    pub(crate) serving: Serving,
    pub(crate) patience: Duration,
    verifier: Verifier,
    snapshots: Snapshots,
}

impl ProjectionService {
    pub(crate) fn new(serving: Serving, verifier: Verifier, snapshots: Snapshots) -> Self {
        Self {
            serving,
            patience: PATIENCE,
            verifier,
            snapshots,
        }
    }

    pub(crate) async fn get(&self, request: GetRowRequest) -> Result<GetRowResponse, Refusal> {
        let GetRowRequest { view, key, at_least } = request;
        match self.serving.row(&view, &key, at_least, self.patience).await? {
            (Some(found), position) => Ok(GetRowResponse {
                row: Some(row(found)),
                position,
            }),
            (None, position) => Err(Refusal::new(
                Code::NotFound,
                format!("{view} has no row {key:?} at {position}"),
            )),
        }
    }

    pub(crate) async fn list(&self, request: ListRowsRequest) -> Result<ListRowsResponse, Refusal> {
        let limit = limited(request.limit)?;
        let query = PageQuery {
            view: request.view,
            prefix: request.prefix,
            after: request.after,
            limit,
            max_bytes: MAX_PAGE_BYTES,
            count: request.count,
        };
        let page = self.serving.page(&query, request.at_least, self.patience).await?;
        Ok(ListRowsResponse {
            rows: page.rows.into_iter().map(row).collect(),
            position: page.reach.position,
            total: page.total,
        })
    }

    pub(crate) async fn edges(&self, request: ListEdgesRequest) -> Result<ListEdgesResponse, Refusal> {
        let limit = limited(request.limit)?;
        let (end, name) = match request.end {
            Some(list_edges_request::End::From(name)) => (End::From, name),
            Some(list_edges_request::End::To(name)) => (End::To, name),
            None => return Err(Refusal::new(Code::Malformed, "neither `from` nor `to` is set")),
        };
        let query = EdgeQuery {
            relation: request.relation,
            end,
            name,
            after: request.after,
            limit: usize::try_from(limit).unwrap_or(usize::MAX),
        };
        let (view, at_least) = (&request.view, request.at_least);
        let found = self.serving.edges(view, &query, at_least, self.patience).await?;
        Ok(ListEdgesResponse {
            edges: found.edges.into_iter().map(|edge| query.edge(edge)).collect(),
            position: found.reach.position,
        })
    }

    pub(crate) async fn views(&self) -> Result<ListViewsResponse, Refusal> {
        let store = &self.serving.store;
        let mut shards: BTreeMap<String, Vec<ShardState>> = BTreeMap::new();
        for shard in store.shards().await.map_err(|error| error.refuse())? {
            shards
                .entry(shard.id.view.clone())
                .or_default()
                .push(state(shard));
        }
        let roster = self.serving.board.now();
        let mut views = Vec::new();
        for kept in roster.kept() {
            let state = match kept.state {
                State::Building => "building",
                State::Live => "live",
                State::Retired => continue,
            };
            views.push(ViewState {
                view: kept.name.clone(),
                id: kept.id.clone(),
                state: state.to_owned(),
                shards: shards.remove(&kept.id).unwrap_or_default(),
            });
        }
        let reactions = shards.into_iter().filter(|(name, _)| name.contains('/'));
        views.extend(reactions.map(|(name, shards)| ViewState {
            view: name,
            shards,
            ..ViewState::default()
        }));
        views.sort_by(|one, other| (&one.view, &other.state).cmp(&(&other.view, &one.state)));
        Ok(ListViewsResponse { views })
    }
}

/// How long a page is that is asked for with this limit.
fn limited(limit: u32) -> Result<u32, Refusal> {
    match limit {
        0 => Ok(PAGE),
        limit if limit <= MAX_PAGE => Ok(limit),
        limit => {
            let detail = format!("`limit` is {limit}, at most {MAX_PAGE} rows are read");
            Err(Refusal::new(Code::Malformed, detail))
        }
    }
}

fn state(shard: store::Shard) -> ShardState {
    ShardState {
        shard: shard.id.shard,
        position: shard.position,
        epoch: shard.epoch,
        owner: shard.owner,
        halted: shard.halted.unwrap_or_default(),
        count: shard.count,
        digest: shard.digest.0.to_vec().into(),
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

    async fn list_edges(
        &self,
        request: Request<ListEdgesRequest>,
    ) -> Result<Response<ListEdgesResponse>, Status> {
        Ok(Response::new(self.edges(request.into_inner()).await?))
    }

    async fn list_views(&self, _: Request<ListViewsRequest>) -> Result<Response<ListViewsResponse>, Status> {
        Ok(Response::new(self.views().await?))
    }

    async fn take_snapshot(
        &self,
        request: Request<TakeSnapshotRequest>,
    ) -> Result<Response<TakeSnapshotResponse>, Status> {
        let kept = self.snapshots.asked(&request.into_inner().view).await?;
        Ok(Response::new(TakeSnapshotResponse {
            cid: kept.cid.into(),
            position: kept.position,
            rows: kept.rows,
            bytes: kept.bytes,
        }))
    }

    type VerifyStream = Progresses;

    async fn verify(&self, request: Request<VerifyRequest>) -> Result<Response<Progresses>, Status> {
        Ok(Response::new(self.verifier.listen(request.into_inner().view)))
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
