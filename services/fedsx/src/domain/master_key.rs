//! The key that seals a domain's private keys, configured or kept in the data folder.

use std::path::Path;

use anyhow::Context as _;
use fedsx_runtime::keyring::MasterKey;

use super::{Settings, connect};

/// The configured master key, or the one kept in the data folder.
pub(super) fn master_key(settings: &Settings) -> anyhow::Result<MasterKey> {
    match &settings.master_key {
        Some(text) => MasterKey::parse(text).context("`master_key`"),
        None => kept(&settings.data.join("master.key")),
    }
}

fn kept(path: &Path) -> anyhow::Result<MasterKey> {
    if !path.exists() {
        // A new key would open nothing that the old one sealed.
        let log = path.with_file_name("log.db");
        anyhow::ensure!(
            !log.exists(),
            "{} is missing, and {} has keys that it sealed: restore it",
            path.display(),
            log.display()
        );
        connect::write_secret(path, MasterKey::generate().as_bytes())?;
    }
    let text = std::fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))?;
    MasterKey::parse(&text).with_context(|| path.display().to_string())
}
