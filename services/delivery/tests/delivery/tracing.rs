//! One trace from the entry to the peer.

use fedsx_runtime::telemetry;

use crate::domain::Domain;

#[tokio::test]
async fn an_attempt_belongs_to_its_entrys_trace() {
    let quiet = telemetry::Settings {
        filter: "off".to_owned(),
        ..telemetry::Settings::default()
    };
    let _telemetry = telemetry::start(&quiet).unwrap();
    let domain = Domain::start().await;
    let peer = domain.peer().await;
    let process = domain.deliver().await;
    let posted = domain.note(&[&peer.actor("bob")]).await;
    process.settled(posted.position).await;
    let appended = domain.entry(posted.position).await.meta.unwrap().traceparent;
    let trace = telemetry::trace_id(&appended);
    assert_eq!(trace.len(), 32, "{appended}");
    let arrived = peer.received().remove(0).traceparent.expect("a traceparent");
    assert_eq!(telemetry::trace_id(&arrived), trace);
    assert_ne!(arrived, appended, "the attempt has a span of its own");
    assert_eq!(process.row(posted.position).await.trace_id, trace);
}
