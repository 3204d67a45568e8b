//! One picture of a delivery, in Jaeger.

use std::collections::{BTreeMap, BTreeSet};

use fedsx_e2e::Role;
use serde_json::Value;

use crate::harness::{Stage, Tunnel};

/// Where Jaeger's query API answers.
const QUERY: u16 = 16686;

pub(crate) async fn one_trace_shows_every_role_of_both_domains(stage: &'static Stage) {
    let (blog, events) = (&stage.blog, &stage.events);
    let jaeger = Tunnel::to(
        stage.cluster.api(),
        "app.kubernetes.io/name=jaeger".to_owned(),
        QUERY,
    )
    .await;
    blog.publish_article("author", "Traced Night", "traced").await;
    let calendar = events.actor("main");
    let allocated = blog.allocate("author", "traced", &calendar).await;

    let told = blog
        .json(&["trace", &allocated.cid, "--wait=120", "--jaeger", jaeger.url()])
        .await;
    let picture = Picture::of(&told);
    assert!(told["lacking"].is_null(), "it is not whole: {}", picture.shown);
    // Every role of both domains has its part: the flow of the calendar, and what it answers, come back to the blog.
    for release in [blog, events] {
        for role in [Role::Gateway, Role::Log, Role::Projection, Role::Delivery] {
            let service = format!("{}@{}.example.org", role.as_str(), release.name());
            assert!(
                picture.services().contains(&service),
                "no span of {service}: {}",
                picture.shown
            );
        }
    }
    // One tree: the append at events leads back to the publish at the blog, step by step.
    let roots: Vec<_> = picture
        .spans
        .values()
        .filter(|span| span["parent"].is_null())
        .collect();
    assert_eq!(roots.len(), 1, "{}", picture.shown);
    let inbox = picture.one("gateway@events.example.org", "POST /inbox");
    let append = picture.below(inbox, "log@events.example.org", "fedsx.v1.Log/Append");
    let way: Vec<_> = picture
        .way_to_root(append)
        .into_iter()
        .map(|span| span["service"].clone())
        .collect();
    let [log, gateway, delivery] = ["log", "gateway", "delivery"];
    let expected = [
        (log, "events"),
        (gateway, "events"),
        (delivery, "blog"),
        (delivery, "blog"),
        (log, "blog"),
    ];
    let expected: Vec<_> = expected
        .iter()
        .map(|(role, domain)| format!("{role}@{domain}.example.org"))
        .collect();
    assert_eq!(way, expected, "{}", picture.shown);
    // How long it waited in the queue is a span beside the attempt's; the flow hangs below the append that started it, and
    // the calendar's answer below the flow.
    let attempt = picture.above(inbox);
    picture.below(picture.above(attempt), "delivery@blog.example.org", "queue wait");
    let flow = picture.below(append, "projection@events.example.org", "flow.start");
    let answer = picture.one("gateway@blog.example.org", "POST");
    assert!(
        picture.way_to_root(answer).contains(&flow),
        "the answer is elsewhere: {}",
        picture.shown
    );
}

/// The spans of a trace.
struct Picture {
    spans: BTreeMap<String, Value>,
    shown: String,
}

impl Picture {
    fn of(told: &Value) -> Self {
        let spans = told["spans"].as_array().expect("spans");
        let spans = spans
            .iter()
            .map(|span| (span["id"].as_str().expect("an id").to_owned(), span.clone()));
        Self {
            spans: spans.collect(),
            shown: format!("{told:#}"),
        }
    }

    fn services(&self) -> BTreeSet<String> {
        let service = |span: &Value| span["service"].as_str().unwrap_or_default().to_owned();
        self.spans.values().map(service).collect()
    }

    /// The span of a service whose name begins so.
    fn one(&self, service: &str, name: &str) -> &Value {
        let found = self.spans.values().find(|span| is(span, service, name));
        found.unwrap_or_else(|| panic!("no {name} of {service}: {}", self.shown))
    }

    /// The span of a service with this parent.
    fn below(&self, parent: &Value, service: &str, name: &str) -> &Value {
        let mut children = self.spans.values().filter(|span| span["parent"] == parent["id"]);
        let found = children.find(|span| is(span, service, name));
        found.unwrap_or_else(|| panic!("no {name} of {service} below {parent:#}: {}", self.shown))
    }

    fn above<'a>(&'a self, span: &'a Value) -> &'a Value {
        let parent = self.way_to_root(span).into_iter().nth(1);
        parent.unwrap_or_else(|| panic!("nothing above {span:#}"))
    }

    /// A span, its parent, and so on.
    fn way_to_root<'a>(&'a self, span: &'a Value) -> Vec<&'a Value> {
        let parent = |span: &&'a Value| self.spans.get(span["parent"].as_str()?);
        std::iter::successors(Some(span), parent).collect()
    }
}

fn is(span: &Value, service: &str, name: &str) -> bool {
    span["service"] == service && span["name"].as_str().is_some_and(|told| told.starts_with(name))
}
