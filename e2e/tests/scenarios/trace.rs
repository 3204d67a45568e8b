//! One trace follows an activity across both domains.

use fedsx_e2e::{Collector, Jaeger, Node, Port, Span, eventually, fedsx};
use serde_json::Value;

use crate::steps::{SOON, arrive, over, way_to_root};

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

#[tokio::test]
async fn a_failed_attempt_says_why_and_a_wait_in_the_queue_is_seen() {
    let collector = Collector::start().await;
    let blog = Node::stopped("blog")
        .with(&["--otlp", collector.endpoint()])
        .started()
        .await;
    let nobody = format!("{}/", Port::reserve().origin());
    let note = [
        "--actor", "author", "--name", "Hello", "--direct", "--to", &nobody,
    ];
    let note = blog.publish_with(&note).await;
    let trace = blog.json(&["trace", &note.cid]).await;
    assert_eq!(trace["url"], Value::Null, "no Jaeger is named");
    let trace = trace["traceId"].as_str().expect("a trace").to_owned();
    eventually("the attempt is exported", SOON, async || {
        let spans = collector.trace(&trace);
        let failed = |span: &Span| {
            let cause = span.failure.as_deref().unwrap_or_default();
            span.name == "activitypub.send_activity" && cause.contains("refused")
        };
        let waited = spans.iter().any(|span| span.name == "queue wait");
        (waited && spans.iter().any(failed))
            .then_some(())
            .ok_or_else(|| format!("{spans:#?}"))
    })
    .await;
}

#[tokio::test]
async fn the_trace_of_gig_night_is_one_picture_in_jaeger() {
    let Some(jaeger) = Jaeger::start().await else {
        eprintln!("no Jaeger here: FEDSX_TEST_JAEGER names its binary");
        return;
    };
    let (blog, events) = (Node::stopped("blog"), Node::stopped("events"));
    let (at_blog, at_events) = (blog.origin().to_string(), events.origin().to_string());
    let (query, otlp) = (jaeger.query(), jaeger.otlp());
    let traced =
        |node: Node, peer: &str| node.with(&["--otlp", &otlp, "--jaeger", &query, "--trusted-origin", peer]);
    let (blog, events) = tokio::join!(
        traced(blog, &at_events).started(),
        traced(events, &at_blog).started()
    );
    let author = blog.actor("author");
    events.follow("main", &author).await;
    blog.publish_article("author", "Gig Night", "gig").await;
    let allocated = blog.allocate("author", "gig", &events.actor("main")).await;
    over(&events, "link", &allocated.cid).await;

    let id = allocated.id.as_str();
    let link = blog.json(&["trace", id]).await;
    assert!(link["url"].as_str().unwrap().starts_with(&query), "{link}");
    let told = blog.json(&["trace", id, "--wait=120"]).await;
    assert_eq!(told["lacking"], Value::Null, "{told}");
    let spans = told["spans"].as_array().expect("spans");
    let named = |service: &Node, name: &str| {
        let domain = service.origin().authority();
        let found = spans
            .iter()
            .find(|span| span["domain"] == domain && span["name"] == name);
        found.unwrap_or_else(|| panic!("{name} of {domain} is not in {told:#}"))
    };
    for name in [
        "fedsx.v1.Log/Publish",
        "activitypub.fanout",
        "queue wait",
        "activitypub.send_activity",
    ] {
        named(&blog, name);
        named(&events, name);
    }
    // There and, with the calendar's Add, back.
    for (node, inbox) in [(&events, "POST /inbox"), (&blog, "POST /actors/{name}/inbox")] {
        named(node, inbox);
        named(node, "fedsx.v1.Log/Append");
    }
    for name in ["flow.start", "effect query", "effect emit"] {
        named(&events, name);
    }
    // Where the author is told of it.
    named(&blog, "effect notify");
    let printed = fedsx(&[
        "trace",
        told["traceId"].as_str().unwrap(),
        "--wait",
        "--jaeger",
        &query,
    ])
    .await;
    assert!(printed.stdout.contains("effect emit"), "{printed}");
}
