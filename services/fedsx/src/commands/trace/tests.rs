use fedsx_proto::v1::DeliveryRow;
use serde_json::{Value, json};

use super::{Named, jaeger::read, named, span::Span, tree::tree, whole::lacking};

/// The trace of Gig Night's Allocate as Jaeger 1.62 answered it: blog and events trust each other; at the second attempt events
/// was there.
const RECORDED: &[u8] = include_bytes!("tests/gig-night.json");

fn recorded() -> Vec<Span> {
    let answer: Value = serde_json::from_slice(RECORDED).unwrap();
    let trace_id = answer["data"][0]["traceID"].as_str().unwrap().to_owned();
    read(RECORDED, &trace_id).unwrap()
}

fn span(id: &str, parent: Option<&str>) -> Span {
    let parents = parent.map(|parent| json!({"refType": "CHILD_OF", "traceID": "f", "spanID": parent}));
    let answer = json!({"data": [{"spans": [{
        "spanID": id, "operationName": "work", "references": Vec::from_iter(parents), "processID": "p1",
        "tags": [{"key": "server.address", "value": "events.example"}, {"key": "activitypub.activity.id", "value": "a"}],
    }], "processes": {"p1": {"serviceName": "log@blog.example"}}}]});
    read(answer.to_string().as_bytes(), "f").unwrap().remove(0)
}

#[test]
fn the_recorded_trace_is_a_tree() {
    insta::assert_snapshot!(tree(&recorded()));
}

#[test]
fn the_recorded_trace_is_whole() {
    assert_eq!(lacking(&recorded(), "", &[]), None);
}

#[test]
fn a_refusal_a_link_and_what_goes_in_circles_are_shown() {
    let mut refused = span("1", None);
    let said = [("error.type", "not_addressed"), ("error.message", "nobody\nhere")];
    refused
        .attributes
        .extend(said.map(|(key, value)| (key.to_owned(), value.to_owned())));
    let link = json!({"refType": "FOLLOWS_FROM", "traceID": "e", "spanID": "9"});
    let answer = json!({"data": [{"spans": [{"spanID": "2", "operationName": "POST /inbox", "references": [link], "processID": "p"}]}]});
    let linked = read(answer.to_string().as_bytes(), "f").unwrap().remove(0);
    let circle = [span("3", Some("4")), span("4", Some("3")), span("5", Some("6"))];
    let spans = Vec::from_iter([refused, linked].into_iter().chain(circle));
    insta::assert_snapshot!(tree(&spans), @r"
         START       TOOK  SERVICE           SPAN
        0.0 ms     0.0 ms  log@blog.example  work host=events.example REFUSED not_addressed: nobody here
        0.0 ms     0.0 ms                    POST /inbox linked to trace e
        0.0 ms     0.0 ms  log@blog.example  work host=events.example
        0.0 ms     0.0 ms  log@blog.example  work host=events.example
        0.0 ms     0.0 ms  log@blog.example  work host=events.example
    ");
}

#[test]
fn a_trace_is_not_whole_while_something_is_known_to_come() {
    let row = |state: &str, attempts| DeliveryRow {
        state: state.to_owned(),
        origin: "https://events.example".to_owned(),
        inbox: "https://events.example/inbox".to_owned(),
        attempts,
        ..DeliveryRow::default()
    };
    let says = |spans: &[Span], rows: &[DeliveryRow]| lacking(spans, "a", rows).unwrap_or_default();
    assert_eq!(says(&[], &[]), "nothing of it has arrived");
    assert_eq!(
        says(&[span("1", Some("0"))], &[]),
        "the parents of 1 spans are not there"
    );
    let there = [span("1", None)];
    assert_eq!(
        says(&there, &[row("pending", 1)]),
        "1 deliveries are pending, such as to https://events.example/inbox"
    );
    assert_eq!(
        says(&there, &[row("delivered", 1)]),
        "of 1 attempts at https://events.example, 0 have a span"
    );
    // It ended without an attempt: its peer was blocked.
    assert_eq!(lacking(&there, "a", &[row("dead", 0)]), None);
    let mut attempt = span("2", Some("1"));
    attempt.name = "activitypub.send_activity".to_owned();
    let there = [span("1", None), attempt];
    assert_eq!(lacking(&there, "a", &[row("delivered", 1)]), None);
    assert!(lacking(&there, "a", &[row("delivered", 2)]).is_some());
}

#[test]
fn what_is_no_answer_of_jaeger_is_told() {
    assert_eq!(read(br#"{"data": null}"#, "f").unwrap(), Vec::new());
    assert!(read(b"<html>", "f").is_err());
}

#[test]
fn an_activity_is_named_by_its_id_its_cid_its_position_or_its_trace() {
    use fedsx_proto::v1::get_request::By;
    let trace = "4BF92F3577B34DA6A3CE929D0E0E4736";
    assert_eq!(named(trace), Named::Trace(trace.to_lowercase()));
    assert_eq!(named("42"), Named::Entry(By::Position(42)));
    let id = "https://blog.example/activities/baga";
    assert_eq!(named(id), Named::Entry(By::ActivityId(id.to_owned())));
    assert_eq!(named("baga"), Named::Entry(By::Cid("baga".to_owned())));
}
