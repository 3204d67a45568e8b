//! The place that a URL names.

use std::{
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use fedsx_runtime::fetch::choose_tls_provider;
use object_store::{
    ClientOptions, ObjectStore, RetryConfig, aws::AmazonS3Builder, local::LocalFileSystem, memory::InMemory,
    prefix::PrefixStore,
};

use super::{BlobStore, MAX_BLOB};

/// S3 takes a connection within this time.
const CONNECT: Duration = Duration::from_secs(3);
/// One request, of at most 8 MiB, may take so long.
const REQUEST: Duration = Duration::from_secs(30);
/// One that fails is not begun again later than this after it was begun first, nor more often.
const RETRY_FOR: Duration = Duration::from_secs(10);
const RETRIES: usize = 4;

/// No place for blobs can be made of what was configured.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("{0:?} is neither file:///folder nor s3://bucket/prefix")]
    Url(String),
    #[error("the folder {} cannot be used: {source}", path.display())]
    Folder { path: PathBuf, source: std::io::Error },
    #[error("{0}")]
    Store(#[from] object_store::Error),
}

impl BlobStore {
    /// The place at a URL: `file:///var/lib/fedsx/blobs`, which is made where it is missing, or `s3://bucket/prefix`, whose
    /// endpoint, region and keys are those of the environment (`AWS_ENDPOINT_URL`, `AWS_REGION`, `AWS_ACCESS_KEY_ID`,
    /// `AWS_SECRET_ACCESS_KEY`, …) and which is not asked before it is needed. A blob has at most `max_bytes`.
    ///
    /// # Errors
    /// [`OpenError`]
    pub fn open(url: &str, max_bytes: u64) -> Result<Self, OpenError> {
        let unknown = || OpenError::Url(url.to_owned());
        match url.split_once("://").ok_or_else(unknown)? {
            ("file", path) if path.starts_with('/') => Self::folder(Path::new(path), max_bytes),
            ("s3", place) if !place.is_empty() => {
                let (bucket, prefix) = place.split_once('/').unwrap_or((place, ""));
                Ok(Self::new(s3(bucket, prefix)?, None, max_bytes))
            }
            _ => Err(unknown()),
        }
    }

    /// The place in a folder, which is made where it is missing.
    ///
    /// # Errors
    /// [`OpenError::Folder`]
    pub fn folder(path: &Path, max_bytes: u64) -> Result<Self, OpenError> {
        let unusable = |source| OpenError::Folder {
            path: path.to_owned(),
            source,
        };
        // What is not public lies there in the clear.
        let mut folders = std::fs::DirBuilder::new();
        folders
            .recursive(true)
            .mode(0o700)
            .create(path.join(super::ON_THE_WAY))
            .map_err(unusable)?;
        let objects = LocalFileSystem::new_with_prefix(path)?.with_fsync(true);
        Ok(Self::new(Arc::new(objects), Some(path.to_owned()), max_bytes))
    }

    /// A place in memory, for tests.
    #[must_use]
    pub fn memory() -> Self {
        Self::new(Arc::new(InMemory::new()), None, MAX_BLOB)
    }
}

fn s3(bucket: &str, prefix: &str) -> Result<Arc<dyn ObjectStore>, OpenError> {
    choose_tls_provider();
    let environment = AmazonS3Builder::from_env();
    // Who names a plain endpoint means it.
    let endpoint = ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"];
    let is_plain = endpoint
        .iter()
        .any(|name| std::env::var(name).is_ok_and(|url| url.starts_with("http://")));
    bucket_at(environment, bucket, prefix, is_plain)
}

/// A bucket's part below a prefix, of which everything else is known.
pub(super) fn bucket_at(
    builder: AmazonS3Builder,
    bucket: &str,
    prefix: &str,
    is_plain: bool,
) -> Result<Arc<dyn ObjectStore>, OpenError> {
    let client = ClientOptions::new()
        .with_connect_timeout(CONNECT)
        .with_timeout(REQUEST)
        .with_allow_http(is_plain);
    let retry = RetryConfig {
        max_retries: RETRIES,
        retry_timeout: RETRY_FOR,
        ..RetryConfig::default()
    };
    let objects = builder
        .with_bucket_name(bucket)
        .with_client_options(client)
        .with_retry(retry)
        .build()?;
    Ok(match prefix.trim_matches('/') {
        "" => Arc::new(objects),
        prefix => Arc::new(PrefixStore::new(objects, prefix)),
    })
}
