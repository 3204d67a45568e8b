//! The story of Gig Night, told by the chart's own test.

use std::time::Duration;

use fedsx_e2e::eventually;
use serde_json::Value;

use crate::harness::Stage;

const SOON: Duration = Duration::from_secs(60);

pub(crate) async fn gig_night_is_linked_across_both_by_helm_test(stage: &'static Stage) {
    let (blog, events) = (&stage.blog, &stage.events);
    let (author, calendar) = (blog.actor("author"), events.actor("main"));
    for release in [blog, events] {
        release.test().await;
    }
    // What the test says, the logs of both domains say too.
    let offered = events.received(&author).await;
    let offered = offered
        .iter()
        .rev()
        .find(|entry| entry.verb() == "Allocate")
        .expect("the article was offered");
    let flows = events
        .json(&["flows", "list", "--behaviour", "link", "--activity", &offered.cid])
        .await;
    assert_eq!(
        flows["flows"][0]["status"], "completed",
        "no flow has linked it: {flows}"
    );
    let heard = blog.received(&calendar).await;
    assert!(
        heard.iter().any(|entry| entry.verb() == "Add"),
        "the blog has heard of it"
    );
}

/// As the README says it, word for word.
pub(crate) async fn gig_night_is_told_in_the_toolboxes(stage: &'static Stage) {
    let (blog, events) = (&stage.blog, &stage.events);
    let publish = ["publish", "--actor", "author", "--type", "Article"];
    let article = ["--name", "Gig Night", "--content", "Doors at eight."];
    let object = ["--object", "gig-night"];
    blog.in_toolbox(&[&publish[..], &article, &object].concat()).await;
    let calendar = events.actor("main");
    let allocate = ["allocate", "gig-night", &calendar, "--actor", "author"];
    let allocated = blog.in_toolbox(&[&allocate[..], &["--json"]].concat()).await;
    let allocated: Value = serde_json::from_str(&allocated).expect("JSON");
    let id = allocated["id"].as_str().expect("an id");
    let article = blog.url("/objects/gig-night");
    eventually("the calendar has linked it", SOON, async || {
        let flows = events.in_toolbox(&["flows", "list"]).await;
        let linked = flows
            .lines()
            .any(|flow| flow.contains("link") && flow.contains(&article) && flow.contains("completed"));
        linked.then_some(()).ok_or(flows)
    })
    .await;
    let deliveries = blog.in_toolbox(&["deliveries"]).await;
    assert!(deliveries.contains("delivered"), "{deliveries}");
    let tree = blog.in_toolbox(&["trace", id, "--wait"]).await;
    for part in [
        "blog.example.org",
        "events.example.org",
        "activitypub.send_activity",
        "flow.start",
    ] {
        assert!(tree.contains(part), "no {part} in\n{tree}");
    }
}
