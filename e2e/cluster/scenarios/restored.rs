//! A database and keys that are gone, and what brings them back.

use std::{collections::BTreeSet, time::Duration};

use fedsx_e2e::{Entry, eventually, settle};
use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::api::{DeleteParams, PostParams};

use super::ids;
use crate::harness::{Cluster, Release, Stage, helm};

const GONE: Duration = Duration::from_secs(60);
const ACTOR: &str = "restored";
const KEYS: &str = "blog-secrets";
const DUMP: &str = "pg_dump --format=custom --file=/tmp/blog.dump blog";
const RESTORE: &str =
    "dropdb blog && createdb --owner=blog blog && pg_restore --exit-on-error --dbname=blog /tmp/blog.dump";

pub(crate) async fn a_lost_domain_comes_back_from_its_backup(stage: &'static Stage) {
    let Stage {
        cluster,
        blog,
        events,
        ..
    } = stage;
    blog.authors([ACTOR.to_owned()].into_iter(), events).await;
    let mut loads = blog.loads(&[ACTOR.to_owned()]);
    let load = &mut loads[0];
    load.goes_on(20).await;
    let backed_up = blog.outbox(ACTOR).await.len();
    in_postgres(cluster, DUMP).await;
    let keys = cluster.api::<Secret>().get(KEYS).await.expect("the keys");
    load.goes_on(20).await;
    loads.remove(0).finish().await;
    settle(&[blog, events]).await;
    let said = ids(&blog.outbox(ACTOR).await);
    let arrived = ids(&events.received(&blog.actor(ACTOR)).await);

    lose(cluster).await;
    let again = restore(cluster, keys).await;

    // It stands where it was at one moment of the backup, and every view is what its log folds to.
    let left = ids(&again.outbox(ACTOR).await);
    assert_eq!(left, said[..left.len()], "of {} that were said", said.len());
    assert!(
        (backed_up..said.len()).contains(&left.len()),
        "{backed_up}, {}",
        left.len()
    );
    settle(&[&again, events]).await;
    again.json(&["verify"]).await;
    // It goes on from there; what a delivery had brought before is not there twice.
    again.publish(ACTOR, "We are back").await;
    settle(&[&again, events]).await;
    let received = events.received(&again.actor(ACTOR)).await;
    assert_eq!(received.last().map(Entry::name), Some("We are back"));
    let (last, before) = received.split_last().expect("entries");
    assert_eq!(ids(before), arrived);
    assert!(!arrived.contains(&last.id));
    assert_eq!(arrived.iter().collect::<BTreeSet<_>>().len(), arrived.len());
}

/// Nothing is left of the domain in the cluster but its backup.
async fn lose(cluster: &Cluster) {
    helm::must(&cluster.namespace, &["uninstall", "blog", "--wait"]).await;
    eventually("its pods are gone", GONE, async || {
        let left = cluster.names::<Pod>("app.kubernetes.io/instance=blog").await;
        left.is_empty().then_some(()).ok_or(format!("{left:?}"))
    })
    .await;
    let secrets = cluster.api::<Secret>();
    secrets
        .delete(KEYS, &DeleteParams::default())
        .await
        .expect("the keys");
}

/// `kubectl create` of the Secret that was kept, `pg_restore`, `helm install`.
async fn restore(cluster: &Cluster, mut keys: Secret) -> Release {
    in_postgres(cluster, RESTORE).await;
    keys.metadata.resource_version = None;
    let secrets = cluster.api::<Secret>();
    secrets
        .create(&PostParams::default(), &keys)
        .await
        .expect("the keys");
    Release::install(cluster, "blog").await
}

/// A command in PostgreSQL's pod, whose own socket lets everybody in.
async fn in_postgres(cluster: &Cluster, command: &str) {
    let tools = "PATH=$PATH:$(echo /usr/lib/postgresql/*/bin); export PGHOST=/tmp PGUSER=postgres";
    let script = format!("set -e; {tools}; {command}");
    let said = cluster.exec("postgres-0", &["sh", "-c", &script]).await;
    said.unwrap_or_else(|error| panic!("{command}: {error}"));
}
