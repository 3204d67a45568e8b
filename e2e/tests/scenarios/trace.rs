//! One trace follows an activity across both domains.

use fedsx_e2e::{Collector, Node, eventually};

use crate::steps::{SOON, arrive, way_to_root};

#[tokio::test]
async fn one_trace_leads_from_the_publish_to_the_peers_log() {
    let collector = Collector::start().await;
    let (blog, events) = (Node::stopped("blog"), Node::stopped("events"));
    let (at_blog, at_events) = (blog.origin().to_string(), events.origin().to_string());
    let blog = blog.with(&["--otlp", collector.endpoint(), "--trusted-origin", &at_events]);
    let events = events.with(&["--otlp", collector.endpoint(), "--trusted-origin", &at_blog]);
    let (blog, events) = tokio::join!(blog.started(), events.started());
    let author = blog.actor("author");
    events.follow("main", &author).await;
    let gig = blog.publish("author", "Gig Night").await;
    arrive(&events, &author, &["Gig Night".to_owned()], SOON).await;

    let deliveries = blog.deliveries().await;
    let delivery = deliveries
        .iter()
        .find(|delivery| delivery.cid == gig.cid)
        .expect("a delivery");
    let append = eventually("the append at events is exported", SOON, async || {
        let spans = collector.trace(&delivery.trace_id);
        let append = spans
            .iter()
            .find(|span| span.service.ends_with(events.origin().authority()) && span.name.contains("Append"));
        append.cloned().ok_or_else(|| format!("{spans:#?}"))
    })
    .await;
    let services = eventually("every span on its way is exported", SOON, async || {
        let spans = collector.trace(&delivery.trace_id);
        way_to_root(&spans, &append).ok_or_else(|| format!("{spans:#?}"))
    })
    .await;
    assert!(
        services
            .first()
            .is_some_and(|span| span.service.ends_with(blog.origin().authority()))
    );
    assert!(
        services.len() >= 5,
        "publish, fan-out, attempt, inbox, append: {services:#?}"
    );
}
