//! Where snapshots are kept: chunks and manifests as blobs beside the log, and which there are of each view in the log's kv,
//! so that they outlive the projection's database.

use std::{collections::HashSet, time::Duration};

use fedsx_kernel::{
    cid::Cid,
    snapshot::{Kept, Known, SPACE, SnapshotError},
};
use fedsx_proto::v1::{ChangeKvRequest, GetKvRequest, KvChange, KvItem, ListKvRequest};
use fedsx_runtime::code::{Code, Refusal};
use tokio::time::timeout;

use crate::LogClient;

mod blobs;

/// A call that has not been answered within this time has failed.
const DEADLINE: Duration = Duration::from_secs(60);
/// Views that are asked for at once.
const PAGE: u32 = 1000;
/// Who changes what is kept of a view may lose so often to others who do.
const ATTEMPTS: usize = 5;

/// Snapshots cannot be kept, or got, just now.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    #[error("the log: {0}")]
    Refused(Refusal),
    #[error("the log has not answered within {} s", DEADLINE.as_secs())]
    Silent,
    #[error("the blob {0} is larger than it should be")]
    TooLarge(Cid),
    #[error("the blob {0} has other bytes")]
    Damaged(Cid),
    #[error("others change what is kept of the view, again and again")]
    Contended,
    #[error(transparent)]
    Content(#[from] SnapshotError),
}

impl VaultError {
    /// What is told to who asked.
    #[must_use]
    pub fn refuse(&self) -> Refusal {
        match self {
            Self::Refused(refusal) => refusal.clone(),
            Self::Silent | Self::Contended => Refusal::new(Code::Unavailable, self.to_string()),
            Self::TooLarge(_) | Self::Damaged(_) => Refusal::new(Code::Damaged, self.to_string()),
            Self::Content(_) => Refusal::new(Code::Malformed, self.to_string()),
        }
    }
}

impl From<tonic::Status> for VaultError {
    fn from(status: tonic::Status) -> Self {
        Self::Refused(status.into())
    }
}

/// What is kept of a view, and the version that it is stored with.
#[derive(Debug, Clone, Default)]
struct Stored {
    known: Known,
    version: u64,
}

/// The domain's snapshots. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Vault {
    log: LogClient,
}

impl Vault {
    #[must_use]
    pub fn new(log: LogClient) -> Self {
        Self { log }
    }

    /// The snapshots that are kept of a view.
    ///
    /// # Errors
    /// [`VaultError`]
    pub async fn known(&self, view: &str) -> Result<Known, VaultError> {
        Ok(self.stored(view).await?.known)
    }

    async fn stored(&self, view: &str) -> Result<Stored, VaultError> {
        let mut log = self.log.clone();
        let request = GetKvRequest {
            space: SPACE.to_owned(),
            key: view.to_owned(),
        };
        match within(log.get_kv(request)).await?.into_inner().item {
            Some(item) => Ok(Stored {
                known: Known::parse(&item.value)?,
                version: item.version,
            }),
            None => Ok(Stored::default()),
        }
    }

    /// The snapshots that are kept, by view.
    ///
    /// # Errors
    /// [`VaultError`]
    pub async fn list(&self) -> Result<Vec<(String, Known)>, VaultError> {
        let mut log = self.log.clone();
        let mut views: Vec<(String, Known)> = Vec::new();
        loop {
            let request = ListKvRequest {
                space: SPACE.to_owned(),
                after: views.last().map_or(String::new(), |(view, _)| view.clone()),
                limit: PAGE,
                ..ListKvRequest::default()
            };
            let items = within(log.list_kv(request)).await?.into_inner().items;
            let full = items.len() >= PAGE as usize;
            for KvItem { key, value, .. } in items {
                views.push((key, Known::parse(&value)?));
            }
            if !full {
                return Ok(views);
            }
        }
    }

    /// Makes a snapshot known whose chunks and manifest have been put, and removes what is kept no longer: beyond so many.
    ///
    /// # Errors
    /// [`VaultError`]
    pub async fn keep(&self, view: &str, snapshot: &Kept, most: usize) -> Result<(), VaultError> {
        let dropped = self
            .change(view, |known| known.keep(snapshot.clone(), most))
            .await?;
        self.remove(dropped).await
    }

    /// Takes a snapshot out of what is kept, and removes its blobs. False: it is not kept.
    ///
    /// # Errors
    /// [`VaultError`]
    pub async fn drop(&self, view: &str, cid: &Cid) -> Result<bool, VaultError> {
        let dropped = self
            .change(view, |known| known.remove(cid).into_iter().collect())
            .await?;
        let any = !dropped.is_empty();
        self.remove(dropped).await?;
        Ok(any)
    }

    /// Changes what is kept of a view by compare-and-set.
    async fn change(
        &self,
        view: &str,
        change: impl Fn(&mut Known) -> Vec<Kept>,
    ) -> Result<Vec<Kept>, VaultError> {
        let mut log = self.log.clone();
        for _ in 0..ATTEMPTS {
            let Stored { mut known, version } = self.stored(view).await?;
            let before = known.clone();
            let dropped = change(&mut known);
            if known == before {
                return Ok(dropped);
            }
            let set = KvChange {
                space: SPACE.to_owned(),
                key: view.to_owned(),
                value: match known.snapshots.is_empty() {
                    true => None,
                    false => Some(known.to_vec()?.into()),
                },
                expected_version: Some(version),
            };
            let request = ChangeKvRequest { changes: vec![set] };
            if within(log.change_kv(request))
                .await?
                .into_inner()
                .conflict
                .is_none()
            {
                return Ok(dropped);
            }
        }
        Err(VaultError::Contended)
    }

    /// Removes the blobs of snapshots that are kept no longer, except those that others have too.
    async fn remove(&self, dropped: Vec<Kept>) -> Result<(), VaultError> {
        if dropped.is_empty() {
            return Ok(());
        }
        let mut needed: HashSet<Cid> = HashSet::new();
        for (_, known) in self.list().await? {
            for kept in known.snapshots {
                needed.extend(self.blobs(&kept.cid).await?.unwrap_or_default());
            }
        }
        for snapshot in dropped {
            let blobs = self.blobs(&snapshot.cid).await?.unwrap_or_default();
            // The manifest last: where this breaks off, it says what is left.
            for cid in blobs.iter().rev().filter(|cid| !needed.contains(cid)) {
                self.discard(cid).await?;
            }
        }
        Ok(())
    }
}

async fn within<T>(
    call: impl Future<Output = Result<tonic::Response<T>, tonic::Status>>,
) -> Result<tonic::Response<T>, VaultError> {
    match timeout(DEADLINE, call).await {
        Ok(answer) => Ok(answer?),
        Err(_) => Err(VaultError::Silent),
    }
}
