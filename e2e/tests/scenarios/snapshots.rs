//! Views are what their log folds to, whether they begin with it or with a snapshot.

use std::{collections::HashSet, fs, path::Path, time::Duration};

use fedsx_e2e::{Node, eventually, settle};
use fedsx_kernel::snapshot::{Manifest, Reader, Writer};
use serde_json::Value;

/// The projection's database is gone, as with its disk.
fn lose_database(node: &Node) {
    for suffix in ["", "-wal", "-shm"] {
        let _ = fs::remove_file(node.data().join(format!("projection.db{suffix}")));
    }
}

async fn publish(node: &Node, names: std::ops::Range<u32>) {
    for number in names {
        let object = format!("post-{number}");
        let flags = [
            "--actor",
            "author",
            "--name",
            "post",
            "--content",
            "text",
            "--object",
            &object,
        ];
        node.publish_with(&flags).await;
    }
}

/// Entries that this process has folded into a view.
async fn applied(node: &Node, view: &str) -> u64 {
    let metrics = node.admin("/metrics").await;
    let metrics = String::from_utf8(metrics.body.to_vec()).unwrap();
    let line = format!("fedsx_projection_entries_applied_total{{view=\"{view}\"}} ");
    let found = metrics.lines().find_map(|text| text.strip_prefix(&line));
    found.map_or(0, |count| count.parse().unwrap())
}

/// All views are what the log folds to; their names.
async fn assert_verified(node: &Node) -> Vec<String> {
    settle(&[node]).await;
    let verdicts = node.json(&["verify"]).await;
    let verdicts = verdicts.as_array().unwrap();
    assert!(verdicts.len() > 5, "{verdicts:?}");
    assert!(
        verdicts.iter().all(|verdict| verdict["verified"] == true),
        "{verdicts:?}"
    );
    let kept = |verdict: &Value| verdict["kept"].as_str().unwrap().to_owned();
    verdicts.iter().map(kept).collect()
}

