//! The story of Gig Night, told by the chart's own test.

use std::time::Duration;

use fedsx_e2e::eventually;

use crate::harness::{Stage, helm};

const SOON: Duration = Duration::from_secs(60);

pub(crate) async fn gig_night_is_linked_across_both_by_helm_test(stage: &'static Stage) {
    let (blog, events) = (&stage.blog, &stage.events);
    let (author, calendar) = (blog.actor("author"), events.actor("main"));
    // The events' values say that the domain follows the author.
    eventually("the author has its follower", SOON, async || {
        let followers = blog.followers("author").await;
        followers
            .contains(&(events.base(), "accepted".to_owned()))
            .then_some(())
            .ok_or(format!("{followers:?}"))
    })
    .await;
    for release in [blog, events] {
        let said = helm::must(
            &stage.cluster.namespace,
            &["test", release.name(), "--logs", "--timeout", "3m"],
        )
        .await;
        eprintln!("{said}");
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
