//! The views beside a real log, as a domain runs them.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test says so where it fails")]
#![allow(dead_code, reason = "not every test uses all of the harness")]

mod domain;

use std::{sync::Arc, time::Duration};

use domain::{ALICE, BASE, BOB, Domain, replica::Replica, said};
use fedsx_projection::store::{Store, sqlite};
use fedsx_runtime::clock::SystemClock;
use serde_json::{Value, json};

/// A domain with one projection that keeps its views in memory.
struct Single {
    domain: Domain,
    replica: Replica,
}

impl Single {
    async fn start() -> Self {
        let domain = Domain::start().await;
        let open = async { Arc::new(sqlite::memory(Arc::new(SystemClock)).await.unwrap()) as Arc<dyn Store> };
        let replica = Replica::start_on("one", open, &domain).await;
        Self { domain, replica }
    }

    /// A row of a view that has seen everything that is in the log now.
    async fn row(&self, view: &str, key: &str) -> Option<Value> {
        let head = self.domain.head().await;
        self.replica.row(view, key, head).await.unwrap()
    }
}

#[tokio::test]
async fn actors_that_the_log_made_are_in_the_view_with_their_keys() {
    let single = Single::start().await;
    let base = single.row("actors", BASE).await.unwrap();
    assert_eq!((&base["kind"], &base["name"]), (&json!("Service"), &Value::Null));
    let alice = single.row("actors", ALICE).await.unwrap();
    assert_eq!(
        (&alice["kind"], &alice["name"], &alice["manual"]),
        (&json!("Person"), &json!("alice"), &json!(false))
    );
    assert!(alice["document"]["assertionMethod"][0]["publicKeyMultibase"].is_string());
    domain::replica::eventually("ready", async || single.replica.lacks().is_none()).await;
}

#[tokio::test]
async fn a_follow_is_accepted_undone_and_accepted_again() {
    let single = Single::start().await;
    for (asked, followed) in [(ALICE, ALICE), (BASE, BASE), ("https://blog.example", BASE)] {
        let key = format!("{followed} {BOB}");
        let serial = single.domain.head().await;
        let before = single.row("followers", &key).await;
        assert_eq!(before, None);
        for round in 0..2 {
            let mut follow = said(BOB, "Follow", format_args!("{serial}/{round}"), json!(asked));
            follow["to"] = json!([asked]);
            single.domain.receive(&follow).await;
            while single.row("followers", &key).await.unwrap()["state"] != "accepted" {
                tokio::task::yield_now().await;
            }
            let row = single.row("followers", &key).await.unwrap();
            assert_eq!(
                (&row["follow_id"], &row["inbox"]),
                (&follow["id"], &json!(format!("{BOB}/inbox")))
            );
            let undo = said(
                BOB,
                "Undo",
                format_args!("{serial}/{round}"),
                follow["id"].clone(),
            );
            single.domain.receive(&undo).await;
            assert_eq!(single.row("followers", &key).await, None);
        }
    }
    single.replica.stop().await;
    let shutdown = &single.domain.context.shutdown;
    assert!(shutdown.finish(Duration::from_secs(120)).await);
}
