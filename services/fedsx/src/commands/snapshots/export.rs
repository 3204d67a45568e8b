//! `fedsx snapshots export`

use std::{
    fs::Permissions,
    io::BufWriter,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use clap::Args;
use fedsx_kernel::snapshot::{MAX_CHUNK, Manifest, Reader};
use fedsx_projection::snapshot::Vault;
use serde_json::json;

use super::{find, names, refusal, vault};
use crate::commands::connect::Target;

/// A file that `fedsx snapshots import` reads: one JSON document a line, the snapshot's manifest first and then its chunks,
/// rows of the view as `[key, position, value]`
#[derive(Debug, Args)]
pub(crate) struct Export {
    /// The snapshot's CID, or a view's name for the farthest of it
    #[arg(value_name = "CID|VIEW")]
    which: String,
    /// Where to write it
    file: PathBuf,
    #[command(flatten)]
    target: Target,
}

impl Export {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let mut domain = self.target.open().await?;
        let names = names(&mut domain).await?;
        let named = names.iter().find(|(_, name)| **name == self.which);
        let wanted = named.map_or(&self.which, |(id, _)| id);
        let vault = vault(&domain);
        let (_, kept) = find(&vault, wanted).await?;
        let manifest = vault.manifest(&kept.cid).await.map_err(refusal)?;
        let shown = || self.file.display().to_string();
        // The file is there whole or not at all.
        let folder = self.file.parent().filter(|folder| !folder.as_os_str().is_empty());
        let file = tempfile::Builder::new()
            .permissions(Permissions::from_mode(0o600))
            .tempfile_in(folder.unwrap_or(Path::new(".")))
            .with_context(shown)?;
        let mut writer = BufWriter::new(file);
        write(&vault, manifest, &mut writer).await?;
        let file = writer.into_inner().map_err(|error| error.into_error());
        file.with_context(shown)?
            .persist(&self.file)
            .with_context(shown)?;
        let value = json!({"cid": kept.cid, "rows": kept.rows, "position": kept.position, "file": self.file});
        domain.output.one(&value, || {
            format!(
                "{}: {} rows at {}, {}",
                shown(),
                kept.rows,
                kept.position,
                kept.cid
            )
        })
    }
}

async fn write(vault: &Vault, manifest: Manifest, writer: &mut impl std::io::Write) -> anyhow::Result<()> {
    writer.write_all(manifest.bytes())?;
    writer.write_all(b"\n")?;
    let mut reader = Reader::new(manifest);
    while let Some(cid) = reader.expected().cloned() {
        let chunk = vault.get(&cid, MAX_CHUNK).await.map_err(refusal)?;
        reader.chunk(&chunk)?;
        writer.write_all(&chunk)?;
        writer.write_all(b"\n")?;
    }
    reader.finish()?;
    writer.flush()?;
    Ok(())
}
