//! Blobs: bytes that lie beside the log.

use bytes::Bytes;
use fedsx_kernel::blob::BlobCid;
use fedsx_proto::v1::{
    DescribeBlobRequest, DescribeBlobResponse, DropBlobRequest, DropBlobResponse, GetBlobRequest,
    GetBlobResponse, PutBlobRequest, PutBlobResponse,
};
use fedsx_runtime::{
    code::{Code, Refusal},
    token::Role,
};
use futures::{Stream, StreamExt as _, TryStreamExt as _, stream, stream::BoxStream};
use tonic::{Status, Streaming};

use super::LogService;
use crate::{
    authority::{self, Action},
    blob::BlobStore,
    refusal::malformed,
};

/// Bytes of one message that is sent…
const MESSAGE: usize = 512 << 10;
/// … and the most of one that is taken.
const MAX_MESSAGE: usize = 4 << 20;

pub(super) async fn put(
    log: &LogService,
    role: Role,
    requests: Streaming<PutBlobRequest>,
) -> Result<PutBlobResponse, Refusal> {
    authority::check(role, Action::PutBlob)?;
    let stored = store(log)?.put(bytes(requests), &log.shutdown).await?;
    log.metrics.blob(if stored.existed { "existed" } else { "put" });
    Ok(PutBlobResponse {
        cid: stored.cid.to_string(),
        size: stored.size,
        existed: stored.existed,
    })
}

/// The bytes up to the message that is said to be the last; an error where there is none.
fn bytes(requests: Streaming<PutBlobRequest>) -> impl Stream<Item = Result<Bytes, Refusal>> {
    stream::try_unfold(Some(requests), async |requests| {
        let Some(mut requests) = requests else {
            return Ok(None);
        };
        match requests.message().await? {
            Some(PutBlobRequest { data, .. }) if data.len() > MAX_MESSAGE => {
                let detail = format!("`data` has {} bytes, at most {MAX_MESSAGE} are taken", data.len());
                Err(malformed(detail))
            }
            Some(PutBlobRequest { data, last }) => Ok(Some((data, (!last).then_some(requests)))),
            None => Err(malformed("the blob was broken off: no message is its `last`")),
        }
    })
}

pub(super) async fn get(
    log: &LogService,
    role: Role,
    request: GetBlobRequest,
) -> Result<BoxStream<'static, Result<GetBlobResponse, Status>>, Refusal> {
    authority::check(role, Action::GetBlob)?;
    let cid = cid(&request.cid)?;
    let got = store(log)?.get(&cid, request.offset, request.length).await;
    let pieces = got.inspect_err(|refusal| {
        if refusal.code == Code::Damaged {
            log.metrics.blob("damaged");
        }
    })?;
    let messages = pieces
        .map_ok(|piece| stream::iter(messages(piece).map(Ok::<_, Refusal>)))
        .try_flatten();
    Ok(messages
        .map_ok(|data| GetBlobResponse { data })
        .map_err(Status::from)
        .boxed())
}

pub(super) async fn describe(
    log: &LogService,
    role: Role,
    request: DescribeBlobRequest,
) -> Result<DescribeBlobResponse, Refusal> {
    authority::check(role, Action::GetBlob)?;
    let cid = cid(&request.cid)?;
    let size = store(log)?.size(&cid).await?;
    Ok(DescribeBlobResponse { size })
}

pub(super) async fn drop(
    log: &LogService,
    role: Role,
    request: DropBlobRequest,
) -> Result<DropBlobResponse, Refusal> {
    authority::check(role, Action::DropBlob)?;
    let cid = cid(&request.cid)?;
    store(log)?.drop(&cid).await?;
    log.metrics.blob("dropped");
    Ok(DropBlobResponse {})
}

fn store(log: &LogService) -> Result<&BlobStore, Refusal> {
    let none = || {
        Refusal::new(
            Code::NoBlobStore,
            "the domain has no place for blobs: configure `blobs`",
        )
    };
    log.blobs.as_ref().ok_or_else(none)
}

fn cid(text: &str) -> Result<BlobCid, Refusal> {
    text.parse().map_err(|error| malformed(format!("`cid` {error}")))
}

/// A piece as parts of it that fit a message.
fn messages(mut piece: Bytes) -> impl Iterator<Item = Bytes> {
    std::iter::from_fn(move || {
        let next = piece.split_to(piece.len().min(MESSAGE));
        (!next.is_empty()).then_some(next)
    })
}
