//! `fedsx blobs put`

use std::path::PathBuf;

use clap::Args;
use fedsx_kernel::blob::MediaType;

use super::upload::{Attach, upload};
use crate::commands::connect::Target;

/// Nobody is shown them before a public object names them: `fedsx publish --attach` does both.
#[derive(Debug, Args)]
pub(crate) struct Put {
    /// Files to put
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// What they are, image/jpeg; none: what their names end in says it
    #[arg(long, value_name = "TYPE")]
    media_type: Option<MediaType>,
    /// What is told to who cannot see or hear it; of one file
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    name: String,
    #[command(flatten)]
    target: Target,
}

impl Put {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        anyhow::ensure!(
            self.name.is_empty() || self.files.len() == 1,
            "--name tells of one file, not of {}",
            self.files.len()
        );
        // All of them are looked at before the first is sent.
        let files = self
            .files
            .into_iter()
            .map(|path| Attach::new(path, self.media_type.clone()))
            .collect::<anyhow::Result<Vec<_>>>()?;
        let mut domain = self.target.open().await?;
        let mut attachments = Vec::new();
        for file in &files {
            attachments.push(upload(&mut domain, file, &self.name).await?);
        }
        let readable = serde_json::to_string_pretty(&attachments)?;
        domain.output.one(&attachments, || readable)
    }
}
