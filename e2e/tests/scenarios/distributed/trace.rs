//! One trace follows an activity through the processes of both domains.

use fedsx_e2e::{Collector, Plan, Span, eventually};

use crate::steps::{SOON, arrive, way_to_root};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_trace_leads_through_the_processes_of_both_domains() {
    let collector = Collector::start().await;
    let (blog, events) = (Plan::of("blog"), Plan::of("events"));
    let (at_blog, at_events) = (blog.origin(), events.origin());
    let (blog, events) = tokio::join!(
        blog.set("otlp", collector.endpoint())
            .set("trusted_origins", &at_events)
            .started(),
        events
            .set("otlp", collector.endpoint())
            .set("trusted_origins", &at_blog)
            .started(),
    );
    let author = blog.actor("author");
    events.follow("main", &author).await;
    let gig = blog.publish("author", "Gig Night").await;
    arrive(&events, &author, &["Gig Night".to_owned()], SOON).await;

    let deliveries = blog.deliveries().await;
    let delivery = deliveries
        .iter()
        .find(|delivery| delivery.cid == gig.cid)
        .expect("a delivery");
    let at = |role: &str, domain: &fedsx_e2e::Domain| format!("{role}@{}", domain.origin().authority());
    let way = eventually("every span on its way is exported", SOON, async || {
        let spans = collector.trace(&delivery.trace_id);
        let append = spans
            .iter()
            .find(|span| span.service == at("log", &events) && span.name.contains("Append"));
        append
            .and_then(|append| way_to_root(&spans, append))
            .ok_or_else(|| format!("{spans:#?}"))
    })
    .await;
    assert_eq!(
        services(&way),
        [
            at("log", &blog),
            at("delivery", &blog),
            at("gateway", &events),
            at("log", &events)
        ],
        "{way:#?}"
    );
}

/// The processes on the way, each named once where it comes several times in a row.
fn services(way: &[Span]) -> Vec<String> {
    let mut services: Vec<_> = way.iter().map(|span| span.service.clone()).collect();
    services.dedup();
    services
}
