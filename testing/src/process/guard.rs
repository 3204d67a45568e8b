//! Whoever kills a test does not mean to leave its servers running.

use std::{
    os::unix::process::CommandExt as _,
    path::Path,
    process::{Child, Command, Stdio},
};

/// Reads until we have closed the pipe, which the kernel does for us at the latest; then kills the group.
const SCRIPT: &str = r#"cat > /dev/null; kill -s KILL -- "-$1"; rm -rf -- "$2""#;

/// A shell that outlives us by the moment it takes to kill a process group and to remove a folder. It is ended itself when
/// this is dropped: by then the group is gone, and its number may be another's.
#[derive(Debug)]
pub(super) struct Guard(Child);

impl Guard {
    pub(super) fn of(group: u32, folder: &Path) -> Self {
        let shell = Command::new("sh")
            .args(["-c", SCRIPT, "guard", &group.to_string()])
            .arg(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn();
        Self(shell.unwrap_or_else(|error| panic!("sh: {error}")))
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        // Its `cat` ends with the pipe, which must not be read as our death: so the shell goes first.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
