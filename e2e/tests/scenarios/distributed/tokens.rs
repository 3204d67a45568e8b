//! Each role is known by its token, may do no more than its part, and can be called over TLS.

use crate::steps::names;
use fedsx_e2e::{Deployment, Node, Plan, Role, settle};
use fedsx_proto::v1::{
    AppendRequest, DescribeRequest, ListDeliveriesRequest, ListViewsRequest, NewEntry, PublishRequest,
    delivery_client::DeliveryClient, log_client::LogClient, projection_client::ProjectionClient,
};
use fedsx_runtime::{
    token::Credentials,
    transport::{self, Authorised},
};
use tonic::{Code, service::interceptor::InterceptedService};

fn channel(blog: &mut Deployment, service: Role, token: &str) -> Authorised {
    let channel = transport::channel(&blog.replica(service, 0).url()).expect("a URL");
    InterceptedService::new(channel, Credentials::new(token))
}

fn append(stream: &str) -> AppendRequest {
    AppendRequest {
        stream: stream.to_owned(),
        entries: vec![NewEntry {
            body: br#"{"type":"Block"}"#.to_vec().into(),
            meta: None,
        }],
        ..AppendRequest::default()
    }
}

#[tokio::test]
async fn the_log_refuses_a_role_that_writes_what_is_not_its_own() {
    let mut blog = Deployment::blog().await;
    let head = blog.head().await;
    let inbox = "inbox/https://peer.example/actors/alice";
    let outbox = format!("outbox/{}", blog.actor("author"));
    let refused: [(Role, &[&str]); 4] = [
        (Role::Gateway, &["domain", "flow/1", &outbox]),
        (Role::Projection, &["domain", inbox, &outbox]),
        (Role::Delivery, &[inbox, &outbox]),
        (Role::Operator, &[inbox, "flow/1", &outbox]),
    ];
    for (role, streams) in refused {
        let token = blog.token(role).to_owned();
        let mut log = LogClient::new(channel(&mut blog, Role::Log, &token));
        for stream in streams {
            let answer = log.append(append(stream)).await.expect_err(stream);
            assert_eq!(
                answer.code(),
                Code::PermissionDenied,
                "{role:?} to {stream}: {answer}"
            );
        }
        if matches!(role, Role::Gateway | Role::Delivery) {
            let publish = PublishRequest {
                actor: blog.actor("author"),
                draft: br#"{"type":"Create","object":{"type":"Note"}}"#.to_vec().into(),
                ..PublishRequest::default()
            };
            let answer = log.publish(publish).await.expect_err("a publish");
            assert_eq!(answer.code(), Code::PermissionDenied, "{role:?}: {answer}");
        }
    }
    assert_eq!(blog.head().await, head, "nothing was written");
}

#[tokio::test]
async fn a_service_tells_nothing_without_a_token_that_it_was_given() {
    let mut blog = Deployment::blog().await;
    // No service but the log needs to know delivery's token, nor delivery the gateway's.
    let [delivery, gateway] = [Role::Delivery, Role::Gateway].map(|role| blog.token(role).to_owned());
    for token in ["", "guess", &delivery] {
        let mut views = ProjectionClient::new(channel(&mut blog, Role::Projection, token));
        let answer = views.list_views(ListViewsRequest {}).await.expect_err(token);
        assert_eq!(answer.code(), Code::Unauthenticated, "{answer}");
    }
    for token in ["", "guess", &gateway] {
        let mut ledger = DeliveryClient::new(channel(&mut blog, Role::Delivery, token));
        let answer = ledger.list_deliveries(ListDeliveriesRequest::default()).await;
        assert_eq!(answer.expect_err(token).code(), Code::Unauthenticated);
    }
    for token in ["", "guess"] {
        let mut log = LogClient::new(channel(&mut blog, Role::Log, token));
        let answer = log.describe(DescribeRequest {}).await.expect_err(token);
        assert_eq!(answer.code(), Code::Unauthenticated, "{answer}");
    }
}

#[tokio::test]
async fn two_roles_with_one_token_do_not_start() {
    let mut blog = Deployment::blog().await;
    let gateway = blog.token(Role::Gateway).to_owned();
    let projection = blog.replica(Role::Projection, 0);
    assert!(projection.terminate().await.success());
    projection.set("token_projection", &gateway);
    let status = projection.fails().await;
    assert_eq!(status.code(), Some(1), "{status}");
}

#[tokio::test]
async fn internal_calls_can_go_over_tls_alone() {
    let (mut blog, events) = tokio::join!(Plan::of("blog").with_tls().started(), Node::events());
    events.follow("main", &blog.actor("author")).await;
    blog.publish("author", "Over TLS").await;
    settle(&[&blog, &events]).await;
    assert_eq!(names(&events.received(&blog.actor("author")).await), ["Over TLS"]);
    let token = blog.token(Role::Operator).to_owned();
    let plain = LogClient::new(channel(&mut blog, Role::Log, &token))
        .describe(DescribeRequest {})
        .await;
    assert!(plain.is_err(), "the log answers without TLS: {plain:?}");
}
