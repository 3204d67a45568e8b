//! What a domain means is data: published once, changed while it runs, checked before.

use std::path::Path;

use fedsx_e2e::{Node, Output, Plan, Role, Stranger, fedsx, workspace};
use serde_json::{Value, json};
use tempfile::TempDir;

fn runtime_verbs() -> String {
    workspace()
        .join("genesis/core/runtime-verbs")
        .display()
        .to_string()
}

/// A folder with these files.
pub(crate) fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    write(folder.path(), files);
    folder
}

fn write(folder: &Path, files: &[(&str, &str)]) {
    for (path, text) in files {
        let path = folder.join(path);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        std::fs::write(path, text).expect("a file");
    }
}

pub(crate) fn path(folder: &TempDir) -> String {
    folder.path().display().to_string()
}

/// Publishes `Endorse` of an object as a local actor.
async fn endorse(node: &Node, actor: &str, object: &str) -> Output {
    let draft =
        json!({ "type": "Endorse", "object": object, "to": [format!("{}/followers", node.actor(actor))] });
    let folder = folder(&[("draft.json", &draft.to_string())]);
    let file = folder.path().join("draft.json").display().to_string();
    node.run(&["publish", "--actor", actor, "--file", &file]).await
}

/// State, kind and name of what `genesis diff` or `apply` printed.
fn rows(told: &Value) -> Vec<String> {
    let rows = told.as_array().expect("a list").iter();
    let text = |row: &Value, key: &str| row[key].as_str().unwrap_or_default().to_owned();
    let mut rows: Vec<_> = rows
        .map(|row| {
            format!(
                "{} {} {}",
                text(row, "state"),
                text(row, "kind"),
                text(row, "name")
            )
        })
        .collect();
    rows.sort_unstable();
    rows
}

#[tokio::test]
async fn an_endorse_is_refused_until_its_verb_is_published() {
    let (blog, stranger) = tokio::join!(Node::blog(), Stranger::new());
    let author = blog.actor("author");
    let theirs = stranger.seal(
        "mallory",
        &json!({ "type": "Endorse", "object": author, "to": [author] }),
    );
    stranger
        .post(&blog, &theirs)
        .await
        .assert_refused(422, "type_unknown");
    let refused = endorse(&blog, "author", &stranger.actor("mallory"))
        .await
        .assert_code(3);
    refused.assert_says("no verb `Endorse` is declared here");

    let verbs = runtime_verbs();
    let head = blog.head().await;
    let new = ["new type Note", "new verb Announce", "new verb Endorse"];
    assert_eq!(rows(&blog.json(&["genesis", "diff", &verbs]).await), new);
    assert_eq!(
        rows(&blog.json(&["genesis", "apply", &verbs, "--dry-run"]).await),
        new
    );
    assert_eq!(blog.head().await, head);
    // Two operators at the same time: each definition is published once.
    let apply = ["genesis", "apply", verbs.as_str()];
    let (one, other) = tokio::join!(blog.json(&apply), blog.json(&apply));
    let published = [rows(&one), rows(&other)].concat();
    let published: Vec<_> = published
        .iter()
        .filter(|row| row.starts_with("published"))
        .collect();
    assert_eq!(published.len(), 3, "{one} {other}");
    assert_eq!(blog.head().await, head + 3);
    assert_eq!(blog.json(&["genesis", "diff", &verbs]).await, json!([]));

    stranger.post(&blog, &theirs).await.assert_status(202);
    endorse(&blog, "author", &stranger.actor("mallory"))
        .await
        .assert_code(0);
    let oneself = endorse(&blog, "author", &author).await.assert_code(3);
    oneself.assert_says("the refinement of `Endorse` is not true of it");
}

#[tokio::test]
async fn a_restart_seeds_nothing_again_whatever_an_operator_has_defined_since() {
    let mut blog = Node::blog().await;
    let head = blog.head().await;
    blog.restart().await;
    assert_eq!(blog.head().await, head);
    assert_eq!(blog.json(&["genesis", "diff", "blog"]).await, json!([]));

    // Another meaning, and back, as often as an operator says so.
    let other = folder(&[("verbs/allocate.yaml", "name: Allocate\n")]);
    for _ in 0..2 {
        let head = blog.head().await;
        let applied = blog.json(&["genesis", "apply", &path(&other)]).await;
        assert_eq!(rows(&applied), ["published verb Allocate"]);
        blog.restart().await;
        assert_eq!(blog.head().await, head + 1, "a start takes nothing back");
        let changed = blog.json(&["genesis", "diff", "blog"]).await;
        assert_eq!(rows(&changed), ["changed verb Allocate"]);
        let applied = blog.json(&["genesis", "apply", "blog"]).await;
        assert_eq!(rows(&applied), ["published verb Allocate"]);
        assert_eq!(blog.json(&["genesis", "diff", "blog"]).await, json!([]));
        assert_eq!(blog.head().await, head + 2);
    }
}

