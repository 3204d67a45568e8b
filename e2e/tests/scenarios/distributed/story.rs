//! The story of Gig Night, between two domains of separate processes.

use fedsx_e2e::{Deployment, Plan, eventually, smtp};
use serde_json::{Value, json};

use super::lose;
use crate::steps::{BACK, SOON, flow, over, tried};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_article_is_allocated_while_the_calendars_domain_is_down_and_linked_when_it_is_back() {
    let (blog, mut events) = tokio::join!(Deployment::blog(), Plan::of("events").started());
    let author = blog.actor("author");
    blog.publish_article("author", "Gig Night", "gig-night").await;
    events.follow("main", &author).await;
    lose(&mut events);
    let calendar = events.actor("main");
    let cid = blog.allocate("author", "gig-night", &calendar).await.cid;
    tried(&blog, 2).await;
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
    // Also where everything that was ever read has to be read again, nothing is said twice.
    let before = events.head().await;
    lose(&mut events);
    events.database().execute("DROP SCHEMA projection CASCADE").await;
    events.start().await;
    assert_eq!(over(&events, "link", &cid).await, flow);
    assert_eq!(events.head().await, before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_digest_that_waits_is_mailed_once_it_is_released_whoever_was_killed_meanwhile() {
    let server = smtp::Server::start().await;
    let mut blog = Plan::of("blog").set("smtp", &server.url()).started().await;
    for reader in ["anna@example.org", "bob@example.org"] {
        let subscribe = json!({"type": "Subscribe", "object": reader});
        let subscribed = blog.publish_draft(Some("author"), &subscribe).await;
        subscribed.assert_code(0);
    }
    let update = |category: &str| {
        let article = json!({
            "id": blog.url("/objects/gig-night"), "type": "Article", "name": "Gig Night",
            "summary": "Three bands.", "category": category, "attributedTo": blog.actor("author"),
        });
        json!({"type": "Update", "object": article, "to": ["as:Public"]})
    };
    let said = async |draft: Value| -> String {
        let published = blog.publish_draft(Some("author"), &draft).await;
        let published = published.assert_code(0).json();
        published["cid"].as_str().unwrap().to_owned()
    };
    let urgent = said(update("urgent")).await;
    let newsletter = said(update("newsletter")).await;
    over(&blog, "blog-digest", &urgent).await;
    let waits = flow(&blog, "blog-digest", &newsletter, "waiting").await;
    lose(&mut blog);
    blog.start().await;
    assert_eq!(server.mails().len(), 0);

    let id = waits["id"].as_str().unwrap();
    blog.run(&["flows", "resume", id]).await.assert_code(0);
    let flow = over(&blog, "blog-digest", &newsletter).await;
    let mails = server.mails();
    let told: Vec<String> = mails.iter().map(|mail| mail.to.join(" ")).collect();
    assert_eq!(told, ["anna@example.org", "bob@example.org"]);
    assert!(mails[0].text().contains("Three bands."));
    let last = flow["steps"].as_array().and_then(|steps| steps.last());
    let last = last.unwrap();
    assert_eq!(
        (&last["id"], &last["value"]["mails"]),
        (&json!("digest-sent"), &json!(2))
    );
}
