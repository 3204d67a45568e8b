//! Where servers' programs lie.

use std::path::{Path, PathBuf};

/// A program in one of these folders, or on the path.
pub(crate) fn find(name: &str, folders: &[PathBuf]) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_path: Vec<_> = std::env::split_paths(&path).collect();
    let found = folders
        .iter()
        .chain(&on_path)
        .map(|folder| folder.join(name))
        .find(|program| program.is_file());
    found.unwrap_or_else(|| {
        panic!(
            "{name} is neither on the path nor in {folders:?}: install PostgreSQL and RabbitMQ \
             (Debian: apt-get install postgresql rabbitmq-server), or run e2e/test.sh, which does it where it may"
        )
    })
}

/// Debian's folders of PostgreSQL's programs, the newest version first.
pub(crate) fn postgres() -> Vec<PathBuf> {
    let mut versions: Vec<u32> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect();
    versions.sort_unstable();
    let folder = |version| Path::new("/usr/lib/postgresql").join(format!("{version}/bin"));
    versions.into_iter().rev().map(folder).collect()
}

/// Debian's folder of RabbitMQ's own scripts: those on the path insist on the user `rabbitmq`.
pub(crate) fn rabbitmq() -> Vec<PathBuf> {
    vec![PathBuf::from("/usr/lib/rabbitmq/bin")]
}