#[tokio::test]
async fn a_newer_version_of_a_bundle_publishes_what_changed() {
    let manifest = "name: site\ntitle: A site\nsummary: For tests.\nincludes: [core]\nactors:\n  \
                    - {name: ann, type: Person, grants: [define]}\n";
    let bundle = folder(&[
        ("bundle.yaml", manifest),
        ("types/post.yaml", "name: Post\nsubtypeOf: [Item]\n"),
        ("types/item.yaml", "name: Item\n"),
    ]);
    let mut site = Node::stopped(path(&bundle).leak()).started().await;
    let head = site.head().await;
    let newer = [
        (
            "types/post.yaml",
            "name: Post\nsubtypeOf: [Item]\nfields:\n  - name: name\n    required: true\n",
        ),
        ("verbs/praise.yaml", "name: Praise\n"),
    ];
    write(bundle.path(), &newer);
    site.restart().await;
    // The type, its link, and the verb.
    assert_eq!(site.head().await, head + 3);
    site.run(&["publish", "--actor", "ann", "--type", "Post", "--content", "x"])
        .await
        .assert_code(3)
        .assert_says("the field `name` of `Post` is missing");
    let beyond = site.json(&["genesis", "diff", &path(&bundle)]).await;
    assert_eq!(
        rows(&beyond).len(),
        1,
        "the link of the older type stays: {beyond}"
    );

    // Who has the grant defines; who has not does not.
    let draft = json!({ "type": "DefineActivity", "object": { "name": "Wave" }, "to": [] });
    let file = folder(&[("draft.json", &draft.to_string())]);
    let file = file.path().join("draft.json").display().to_string();
    site.run(&["actor", "create", "bob"]).await.assert_code(0);
    site.run(&["publish", "--actor", "ann", "--file", &file])
        .await
        .assert_code(0);
    site.run(&["publish", "--actor", "bob", "--file", &file])
        .await
        .assert_code(3)
        .assert_says("lacks the grant `define`");

    // What is broken stops the start, by file, line and key.
    write(
        bundle.path(),
        &[("verbs/praise.yaml", "name: Praise\nfeilds: []\n")],
    );
    assert!(site.terminate().await.success());
    let all = [
        "all",
        "--origin",
        site.origin().as_str(),
        "--bundle",
        &path(&bundle),
        "--data",
    ];
    let data = site.data().display().to_string();
    fedsx(&[&all[..], &[&data]].concat())
        .await
        .assert_code(1)
        .assert_says("verbs/praise.yaml:2: `feilds` is none of name,");
}

#[tokio::test]
async fn a_broken_bundle_is_told_whole_and_a_stale_lock_by_its_records() {
    let broken = folder(&[
        (
            "types/post.yaml",
            "name: Post\nfields:\n  - name: stars\n    type: integer\n    maxLength: 5\n",
        ),
        (
            "verbs/praise.yaml",
            "name: Praise\nrefinementSchema: activity.object ==\n",
        ),
    ]);
    let check = ["genesis", "check", &path(&broken)];
    let told = fedsx(&check).await.assert_code(1);
    told.assert_says("types/post.yaml:5: `fields[0].maxLength` needs `type: string` or `array`");
    told.assert_says("verbs/praise.yaml:2: `refinementSchema` column");

    write(
        broken.path(),
        &[
            ("types/post.yaml", "name: Post\n"),
            ("verbs/praise.yaml", "name: Praise\n"),
        ],
    );
    fedsx(&check)
        .await
        .assert_code(1)
        .assert_says("type Post is not in it");
    fedsx(&["genesis", "lock", &path(&broken)]).await.assert_code(0);
    fedsx(&check).await.assert_code(0);
    write(broken.path(), &[("types/post.yaml", "name: Post\nfields: []\n")]);
    fedsx(&check)
        .await
        .assert_code(1)
        .assert_says("genesis.lock is stale");
    fedsx(&["genesis", "lock", "blog"])
        .await
        .assert_code(1)
        .assert_says("is built in");
    // Beside the tests there is no such folder.
    fedsx(&["genesis", "check"])
        .await
        .assert_code(1)
        .assert_says("/genesis: name the bundle's folder, or change to the folder around it");
}

#[tokio::test]
async fn what_a_folder_names_is_declared_by_it_or_by_the_domain_that_it_is_applied_to() {
    let manifest = "name: site\ntitle: A site\nsummary: For tests.\nincludes: [core]\n";
    let tells = "name: tells\non: {verbs: [Endorse]}\nsteps:\n  \
                 - {id: tell, effect: notify, with: {to: author, text: a}}\n";
    let bundle = folder(&[("bundle.yaml", manifest), ("behaviours/tells.yaml", tells)]);
    let told = fedsx(&["genesis", "check", &path(&bundle)]).await.assert_code(1);
    told.assert_says(
        "behaviours/tells.yaml:2: `on.verbs[0]` is \"Endorse\", and no verb of that name is declared",
    );

    let blog = Node::blog().await;
    let alone = folder(&[("behaviours/tells.yaml", tells)]);
    let apply = ["genesis", "apply", &path(&alone)];
    let refused = blog.run(&apply).await.assert_code(1);
    refused.assert_says("`on.verbs[0]` is \"Endorse\"");
    blog.json(&["genesis", "apply", &runtime_verbs()]).await;
    let applied = blog.json(&apply).await;
    assert_eq!(rows(&applied), ["published behaviour tells"]);
}

#[tokio::test]
async fn replicas_that_start_together_seed_once() {
    let blog = Plan::of("blog").replicas(Role::Log, 3).started().await;
    let mut defined: Vec<_> = blog
        .log()
        .await
        .iter()
        .filter(|entry| entry.verb().starts_with("Define"))
        .map(|entry| format!("{} {}", entry.verb(), entry.name()))
        .collect();
    defined.sort_unstable();
    let total = defined.len();
    defined.dedup();
    assert!(total >= 13 && defined.len() == total, "{total}: {defined:?}");
    assert_eq!(blog.json(&["genesis", "diff", "blog"]).await, json!([]));
    let log = blog.log().await;
    let welcome = log.iter().filter(|entry| entry.name() == "Welcome");
    assert_eq!(welcome.count(), 1);
}