async fn listed(node: &Node) -> Vec<Value> {
    node.json(&["snapshots", "list"])
        .await
        .as_array()
        .unwrap()
        .clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_was_lost_begins_with_a_snapshot() {
    let mut blog = Node::blog().await;
    publish(&blog, 0..20).await;
    assert_verified(&blog).await;
    let taken = blog.json(&["snapshots", "take"]).await;
    assert_eq!(taken.as_array().unwrap().len(), listed(&blog).await.len());
    publish(&blog, 20..23).await;
    let names = assert_verified(&blog).await;

    assert!(blog.terminate().await.success());
    lose_database(&blog);
    blog.start().await;
    assert_eq!(assert_verified(&blog).await, names);
    assert_eq!(applied(&blog, "objects").await, 3, "what came after the snapshot");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_snapshot_goes_out_to_a_file_and_comes_back_from_it() {
    let mut blog = Node::blog().await;
    publish(&blog, 0..10).await;
    settle(&[&*blog]).await;
    blog.json(&["snapshots", "take", "objects"]).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("objects.snapshot");
    let path = file.to_str().unwrap();
    let exported = blog.json(&["snapshots", "export", "objects", path]).await;
    let cid = exported["cid"].as_str().unwrap();
    blog.json(&["snapshots", "drop", cid]).await;
    assert_eq!(listed(&blog).await, [Value::Null; 0]);
    blog.run(&["snapshots", "drop", cid])
        .await
        .assert_code(3)
        .assert_says("no snapshot");
    let imported = blog.json(&["snapshots", "import", path]).await;
    assert_eq!(
        (&imported["cid"], &imported["view"]),
        (&exported["cid"], &"objects".into())
    );

    assert!(blog.terminate().await.success());
    lose_database(&blog);
    blog.start().await;
    assert_verified(&blog).await;
    assert_eq!(applied(&blog, "objects").await, 0);

    let other = Node::blog().await;
    other
        .run(&["snapshots", "import", path])
        .await
        .assert_code(3)
        .assert_says("the domain is");
    let cut = folder.path().join("cut");
    fs::write(&cut, &fs::read(&file).unwrap()[..500]).unwrap();
    blog.run(&["snapshots", "import", cut.to_str().unwrap()])
        .await
        .assert_code(1);
    blog.run(&["snapshots", "export", "nothing", path])
        .await
        .assert_code(3);
}

/// The same snapshot with another value in its first row, as somebody would make it who wants it to be believed.
fn forge(file: &Path) {
    let text = fs::read(file).unwrap();
    let mut lines = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let manifest = Manifest::parse(lines.next().unwrap()).unwrap();
    let state = manifest.state.clone();
    let (mut reader, mut writer) = (Reader::new(manifest), Writer::default());
    let mut chunks = Vec::new();
    for line in lines {
        for mut row in reader.chunk(line).unwrap() {
            if chunks.is_empty() {
                row.value = br#"{"forged":true}"#.to_vec();
            }
            chunks.extend(writer.push(row).unwrap());
        }
    }
    let (last, manifest) = writer.finish(state).unwrap();
    chunks.extend(last);
    let mut forged = manifest.bytes().to_vec();
    forged.push(b'\n');
    for chunk in chunks {
        forged.extend([chunk.bytes, b"\n".to_vec()].concat());
    }
    fs::write(file, forged).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_view_that_begins_with_a_lie_is_found_out() {
    let mut blog = Node::blog().await;
    publish(&blog, 0..5).await;
    blog.json(&["snapshots", "take", "actors"]).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("actors.snapshot");
    let path = file.to_str().unwrap();
    let cid = blog.json(&["snapshots", "export", "actors", path]).await["cid"].clone();
    blog.json(&["snapshots", "drop", cid.as_str().unwrap()]).await;
    forge(&file);
    blog.json(&["snapshots", "import", path]).await;
    assert!(blog.terminate().await.success());
    lose_database(&blog);
    blog.start().await;
    let told = blog.run(&["verify"]).await.assert_code(1);
    told.assert_says("1 of");
    let verdicts = told.json();
    let wrong: Vec<&Value> = verdicts
        .as_array()
        .unwrap()
        .iter()
        .filter(|verdict| verdict["verified"] == false)
        .collect();
    assert_eq!((wrong.len(), &wrong[0]["view"]), (1, &"actors".into()));
    assert!(wrong[0]["rowsDiffer"].as_u64() > Some(0), "{wrong:?}");
    blog.run(&["verify", "objects"]).await.assert_code(0);
    blog.run(&["verify", "object"])
        .await
        .assert_code(3)
        .assert_says("there is no view");
}

/// Positions between two snapshots of a view.
const EVERY: u64 = 20;

/// What is kept once every view's last snapshot is near the head: none is due, and so none is dropped for it any more.
async fn listed_at_rest(node: &Node) -> Vec<Value> {
    let views = node.json(&["verify"]).await.as_array().unwrap().len();
    let head = settle(&[node]).await[0];
    eventually("snapshots of all views", Duration::from_secs(60), async || {
        let kept = listed(node).await;
        let near = |kept: &&Value| kept["position"].as_u64().unwrap() + EVERY > head;
        let near: HashSet<&str> = kept
            .iter()
            .filter(near)
            .map(|kept| kept["view"].as_str().unwrap())
            .collect();
        (near.len() == views)
            .then(|| kept.clone())
            .ok_or(format!("{} of {views}", near.len()))
    })
    .await
}

/// Whenever it is killed: while it takes snapshots, and while it begins with one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_while_it_takes_and_restores_it_comes_to_the_same() {
    let mut blog = Node::stopped("blog")
        .with(&["--snapshot-every", &EVERY.to_string()])
        .started()
        .await;
    let mut published = 0;
    for round in 0..6 {
        let taking = async {
            loop {
                blog.run(&["snapshots", "take"]).await;
            }
        };
        let more = 5 + 9 * round;
        tokio::select! {
            () = taking => {}
            () = publish(&blog, published..published + more) => {}
        }
        published += more;
        blog.kill9();
        if round % 2 == 1 {
            lose_database(&blog);
            blog.start_and_kill_at("projection.db-wal").await;
        }
        if round % 3 == 2 {
            lose_database(&blog);
        }
        blog.start().await;
        assert_verified(&blog).await;
    }
    for kept in listed_at_rest(&blog).await {
        let file = blog.data().join("out");
        let cid = kept["cid"].as_str().unwrap();
        blog.json(&["snapshots", "export", cid, file.to_str().unwrap()])
            .await;
    }
}
