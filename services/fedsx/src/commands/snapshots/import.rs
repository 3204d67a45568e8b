//! `fedsx snapshots import`

use std::{
    fs::File,
    io::{BufRead, BufReader, Read as _},
    path::PathBuf,
};

use anyhow::Context as _;
use clap::Args;
use fedsx_kernel::snapshot::{Kept, MAX_CHUNK, MAX_KEPT, MAX_MANIFEST, Manifest, Reader};
use fedsx_projection::snapshot::Vault;
use fedsx_runtime::code::{Code, Refusal};
use serde_json::json;

use super::{names, refusal, vault};
use crate::commands::connect::{Running, Target};

/// The file is read whole and checked before anything begins with it; that its rows are what the log folds to, `fedsx verify`
/// finds out afterwards. The snapshot must be of this domain, of a view that is defined here, and not beyond its log
#[derive(Debug, Args)]
pub(crate) struct Import {
    /// What `fedsx snapshots export` wrote
    file: PathBuf,
    #[command(flatten)]
    target: Target,
}

impl Import {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let shown = || self.file.display().to_string();
        let mut lines = BufReader::new(File::open(&self.file).with_context(shown)?);
        let manifest = Manifest::parse(&line(&mut lines, MAX_MANIFEST)?).with_context(shown)?;
        let mut domain = self.target.open().await?;
        let name = belongs(&mut domain, &manifest).await?;
        let vault = vault(&domain);
        let manifest = keep_chunks(&vault, manifest, &mut lines)
            .await
            .with_context(shown)?;
        vault
            .put(manifest.cid(), manifest.bytes().to_vec())
            .await
            .map_err(refusal)?;
        let kept = Kept::new(&manifest, jiff::Timestamp::now());
        vault
            .keep(&manifest.state.view, &kept, MAX_KEPT)
            .await
            .map_err(refusal)?;
        let value = json!({"view": name, "cid": kept.cid, "rows": kept.rows, "position": kept.position});
        domain.output.one(&value, || {
            format!("{name}: {} rows at {}, {}", kept.rows, kept.position, kept.cid)
        })
    }
}

/// The name of the view that the snapshot is of, where it is one of this domain's.
async fn belongs(domain: &mut Running, manifest: &Manifest) -> anyhow::Result<String> {
    let state = &manifest.state;
    let refuse = |code, detail: String| Err(Refusal::new(code, detail).into());
    if state.origin != domain.origin {
        let detail = format!(
            "the snapshot is of {}, the domain is {}",
            state.origin, domain.origin
        );
        return refuse(Code::Malformed, detail);
    }
    let farthest = state.shards.iter().map(|shard| shard.position).max();
    if farthest > Some(domain.head) {
        let detail = format!("the snapshot is beyond the log, which ends at {}", domain.head);
        return refuse(Code::Malformed, detail);
    }
    match names(domain).await?.remove(&state.view) {
        Some(name) => Ok(name),
        None => refuse(
            Code::NotFound,
            format!("no view with the id {} is defined here", state.view),
        ),
    }
}

/// Puts the chunks, and answers the manifest once all of them make the snapshot.
async fn keep_chunks(
    vault: &Vault,
    manifest: Manifest,
    lines: &mut impl BufRead,
) -> anyhow::Result<Manifest> {
    let mut reader = Reader::new(manifest);
    while let Some(cid) = reader.expected().cloned() {
        let chunk = line(lines, MAX_CHUNK)?;
        reader.chunk(&chunk)?;
        vault.put(&cid, chunk).await.map_err(refusal)?;
    }
    let manifest = reader.finish()?;
    anyhow::ensure!(
        lines.fill_buf()?.is_empty(),
        "there is more than the snapshot in it"
    );
    Ok(manifest)
}

/// The next line, which has at most so many bytes.
fn line(lines: &mut impl BufRead, most: usize) -> anyhow::Result<Vec<u8>> {
    let mut line = Vec::new();
    let limit = u64::try_from(most)?.saturating_add(1);
    lines.take(limit).read_until(b'\n', &mut line)?;
    anyhow::ensure!(
        line.pop() == Some(b'\n'),
        "a line is cut off, or has more than {most} bytes"
    );
    Ok(line)
}
