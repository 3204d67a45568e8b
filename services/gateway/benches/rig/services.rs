//! A log and views that answer at once and keep nothing.

use std::sync::{Arc, atomic::Ordering};

use fedsx_proto::v1::*;
use tonic::{Request, Response, Status, Streaming};

use super::Calls;

type Answer<T> = Result<Response<T>, Status>;

pub(super) struct Log(pub(super) Arc<Calls>);
pub(super) struct Views(pub(super) Arc<Calls>);

impl Log {
    fn called(&self, appends: usize) {
        self.0.log.fetch_add(1, Ordering::Relaxed);
        self.0.appends.fetch_add(appends as u64, Ordering::Relaxed);
    }
}

fn appended() -> AppendResponse {
    AppendResponse {
        outcome: Some(append_response::Outcome::Appended(Appended {
            position: 1,
            version: 1,
            cid: "bagaaierasords4njcts6vs7qvdjfcvgnume4hqohf65zsfguprqphs3icwea".to_owned(),
            activity_id: "https://blog.example/activities/1".to_owned(),
        })),
    }
}

fn unused<T>() -> Answer<T> {
    Err(Status::unimplemented("the benchmark does not need it"))
}

#[tonic::async_trait]
impl log_server::Log for Log {
    type SubscribeStream = futures::stream::Pending<Result<SubscribeResponse, Status>>;
    type GetBlobStream = futures::stream::Pending<Result<GetBlobResponse, Status>>;

    async fn describe(&self, _: Request<DescribeRequest>) -> Answer<DescribeResponse> {
        self.called(0);
        Ok(Response::new(DescribeResponse::default()))
    }
    async fn append(&self, _: Request<AppendRequest>) -> Answer<AppendResponse> {
        self.called(1);
        Ok(Response::new(appended()))
    }
    async fn append_many(&self, request: Request<AppendManyRequest>) -> Answer<AppendManyResponse> {
        let appends = request.into_inner().appends.len();
        self.called(appends);
        let result = AppendResult {
            result: Some(append_result::Result::Answered(appended())),
        };
        Ok(Response::new(AppendManyResponse {
            results: vec![result; appends],
        }))
    }
    async fn get_kv(&self, _: Request<GetKvRequest>) -> Answer<GetKvResponse> {
        self.called(0);
        Ok(Response::new(GetKvResponse::default()))
    }
    async fn list_definitions(&self, _: Request<ListDefinitionsRequest>) -> Answer<ListDefinitionsResponse> {
        unused()
    }
    async fn put_blob(&self, _: Request<Streaming<PutBlobRequest>>) -> Answer<PutBlobResponse> {
        unused()
    }
    async fn get_blob(&self, _: Request<GetBlobRequest>) -> Answer<Self::GetBlobStream> {
        unused()
    }
    async fn describe_blob(&self, _: Request<DescribeBlobRequest>) -> Answer<DescribeBlobResponse> {
        unused()
    }
    async fn drop_blob(&self, _: Request<DropBlobRequest>) -> Answer<DropBlobResponse> {
        unused()
    }
    async fn get_type(&self, _: Request<GetTypeRequest>) -> Answer<KnownType> {
        unused()
    }
    async fn missing_types(&self, _: Request<MissingTypesRequest>) -> Answer<MissingTypesResponse> {
        unused()
    }
    async fn keep_peer_type(&self, _: Request<KeepPeerTypeRequest>) -> Answer<KeepPeerTypeResponse> {
        unused()
    }
    async fn list_peer_types(&self, _: Request<ListPeerTypesRequest>) -> Answer<ListPeerTypesResponse> {
        unused()
    }
    async fn evict_peer_type(&self, _: Request<EvictPeerTypeRequest>) -> Answer<EvictPeerTypeResponse> {
        unused()
    }
    async fn publish(&self, _: Request<PublishRequest>) -> Answer<PublishResponse> {
        unused()
    }
    async fn get(&self, _: Request<GetRequest>) -> Answer<Entry> {
        unused()
    }
    async fn read(&self, _: Request<ReadRequest>) -> Answer<ReadResponse> {
        unused()
    }
    async fn subscribe(&self, _: Request<SubscribeRequest>) -> Answer<Self::SubscribeStream> {
        unused()
    }
    async fn list_kv(&self, _: Request<ListKvRequest>) -> Answer<ListKvResponse> {
        unused()
    }
    async fn change_kv(&self, _: Request<ChangeKvRequest>) -> Answer<ChangeKvResponse> {
        unused()
    }
}

#[tonic::async_trait]
impl projection_server::Projection for Views {
    async fn get_row(&self, _: Request<GetRowRequest>) -> Answer<GetRowResponse> {
        self.0.projection.fetch_add(1, Ordering::Relaxed);
        Err(Status::not_found("no such row"))
    }
    /// Whoever asks is followed.
    async fn list_rows(&self, request: Request<ListRowsRequest>) -> Answer<ListRowsResponse> {
        self.0.projection.fetch_add(1, Ordering::Relaxed);
        let row = Row {
            key: format!("{}x", request.get_ref().prefix),
            value: br#"{"state":"accepted"}"#.as_slice().into(),
            position: 1,
        };
        Ok(Response::new(ListRowsResponse {
            rows: vec![row],
            ..ListRowsResponse::default()
        }))
    }
    async fn list_views(&self, _: Request<ListViewsRequest>) -> Answer<ListViewsResponse> {
        Ok(Response::new(ListViewsResponse::default()))
    }
    async fn list_edges(&self, _: Request<ListEdgesRequest>) -> Answer<ListEdgesResponse> {
        Err(Status::unimplemented("nobody asks how objects are related"))
    }

    async fn take_snapshot(&self, _: Request<TakeSnapshotRequest>) -> Answer<TakeSnapshotResponse> {
        Err(Status::unimplemented("nobody takes snapshots"))
    }

    type VerifyStream = futures::stream::Empty<Result<VerifyProgress, Status>>;
    async fn verify(&self, _: Request<VerifyRequest>) -> Answer<Self::VerifyStream> {
        unused()
    }
}
