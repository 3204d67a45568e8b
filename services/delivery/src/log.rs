//! What delivery asks of the log.

use fedsx_kernel::stream::Stream;
use fedsx_proto::v1::{
    AppendRequest, DescribeRequest, Entry, Expected, GetKvRequest, GetRequest, KvChange, KvItem, NewEntry,
    ReadRequest, SubscribeRequest, SubscribeResponse, append_response, expected, get_request,
    log_client::LogClient as Client,
};
use fedsx_runtime::{
    code::{Code, Refusal},
    transport::Authorised,
};
use tonic::Streaming;

/// The log's client with this role's token.
pub type LogClient = Client<Authorised>;

/// The log, as delivery uses it. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Log(LogClient);

type Result<T> = std::result::Result<T, Refusal>;

impl Log {
    pub(crate) fn new(client: LogClient) -> Self {
        Self(client)
    }

    /// The highest position.
    pub(crate) async fn head(&self) -> Result<u64> {
        Ok(self
            .0
            .clone()
            .describe(DescribeRequest {})
            .await?
            .into_inner()
            .head)
    }

    /// The entry of the activity with this id.
    pub(crate) async fn activity(&self, id: &str) -> Result<Option<Entry>> {
        let by = get_request::By::ActivityId(id.to_owned());
        match self.0.clone().get(GetRequest { by: Some(by) }).await {
            Ok(entry) => Ok(Some(entry.into_inner())),
            Err(status) if status.code() == tonic::Code::NotFound => Ok(None),
            Err(status) => Err(status.into()),
        }
    }

    /// The entries at these positions, at most 1000; those that exceed the log's page are left out.
    pub(crate) async fn at(&self, positions: Vec<u64>) -> Result<Vec<Entry>> {
        let request = ReadRequest {
            positions,
            ..ReadRequest::default()
        };
        Ok(self.0.clone().read(request).await?.into_inner().entries)
    }

    /// Entries after a position, at most `limit`, as many as the log puts on a page.
    pub(crate) async fn after(&self, position: u64, limit: u32) -> Result<Vec<Entry>> {
        let request = ReadRequest {
            from: position,
            limit,
            ..ReadRequest::default()
        };
        Ok(self.0.clone().read(request).await?.into_inner().entries)
    }

    /// Every entry after a position, and then what comes.
    pub(crate) async fn subscribe(&self, after: u64) -> Result<Streaming<SubscribeResponse>> {
        Ok(self
            .0
            .clone()
            .subscribe(SubscribeRequest { after })
            .await?
            .into_inner())
    }

    /// Appends decisions to the stream `domain`. Those that are there already are there once.
    pub(crate) async fn decide(&self, bodies: Vec<Vec<u8>>) -> Result<()> {
        for body in bodies {
            self.append(&Stream::Domain, body).await?;
        }
        Ok(())
    }

    /// Appends an entry, whatever is before it. If it is there already, it is there once.
    pub(crate) async fn append(&self, stream: &Stream, body: Vec<u8>) -> Result<()> {
        let request = AppendRequest {
            stream: stream.to_string(),
            expected: Some(Expected {
                kind: Some(expected::Kind::Any(true)),
            }),
            entries: vec![NewEntry {
                body: body.into(),
                meta: None,
            }],
            kv: Vec::new(),
        };
        let answer = self.0.clone().append(request).await?.into_inner();
        match answer.outcome {
            Some(append_response::Outcome::Appended(_) | append_response::Outcome::Duplicate(_)) => Ok(()),
            _ => Err(Refusal::new(
                Code::Internal,
                format!("the log did not append to {stream}"),
            )),
        }
    }

    pub(crate) async fn get_kv(&self, space: &str, key: &str) -> Result<Option<KvItem>> {
        let request = GetKvRequest {
            space: space.to_owned(),
            key: key.to_owned(),
        };
        Ok(self.0.clone().get_kv(request).await?.into_inner().item)
    }

    /// Puts a value where the key's version is still this one; 0: where it is absent. False: it is not.
    pub(crate) async fn put_kv(&self, space: &str, key: &str, version: u64, value: &str) -> Result<bool> {
        let change = KvChange {
            space: space.to_owned(),
            key: key.to_owned(),
            value: Some(value.to_owned().into()),
            expected_version: Some(version),
        };
        let request = fedsx_proto::v1::ChangeKvRequest {
            changes: vec![change],
        };
        Ok(self
            .0
            .clone()
            .change_kv(request)
            .await?
            .into_inner()
            .conflict
            .is_none())
    }
}
