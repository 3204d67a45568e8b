//! Client commands, as people and scripts run them.

use std::{ffi::OsStr, io::Write as _, path::Path, process::Command};

use serde_json::Value;

use super::Domain;
use crate::binary;

/// What a command left behind.
#[derive(Debug, Clone)]
pub struct Output {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Output {
    /// Panics unless the command ended with this code.
    #[track_caller]
    pub fn assert_code(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{self}");
        self
    }

    /// Panics unless standard error holds this text.
    #[track_caller]
    pub fn assert_says(&self, text: &str) -> &Self {
        assert!(self.stderr.contains(text), "{text:?} is not in: {self}");
        self
    }

    /// Standard output as one JSON document.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self}"))
    }
}

impl std::fmt::Display for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "exit code {}\n{}{}", self.code, self.stdout, self.stderr)
    }
}

/// What was published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    pub id: String,
    pub cid: String,
    pub position: u64,
    pub duplicate: bool,
}

impl Published {
    fn told(told: &Value) -> Self {
        let text = |key: &str| told[key].as_str().unwrap_or_default().to_owned();
        Self {
            id: text("id"),
            cid: text("cid"),
            position: told["position"].as_u64().unwrap_or_default(),
            duplicate: told["duplicate"] == true,
        }
    }
}

impl Domain {
    /// A client command on this domain, with `--json`.
    pub fn client<S: AsRef<OsStr>>(&self, args: &[S]) -> Command {
        let mut command = clean(binary());
        command.args(args).arg("--json");
        self.access.tell(&mut command);
        command
    }

    /// Runs a client command on this domain.
    pub async fn run<S: AsRef<OsStr>>(&self, args: &[S]) -> Output {
        output(self.client(args)).await
    }

    /// Runs a client command that must succeed, and reads its JSON.
    pub async fn json<S: AsRef<OsStr>>(&self, args: &[S]) -> Value {
        self.run(args).await.assert_code(0).json()
    }

    /// Publishes a Note with this name, to the public and the actor's followers.
    pub async fn publish(&self, actor: &str, name: &str) -> Published {
        self.publish_with(&["--actor", actor, "--name", name]).await
    }

    /// `fedsx publish` with these flags.
    pub async fn publish_with(&self, flags: &[&str]) -> Published {
        Published::told(&self.json(&[&["publish"], flags].concat()).await)
    }

    /// Publishes an Article, whose object gets this id, to the public and the actor's followers.
    pub async fn publish_article(&self, actor: &str, name: &str, object: &str) -> Published {
        let article = ["--actor", actor, "--type", "Article", "--name", name];
        self.publish_with(&[&article[..], &["--object", object]].concat())
            .await
    }

    /// `fedsx allocate` of an object to an actor.
    pub async fn allocate(&self, actor: &str, object: &str, target: &str) -> Published {
        Published::told(&self.json(&["allocate", object, target, "--actor", actor]).await)
    }

    /// `fedsx publish --file` of a draft; no actor: the domain's own.
    pub async fn publish_draft(&self, actor: Option<&str>, draft: &Value) -> Output {
        let mut file = tempfile::NamedTempFile::new().expect("a file");
        file.write_all(draft.to_string().as_bytes()).expect("a draft");
        let path = file.path().to_str().expect("a path in UTF-8");
        let actor: Vec<_> = actor.iter().flat_map(|actor| ["--actor", *actor]).collect();
        self.run(&[&["publish", "--file", path], &actor[..]].concat())
            .await
    }

    /// `fedsx follow`, by a local actor, until it is answered.
    pub async fn follow(&self, actor: &str, target: &str) {
        let told = self
            .json(&["follow", target, "--actor", actor, "--wait", "30"])
            .await;
        assert_eq!(told["state"], "accepted", "{told}");
    }

    /// The rows of `fedsx followers list` for a local actor: follower and state.
    pub async fn followers(&self, actor: &str) -> Vec<(String, String)> {
        let told = self.json(&["followers", "list", "--actor", actor]).await;
        let row = |row: &Value| {
            let text = |key: &str| row[key].as_str().unwrap_or_default().to_owned();
            (text("follower"), text("state"))
        };
        told.as_array().expect("a list").iter().map(row).collect()
    }
}

/// Runs the program, on no domain in particular.
pub async fn fedsx<S: AsRef<OsStr>>(args: &[S]) -> Output {
    let mut command = clean(binary());
    command.args(args);
    output(command).await
}

/// A command without the caller's `FEDSX_` variables, which would change what is tested.
pub(crate) fn clean(program: &Path) -> Command {
    let mut command = Command::new(program);
    for (key, _) in std::env::vars_os().filter(|(key, _)| key.to_string_lossy().starts_with("FEDSX_")) {
        command.env_remove(key);
    }
    command
}

async fn output(mut command: Command) -> Output {
    let shown = format!("{command:?}");
    let ran = tokio::task::spawn_blocking(move || command.output())
        .await
        .expect("a task");
    let output = ran.unwrap_or_else(|error| panic!("{shown}: {error}"));
    Output {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}
