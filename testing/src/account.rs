//! The user that a server runs as.

use std::{
    os::unix::{fs::chown, process::CommandExt as _},
    path::Path,
    process::Command,
};

/// Ourselves, or, where we are root, the user of the server's package: PostgreSQL refuses to run as root.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Account(Option<Ids>);

#[derive(Debug, Clone, Copy)]
struct Ids {
    user: u32,
    group: u32,
}

impl Account {
    /// The account for a server whose package makes this user. None: we are root, and there is no such user.
    pub(crate) fn of(user: &str) -> Option<Self> {
        if id(&["-u"]) != Some(0) {
            return Some(Self(None));
        }
        let user = Ids {
            user: id(&["-u", user])?,
            group: id(&["-g", user])?,
        };
        Some(Self(Some(user)))
    }

    /// Ourselves, whoever we are.
    pub(crate) fn ours() -> Self {
        Self(None)
    }

    /// A command that runs as this account.
    pub(crate) fn command(self, program: &Path) -> Command {
        let mut command = Command::new(program);
        if let Some(ids) = self.0 {
            command.uid(ids.user).gid(ids.group);
        }
        command
    }

    /// Gives a file or folder to this account.
    pub(crate) fn owns(self, path: &Path) {
        if let Some(ids) = self.0 {
            chown(path, Some(ids.user), Some(ids.group))
                .unwrap_or_else(|error| panic!("{} cannot be given away: {error}", path.display()));
        }
    }
}

fn id(args: &[&str]) -> Option<u32> {
    let output = Command::new("id").args(args).output().ok()?;
    String::from_utf8(output.stdout).ok()?.trim().parse().ok()
}
