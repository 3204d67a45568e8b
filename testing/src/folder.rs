//! A server's folder.

use tempfile::TempDir;

use crate::account::Account;

/// An empty temporary folder that belongs to an account.
pub(crate) fn new(prefix: &str, account: Account) -> TempDir {
    let folder = tempfile::Builder::new()
        .prefix(prefix)
        .tempdir()
        .expect("a temporary folder");
    account.owns(folder.path());
    folder
}
