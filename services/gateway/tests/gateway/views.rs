//! The projection service with views that a test writes.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use fedsx_proto::v1::{
    GetRowRequest, GetRowResponse, ListEdgesRequest, ListEdgesResponse, ListRowsRequest, ListRowsResponse,
    ListViewsRequest, ListViewsResponse, Row, TakeSnapshotRequest, TakeSnapshotResponse, VerifyProgress,
    VerifyRequest, projection_server::Projection,
};
use serde_json::{Value, json};
use tonic::{Request, Response, Status};

type Rows = BTreeMap<(String, String), Value>;

/// Views by hand. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Views(Arc<State>);

#[derive(Default)]
struct State {
    rows: Mutex<Rows>,
    /// Rows that the views have only once they are asked for a position.
    late: Mutex<Rows>,
    behind: AtomicBool,
    away: AtomicBool,
    asked: AtomicUsize,
}

impl Views {
    pub(crate) fn put(&self, view: &str, key: &str, value: Value) {
        self.0
            .rows
            .lock()
            .unwrap()
            .insert((view.to_owned(), key.to_owned()), value);
    }

    /// A row that is there once the view has caught up.
    pub(crate) fn put_late(&self, view: &str, key: &str, value: Value) {
        self.0
            .late
            .lock()
            .unwrap()
            .insert((view.to_owned(), key.to_owned()), value);
    }

    /// `follower` follows `followed`, in this state: seen from the local actor of the two.
    pub(crate) fn relate(&self, view: &str, local: &str, other: &str, state: &str) {
        self.put(view, &format!("{local} {other}"), relation(state));
        if view == "following" {
            self.put("following_by", &format!("{other} {local}"), relation(state));
        }
    }

    /// The views cannot reach the position they are asked for.
    pub(crate) fn fall_behind(&self) {
        self.0.behind.store(true, Ordering::Relaxed);
    }

    pub(crate) fn go_away(&self) {
        self.0.away.store(true, Ordering::Relaxed);
    }

    pub(crate) fn come_back(&self) {
        self.0.away.store(false, Ordering::Relaxed);
    }

    pub(crate) fn remove(&self, view: &str, key: &str) {
        self.0
            .rows
            .lock()
            .unwrap()
            .remove(&(view.to_owned(), key.to_owned()));
    }

    /// How many questions were asked.
    pub(crate) fn asked(&self) -> usize {
        self.0.asked.load(Ordering::Relaxed)
    }

    fn rows_at(&self, at_least: u64) -> Result<Rows, Status> {
        self.0.asked.fetch_add(1, Ordering::Relaxed);
        if self.0.away.load(Ordering::Relaxed) {
            return Err(Status::unavailable("the views are away"));
        }
        let mut rows = self.0.rows.lock().unwrap().clone();
        if at_least > 0 {
            if self.0.behind.load(Ordering::Relaxed) {
                return Err(Status::unavailable("the view is behind"));
            }
            rows.extend(self.0.late.lock().unwrap().clone());
        }
        Ok(rows)
    }
}

pub(crate) fn relation(state: &str) -> Value {
    json!({ "follow_cid": "x", "follow_id": "x", "state": state, "inbox": null })
}

fn row(key: &str, value: &Value) -> Row {
    Row {
        key: key.to_owned(),
        value: value.to_string().into_bytes().into(),
        position: 1,
    }
}

#[tonic::async_trait]
impl Projection for Views {
    async fn get_row(&self, request: Request<GetRowRequest>) -> Result<Response<GetRowResponse>, Status> {
        let request = request.into_inner();
        let rows = self.rows_at(request.at_least)?;
        let key = (request.view, request.key);
        let value = rows.get(&key).ok_or_else(|| Status::not_found("no such row"))?;
        Ok(Response::new(GetRowResponse {
            row: Some(row(&key.1, value)),
            position: request.at_least,
        }))
    }

    async fn list_rows(
        &self,
        request: Request<ListRowsRequest>,
    ) -> Result<Response<ListRowsResponse>, Status> {
        let request = request.into_inner();
        let rows = self.rows_at(request.at_least)?;
        let of_prefix: Vec<_> = rows
            .iter()
            .filter(|((view, key), _)| *view == request.view && key.starts_with(&request.prefix))
            .collect();
        let limit = if request.limit == 0 {
            100
        } else {
            request.limit as usize
        };
        let page = of_prefix
            .iter()
            .filter(|((_, key), _)| *key > request.after)
            .take(limit);
        Ok(Response::new(ListRowsResponse {
            rows: page.map(|((_, key), value)| row(key, value)).collect(),
            position: request.at_least,
            total: if request.count { of_prefix.len() as u64 } else { 0 },
        }))
    }

    async fn list_views(&self, _: Request<ListViewsRequest>) -> Result<Response<ListViewsResponse>, Status> {
        self.rows_at(0)?;
        Ok(Response::new(ListViewsResponse::default()))
    }

    async fn list_edges(&self, _: Request<ListEdgesRequest>) -> Result<Response<ListEdgesResponse>, Status> {
        Err(Status::unimplemented("nobody asks how objects are related"))
    }

    async fn take_snapshot(
        &self,
        _: Request<TakeSnapshotRequest>,
    ) -> Result<Response<TakeSnapshotResponse>, Status> {
        Err(Status::unimplemented("nobody takes snapshots"))
    }

    type VerifyStream = futures::stream::Empty<Result<VerifyProgress, Status>>;

    async fn verify(&self, _: Request<VerifyRequest>) -> Result<Response<Self::VerifyStream>, Status> {
        Err(Status::unimplemented("nobody verifies these"))
    }
}
