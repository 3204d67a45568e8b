//! How client commands find a running domain: `connect.json` in its data folder, readable by its owner alone.

use std::{io::Write as _, os::unix::fs::OpenOptionsExt as _, path::Path};

use anyhow::Context as _;
use fedsx_kernel::origin::Origin;

const FILE: &str = "connect.json";

/// Where a domain's internal services answer, and the operator's token.
#[derive(Clone, serde::Serialize, serde::Deserialize)]
pub(crate) struct Connection {
    pub(crate) origin: Origin,
    /// `http://127.0.0.1:9001`
    pub(crate) grpc: String,
    /// Health and metrics, `http://127.0.0.1:9002`
    pub(crate) admin: String,
    pub(crate) token: String,
    /// Jaeger's query service, where the domain was told of one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) jaeger: Option<String>,
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection")
            .field("origin", &self.origin)
            .field("grpc", &self.grpc)
            .field("admin", &self.admin)
            .finish_non_exhaustive()
    }
}

impl Connection {
    /// Reads the connection that a running domain left in its data folder; none where no domain runs there.
    pub(crate) fn read(data: &Path) -> anyhow::Result<Option<Self>> {
        let path = data.join(FILE);
        let text = match std::fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).with_context(|| format!("{} cannot be read", path.display())),
        };
        serde_json::from_slice(&text)
            .map(Some)
            .with_context(|| path.display().to_string())
    }
}

pub(super) fn write(data: &Path, connection: &Connection) -> anyhow::Result<()> {
    write_secret(&data.join(FILE), &serde_json::to_vec_pretty(connection)?)
}

pub(super) fn remove(data: &Path) {
    let _ = std::fs::remove_file(data.join(FILE));
}

/// Writes a file that only its owner reads, whole or not at all.
pub(super) fn write_secret(path: &Path, content: &[u8]) -> anyhow::Result<()> {
    let beside = path.with_extension("new");
    let write = || -> std::io::Result<()> {
        let mut file = std::fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&beside)?;
        file.write_all(content)?;
        file.sync_all()?;
        std::fs::rename(&beside, path)
    };
    write().with_context(|| format!("{} cannot be written", path.display()))
}
