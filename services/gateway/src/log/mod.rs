//! The log, as the gateway uses it.

mod appender;

use bytes::{Bytes, BytesMut};
use fedsx_kernel::{blob::BlobCid, cid::Cid, origin::Origin, stream::Stream};
use fedsx_proto::v1::{
    AppendRequest, ChangeKvRequest, DescribeBlobRequest, DescribeRequest, Entry, Expected, GetBlobRequest,
    GetKvRequest, GetRequest, GetTypeRequest, KeepPeerTypeRequest, KnownType, KvChange, KvItem, Meta,
    MissingTypesRequest, NewEntry, ReadRequest, ReadResponse, append_response::Outcome, expected,
    get_request::By,
};
use fedsx_runtime::code::{Code, Refusal};

use crate::{LogClient, measure::Appends, upstream::ask};
use appender::Appender;

const SERVICE: &str = "log";

/// A client of the log. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Log {
    client: LogClient,
    appender: Appender,
}

/// What became of an append.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Appended {
    New,
    Duplicate,
    /// A compare-and-set of kv lost; nothing was written.
    KvConflict,
}

impl Log {
    pub(crate) fn new(client: LogClient, measures: Appends) -> Self {
        Self {
            appender: Appender::start(client.clone(), measures),
            client,
        }
    }

    /// The highest position.
    pub(crate) async fn head(&self) -> Result<u64, Refusal> {
        Ok(ask(SERVICE, self.client.clone().describe(DescribeRequest {}))
            .await?
            .head)
    }

    pub(crate) async fn by_cid(&self, cid: &Cid) -> Result<Option<Entry>, Refusal> {
        self.get(By::Cid(cid.to_string())).await
    }

    pub(crate) async fn by_activity_id(&self, id: &str) -> Result<Option<Entry>, Refusal> {
        self.get(By::ActivityId(id.to_owned())).await
    }

    async fn get(&self, by: By) -> Result<Option<Entry>, Refusal> {
        let entry = ask(SERVICE, self.client.clone().get(GetRequest { by: Some(by) })).await;
        absent(entry)
    }

    pub(crate) async fn read(&self, request: ReadRequest) -> Result<ReadResponse, Refusal> {
        ask(SERVICE, self.client.clone().read(request)).await
    }

    /// Appends one received activity, with changes of kv in the same transaction.
    pub(crate) async fn append(
        &self,
        stream: &Stream,
        body: Bytes,
        meta: Meta,
        kv: Vec<KvChange>,
    ) -> Result<Appended, Refusal> {
        let request = AppendRequest {
            stream: stream.to_string(),
            expected: Some(Expected {
                kind: Some(expected::Kind::Any(true)),
            }),
            entries: vec![NewEntry {
                body,
                meta: Some(meta),
            }],
            kv,
        };
        match self.appender.append(request).await?.outcome {
            Some(Outcome::Appended(_)) => Ok(Appended::New),
            Some(Outcome::Duplicate(_)) => Ok(Appended::Duplicate),
            Some(Outcome::KvConflict(_)) => Ok(Appended::KvConflict),
            // No version was asked for.
            other => {
                tracing::error!(
                    ?other,
                    "the log answered an append with what it was not asked for"
                );
                Err(Refusal::new(Code::Internal, "the log service failed"))
            }
        }
    }

    /// A type that was defined here, or a peer's that is kept.
    pub(crate) async fn type_record(&self, cid: &Cid) -> Result<Option<KnownType>, Refusal> {
        let request = GetTypeRequest { cid: cid.to_string() };
        absent(ask(SERVICE, self.client.clone().get_type(request)).await)
    }

    /// How large a blob is. Bytes.
    pub(crate) async fn blob_size(&self, cid: &BlobCid) -> Result<Option<u64>, Refusal> {
        let request = DescribeBlobRequest { cid: cid.to_string() };
        match ask(SERVICE, self.client.clone().describe_blob(request)).await {
            Err(refusal) if refusal.code == Code::NoBlobStore => Ok(None),
            answer => Ok(absent(answer)?.map(|described| described.size)),
        }
    }

    /// A part of a blob, read whole: what waits for a slow reader must not take up the connection that all calls share.
    pub(crate) async fn blob_part(&self, cid: &BlobCid, offset: u64, length: u64) -> Result<Bytes, Refusal> {
        let (cid, mut client) = (cid.to_string(), self.client.clone());
        let request = GetBlobRequest { cid, offset, length };
        let read = async {
            let mut messages = client.get_blob(request).await?.into_inner();
            let mut part = BytesMut::new();
            while let Some(message) = messages.message().await? {
                part.extend_from_slice(&message.data);
            }
            Ok(tonic::Response::new(part.freeze()))
        };
        ask(SERVICE, read).await
    }

    /// Which of these types, and of those that stand behind them, are not here.
    pub(crate) async fn missing_types(&self, named: &[Cid]) -> Result<Vec<Cid>, Refusal> {
        let request = MissingTypesRequest {
            cids: named.iter().map(ToString::to_string).collect(),
        };
        let answer = ask(SERVICE, self.client.clone().missing_types(request)).await?;
        Ok(answer.cids.iter().filter_map(|cid| cid.parse().ok()).collect())
    }

    /// Keeps a type that an origin has shown.
    pub(crate) async fn keep_type(&self, body: Bytes, origin: &Origin) -> Result<(), Refusal> {
        let request = KeepPeerTypeRequest {
            body,
            origin: origin.to_string(),
        };
        ask(SERVICE, self.client.clone().keep_peer_type(request))
            .await
            .map(drop)
    }

    pub(crate) async fn kv(&self, space: &str, key: &str) -> Result<Option<KvItem>, Refusal> {
        let request = GetKvRequest {
            space: space.to_owned(),
            key: key.to_owned(),
        };
        Ok(ask(SERVICE, self.client.clone().get_kv(request)).await?.item)
    }

    /// Changes one key; false where its compare-and-set lost.
    pub(crate) async fn change_kv(&self, change: KvChange) -> Result<bool, Refusal> {
        let request = ChangeKvRequest {
            changes: vec![change],
        };
        let answer = ask(SERVICE, self.client.clone().change_kv(request)).await?;
        Ok(answer.conflict.is_none())
    }
}

/// A missing row as a value.
pub(crate) fn absent<T>(answer: Result<T, Refusal>) -> Result<Option<T>, Refusal> {
    match answer {
        Ok(found) => Ok(Some(found)),
        Err(refusal) if refusal.code == Code::NotFound => Ok(None),
        Err(refusal) => Err(refusal),
    }
}
