//! The story of Gig Night, between two domains of separate processes.

use fedsx_e2e::{Deployment, Plan, eventually, smtp};
use serde_json::{Value, json};

use crate::steps::{BACK, SOON, flow, over};

async fn lose(domain: &mut Deployment) {
    domain.replicas().iter_mut().for_each(fedsx_e2e::Replica::kill9);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_article_is_allocated_while_the_calendars_domain_is_down_and_linked_when_it_is_back() {
    let (blog, mut events) = tokio::join!(Deployment::blog(), Plan::of("events").started());
    let author = blog.actor("author");
    let article = [
        "--actor",
        "author",
        "--type",
        "Article",
        "--name",
        "Gig Night",
        "--object",
        "gig-night",
    ];
    blog.publish_with(&article).await;
    lose(&mut events).await;
    let calendar = events.actor("main");
    let allocate = ["allocate", "gig-night", &calendar, "--actor", "author"];
    let allocated = blog.json(&allocate).await;
    let cid = allocated["cid"].as_str().unwrap().to_owned();
    eventually("it was tried in vain", BACK, async || {
        let ledger = blog.deliveries().await;
        let tried = ledger.iter().map(|row| row.attempts).max();
        (tried >= Some(2))
            .then_some(())
            .ok_or(format!("{tried:?} attempts"))
    })
    .await;
    events.start().await;

    let flow = over(&events, "link", &cid).await;
    assert_eq!(flow["status"], "completed", "{flow}");
    assert_eq!(flow["object"], json!(blog.url("/objects/gig-night")));
    let shown = events.get("/flows").await.assert_status(200).json();
    assert!(shown.to_string().contains("gig-night"), "{shown}");
    let rows = ["views", "rows", "calendar", "--prefix", &calendar];
    let row = eventually("the calendar has it", SOON, async || {
        let rows = events.json(&rows).await;
        let row = rows[0]["value"].clone();
        (!row.is_null()).then_some(row).ok_or(rows)
    })
    .await;
    assert_eq!(
        (&row["object"], &row["origin"]),
        (&json!(blog.url("/objects/gig-night")), &json!(author))
    );
    eventually("the author hears of it", BACK, async || {
        let heard = blog.received(&calendar).await;
        let adds = heard.iter().filter(|entry| entry.verb() == "Add").count();
        (adds == 1).then_some(()).ok_or(adds)
    })
    .await;
    // Whatever is started again, nothing is said twice.
    let before = events.head().await;
    lose(&mut events).await;
    events.start().await;
    let again: Value = over(&events, "link", &cid).await;
    assert_eq!(
        (events.head().await, &again["version"]),
        (before, &flow["version"])
    );
}
