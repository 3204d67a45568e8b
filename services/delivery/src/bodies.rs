//! What is sent: activities, and webhooks of flows, by their position, read from the log in pages and kept while they are wanted.

use std::sync::Arc;

use bytes::Bytes;
use fedsx_kernel::{http_signature::digest, stream::Stream};
use fedsx_proto::v1::Entry;
use fedsx_runtime::code::{Code, Refusal};
use moka::future::Cache;

use crate::{ledger::Owed, log::Log, webhook::Posting};

/// Bytes of activities that are kept.
const KEPT: u64 = 64 << 20;
/// Activities that are read ahead of a lane.
const AHEAD: usize = 16;

/// An activity as it is sent, or a webhook.
#[derive(Debug)]
pub(crate) struct Body {
    pub(crate) bytes: Bytes,
    /// `Content-Digest` of the bytes.
    pub(crate) digest: String,
    /// The activity's id; of a webhook, the transition's.
    pub(crate) id: String,
    /// None: an activity.
    pub(crate) webhook: Option<Posting>,
}

/// The activities. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Bodies {
    log: Log,
    kept: Cache<u64, Arc<Body>>,
}

impl Bodies {
    pub(crate) fn new(log: Log) -> Self {
        let weigh = |_: &u64, body: &Arc<Body>| u32::try_from(body.bytes.len() + 512).unwrap_or(u32::MAX);
        Self {
            log,
            kept: Cache::builder().weigher(weigh).max_capacity(KEPT).build(),
        }
    }

    /// Keeps an entry that is at hand.
    pub(crate) async fn keep(&self, entry: &Entry) {
        if let Ok(body) = body(entry) {
            self.kept.insert(entry.position, Arc::new(body)).await;
        }
    }

    /// The activity at a position. `ahead`: what will be wanted next.
    ///
    /// # Errors
    /// [`Code::Unavailable`] where the log is away; [`Code::Internal`] where it lacks the position, or has
    /// nothing to be sent there.
    pub(crate) async fn at(&self, position: u64, ahead: &[Owed]) -> Result<Arc<Body>, Arc<Refusal>> {
        if let Some(body) = self.kept.get(&position).await {
            return Ok(body);
        }
        self.kept.try_get_with(position, self.load(position, ahead)).await
    }

    async fn load(&self, position: u64, ahead: &[Owed]) -> Result<Arc<Body>, Refusal> {
        let ahead = ahead.iter().map(|owed| owed.position);
        let ahead = ahead.filter(|next| !self.kept.contains_key(next));
        let positions = std::iter::once(position).chain(ahead.take(AHEAD)).collect();
        let mut wanted = None;
        for entry in self.log.at(positions).await? {
            if entry.position == position {
                wanted = Some(Arc::new(body(&entry)?));
            } else {
                self.keep(&entry).await;
            }
        }
        wanted.ok_or_else(|| Refusal::new(Code::Internal, format!("the log has no entry {position}")))
    }
}

/// What is sent of an entry.
///
/// # Errors
/// [`Code::Internal`]: nothing.
pub(crate) fn body(entry: &Entry) -> Result<Body, Refusal> {
    let (webhook, bytes) = match Stream::parse(&entry.stream) {
        Some(Stream::Flow(_)) => {
            let (posting, bytes) = Posting::of(&entry.body).map_err(|why| {
                Refusal::new(Code::Internal, format!("the entry {}: {why}", entry.position))
            })?;
            (Some(posting), bytes)
        }
        _ => (None, entry.body.clone()),
    };
    Ok(Body {
        digest: digest::of(&bytes),
        bytes,
        id: entry.activity_id.clone(),
        webhook,
    })
}
