//! `fedsx blobs get`

use std::{
    fs::Permissions,
    io::{self, Write},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use clap::Args;
use fedsx_kernel::blob::{BlobCid, Hasher};
use fedsx_proto::v1::GetBlobRequest;
use fedsx_runtime::code::Refusal;
use serde_json::json;

use crate::commands::connect::{Running, Target};

/// Whether or not an object names it.
#[derive(Debug, Args)]
pub(crate) struct Get {
    /// The blob's CID, bafkrei…
    cid: BlobCid,
    /// Where to write it; none: standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    target: Target,
}

impl Get {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let mut domain = self.target.open().await?;
        let Some(path) = &self.output else {
            return match fetch(&mut domain, &self.cid, &mut io::stdout().lock()).await {
                // Its reader has gone away (`| head`).
                Err(error) if is_broken_pipe(&error) => Ok(()),
                fetched => fetched.map(drop),
            };
        };
        // The file is there whole or not at all.
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let shown = || path.display().to_string();
        let mut file = tempfile::Builder::new()
            .permissions(Permissions::from_mode(0o666))
            .tempfile_in(folder.unwrap_or(Path::new(".")))
            .with_context(shown)?;
        let size = fetch(&mut domain, &self.cid, &mut file).await?;
        file.persist(path).with_context(shown)?;
        let value = json!({ "cid": self.cid, "size": size, "file": path });
        domain
            .output
            .one(&value, || format!("{}: {size} bytes", path.display()))
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let cause = error.downcast_ref::<io::Error>();
    cause.is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

/// Writes a blob, and tells how many bytes it has.
async fn fetch(domain: &mut Running, cid: &BlobCid, to: &mut impl Write) -> anyhow::Result<u64> {
    let request = GetBlobRequest {
        cid: cid.to_string(),
        ..GetBlobRequest::default()
    };
    let messages = domain
        .clients
        .log
        .get_blob(request)
        .await
        .map_err(Refusal::from)?;
    let (mut messages, mut hasher, mut size) = (messages.into_inner(), Hasher::default(), 0);
    while let Some(message) = messages.message().await.map_err(Refusal::from)? {
        hasher.update(&message.data);
        to.write_all(&message.data)?;
        size += u64::try_from(message.data.len())?;
    }
    to.flush()?;
    anyhow::ensure!(hasher.finish() == *cid, "what has come does not hash to {cid}");
    Ok(size)
}
