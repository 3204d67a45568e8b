//! Signals to a process and everything that it has started.
//!
//! PostgreSQL's backends lead groups of their own, so the tree is found by parents, in /proc. Where there is no /proc, only
//! the process's own group is reached; PostgreSQL's backends end by themselves without their parent.

use std::{
    collections::HashMap,
    fs,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

/// SIGKILL cannot be refused; a process that is still there after this time hangs in the kernel.
const PATIENCE: Duration = Duration::from_secs(10);

/// Sends a signal to processes; a group is its leader's number with a minus sign. What is gone already is passed over.
pub(super) fn signal(signal: &str, targets: &[String]) {
    let sent = Command::new("sh")
        .args(["-c", r#"kill -s "$0" -- "$@""#, signal])
        .args(targets)
        .stderr(Stdio::null())
        .status();
    sent.unwrap_or_else(|error| panic!("sh: {error}"));
}

/// Stops a tree, its root first: what the root starts meanwhile is found at the second look.
pub(super) fn freeze(root: u32) {
    signal("STOP", &group(root));
    for _ in 0..2 {
        signal("STOP", &descendants(root));
    }
}

/// Lets a tree go on, its root last.
pub(super) fn thaw(root: u32) {
    signal("CONT", &descendants(root));
    signal("CONT", &group(root));
}

/// Kills a tree, and waits until nothing of it is left but the root, for which its parent must wait.
pub(super) fn kill(root: u32) {
    // A frozen tree starts nothing that would be missed.
    freeze(root);
    let below = descendants(root);
    signal("KILL", &[group(root), below.clone()].concat());
    let end = Instant::now() + PATIENCE;
    while below.iter().any(|process| runs(process)) && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn group(leader: u32) -> Vec<String> {
    vec![format!("-{leader}")]
}

fn runs(process: &str) -> bool {
    stat(process).is_some_and(|stat| stat.state != "Z")
}

fn descendants(root: u32) -> Vec<String> {
    let mut children: HashMap<String, Vec<String>> = HashMap::new();
    for process in processes() {
        if let Some(stat) = stat(&process) {
            children.entry(stat.parent).or_default().push(process);
        }
    }
    let mut found = children.remove(&root.to_string()).unwrap_or_default();
    let mut seen = 0;
    while let Some(process) = found.get(seen) {
        let below = children.remove(process).unwrap_or_default();
        found.extend(below);
        seen += 1;
    }
    found
}

fn processes() -> impl Iterator<Item = String> {
    let entries = fs::read_dir("/proc").into_iter().flatten();
    entries.filter_map(|entry| {
        let name = entry.ok()?.file_name().into_string().ok()?;
        name.bytes().all(|byte| byte.is_ascii_digit()).then_some(name)
    })
}

struct Stat {
    state: String,
    parent: String,
}

/// `<pid> (<name>) <state> <parent> …`; the name may hold anything, parentheses too.
fn stat(process: &str) -> Option<Stat> {
    let line = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    let mut fields = line.rsplit_once(')')?.1.split_whitespace();
    Some(Stat {
        state: fields.next()?.to_owned(),
        parent: fields.next()?.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_is_found_whatever_groups_it_has_made() {
        // Each `setsid` leads a session of its own.
        let mut root = Command::new("sh")
            .args(["-c", "setsid sh -c 'setsid sleep 600 & wait' & wait"])
            .spawn()
            .unwrap();
        let end = Instant::now() + PATIENCE;
        let below = loop {
            let below = descendants(root.id());
            if below.len() >= 2 || Instant::now() > end {
                break below;
            }
            std::thread::yield_now();
        };
        assert_eq!(below.len(), 2, "a shell and a sleep");
        kill(root.id());
        signal("KILL", &[root.id().to_string()]);
        root.wait().unwrap();
        assert!(!below.iter().any(|process| runs(process)));
    }
}
