//! The ledger as operators see it.

use fedsx_proto::v1::{GetProgressRequest, ListDeliveriesRequest, RetryNowRequest};
use fedsx_runtime::token::Role;

use crate::{
    domain::Domain,
    process::{How, eventually},
};

#[tokio::test]
async fn deliveries_are_listed_by_page_and_filter() {
    let domain = Domain::start().await;
    let peer = domain.peer().await;
    let process = domain.deliver().await;
    let mut last = None;
    for _ in 0..5 {
        last = Some(domain.note(&[&peer.actor("bob")]).await);
    }
    let last = last.unwrap();
    process.settled(last.position).await;
    let list = async |request: ListDeliveriesRequest| {
        process
            .client(Role::Site)
            .list_deliveries(request)
            .await
            .unwrap()
            .into_inner()
    };
    let first = list(ListDeliveriesRequest {
        limit: 3,
        ..Default::default()
    })
    .await;
    assert_eq!(first.deliveries[0].position, last.position);
    assert_eq!(first.deliveries[0].inbox, peer.actor("bob"));
    assert_eq!(first.deliveries[0].actor, domain.alice);
    let page_token = first.next_page_token.clone();
    let second = list(ListDeliveriesRequest {
        limit: 3,
        page_token,
        ..Default::default()
    })
    .await;
    assert_eq!(
        (second.deliveries.len(), second.next_page_token.as_str()),
        (2, "")
    );
    let one = list(ListDeliveriesRequest {
        cid: last.cid.clone(),
        ..Default::default()
    })
    .await;
    assert_eq!(one.deliveries.len(), 1);
    let none = list(ListDeliveriesRequest {
        states: vec!["dead".to_owned()],
        ..Default::default()
    })
    .await;
    assert!(none.deliveries.is_empty());
    let progress = process
        .client(Role::Operator)
        .get_progress(GetProgressRequest {})
        .await
        .unwrap()
        .into_inner();
    assert_eq!((progress.cursor, progress.pending), (last.position, 0));
}

#[tokio::test]
async fn a_malformed_question_is_named_and_other_roles_are_refused() {
    let domain = Domain::start().await;
    let process = domain.deliver().await;
    for (field, request) in [
        (
            "states",
            ListDeliveriesRequest {
                states: vec!["lost".to_owned()],
                ..Default::default()
            },
        ),
        (
            "origin",
            ListDeliveriesRequest {
                origin: "peer".to_owned(),
                ..Default::default()
            },
        ),
        (
            "page_token",
            ListDeliveriesRequest {
                page_token: "x".to_owned(),
                ..Default::default()
            },
        ),
    ] {
        let status = process
            .client(Role::Operator)
            .list_deliveries(request)
            .await
            .unwrap_err();
        assert_eq!(status.code(), tonic::Code::InvalidArgument);
        assert!(status.message().contains(field), "{}", status.message());
    }
    for role in [Role::Gateway, Role::Log, Role::Projection, Role::Delivery] {
        let retry = process
            .client(role)
            .retry_now(RetryNowRequest::default())
            .await
            .unwrap_err();
        assert_eq!(retry.code(), tonic::Code::PermissionDenied);
        let list = process
            .client(role)
            .list_deliveries(ListDeliveriesRequest::default())
            .await
            .unwrap_err();
        assert_eq!(list.code(), tonic::Code::PermissionDenied);
    }
}

#[tokio::test]
async fn retry_now_does_not_wait_for_the_ladder() {
    let domain = Domain::start().await;
    let peer = domain.peer().await;
    let process = domain.deliver().await;
    peer.says(500);
    let posted = domain.note(&[&peer.actor("bob")]).await;
    eventually("it is tried", async || {
        process
            .rows()
            .await
            .iter()
            .any(|row| row.position == posted.position && row.attempts == 1)
    })
    .await;
    peer.says(202);
    let answer = process
        .client(Role::Operator)
        .retry_now(RetryNowRequest::default())
        .await
        .unwrap();
    let answer = answer.into_inner();
    assert_eq!((answer.deliveries, answer.origins), (1, 1));
    process.settled(posted.position).await;
    assert_eq!(peer.ids(), [posted.activity_id]);
}

#[tokio::test]
async fn metrics_tell_of_outcomes_peers_and_fan_out() {
    let domain = Domain::start().await;
    let (well, away) = (domain.peer().await, domain.peer().await);
    let process = domain.deliver().await;
    away.is_away(true);
    let posted = domain.note(&[&well.actor("bob"), &away.actor("cat")]).await;
    process.fanned_out(posted.position).await;
    crate::parking::until_parked(&domain, &process, &away).await;
    let host = |peer: &crate::peer::Peer| peer.origin.authority().to_owned();
    // The gauges are read every few seconds.
    let expected = [
        format!(
            "fedsx_delivery_outcomes_total{{code=\"202\",host=\"{}\",outcome=\"delivered\"}} 1",
            host(&well)
        ),
        format!(
            "fedsx_delivery_peer_state{{host=\"{}\",state=\"parked\"}} 1",
            host(&away)
        ),
        format!("fedsx_delivery_fan_out_position {}", posted.position),
        "fedsx_delivery_fan_out_lag 0".to_owned(),
        "fedsx_delivery_pending 1".to_owned(),
        "fedsx_delivery_lanes_due 0".to_owned(),
        "fedsx_delivery_queue_depth 0".to_owned(),
        "fedsx_delivery_claims_lost_total 0".to_owned(),
        "fedsx_delivery_lanes_under_way{pace=\"slow\"} 0".to_owned(),
        "fedsx_delivery_attempt_seconds_count{outcome=\"delivered\"} 1".to_owned(),
    ];
    for line in expected {
        eventually(&line, async || {
            process.metrics().lines().any(|found| found == line)
        })
        .await;
    }
}

#[tokio::test]
async fn on_a_quiet_domain_a_post_is_under_way_at_once() {
    let domain = Domain::on_real_time().await;
    let peer = domain.peer().await;
    let how = How {
        tick: std::time::Duration::from_secs(3600),
        ..How::default()
    };
    let process = domain.deliver_as(how).await;
    let (_, accept) = domain.followed_by(&peer, "bob").await;
    process.settled(accept.position).await;
    for _ in 0..20 {
        let before = peer.tried();
        domain.post().await;
        eventually("it is under way", async || peer.tried() > before).await;
    }
}
