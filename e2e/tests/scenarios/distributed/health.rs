//! Readiness tells what is lacking; liveness does not, since no restart would help.

use std::time::Duration;

use fedsx_e2e::{Deployment, Plan, Role};
use fedsx_runtime::transport;
use fedsx_testing::{postgres, rabbitmq};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
    server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
};

/// What is away is noticed, and what is back too.
const NOTICED: Duration = Duration::from_secs(120);

async fn serving(blog: &mut Deployment, role: Role, service: &str) -> ServingStatus {
    let url = blog.replica(role, 0).url();
    let mut client = HealthClient::new(transport::channel(&url).expect("a URL"));
    let request = HealthCheckRequest {
        service: service.to_owned(),
    };
    client
        .check(request)
        .await
        .expect("an answer")
        .into_inner()
        .status()
}

/// The services that a role tells of by reflection, as `grpcurl … list` shows them.
async fn reflected(blog: &mut Deployment, role: Role) -> Vec<String> {
    let url = blog.replica(role, 0).url();
    let mut client = ServerReflectionClient::new(transport::channel(&url).expect("a URL"));
    let request = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let asked = futures::stream::iter([request]);
    let mut answers = client
        .server_reflection_info(asked)
        .await
        .expect("an answer")
        .into_inner();
    let answer = answers.message().await.expect("an answer").expect("one");
    let Some(MessageResponse::ListServicesResponse(listed)) = answer.message_response else {
        panic!("{answer:?}");
    };
    listed.service.into_iter().map(|service| service.name).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_role_says_what_it_lacks_and_lives_on() {
    let (mut postgres, mut rabbitmq) = tokio::join!(postgres::Server::start(), rabbitmq::Server::start());
    let (database, vhost) = tokio::join!(postgres.database(), rabbitmq.vhost());
    let mut blog = Plan::of("blog").started_on(database, vhost).await;
    for replica in blog.replicas() {
        replica.admin("/livez").await.assert_status(200);
        replica.admin("/startupz").await.assert_status(200);
    }
    for (role, service) in [
        (Role::Log, "fedsx.v1.Log"),
        (Role::Projection, "fedsx.v1.Projection"),
        (Role::Delivery, "fedsx.v1.Delivery"),
    ] {
        assert_eq!(serving(&mut blog, role, service).await, ServingStatus::Serving);
        let told = reflected(&mut blog, role).await;
        assert!(told.iter().any(|name| name == service), "{told:?}");
    }

    rabbitmq.stop().await;
    blog.replica(Role::Delivery, 0).lacks("broker", NOTICED).await;
    rabbitmq.start_again().await;
    blog.ready().await;

    postgres.stop().await;
    for role in [Role::Log, Role::Projection, Role::Delivery] {
        blog.replica(role, 0).lacks("store", NOTICED).await;
        assert_eq!(serving(&mut blog, role, "").await, ServingStatus::NotServing);
    }
    for replica in blog.replicas() {
        replica.admin("/livez").await.assert_status(200);
        replica.admin("/startupz").await.assert_status(200);
    }
    postgres.start_again().await;
    blog.ready().await;

    assert!(blog.replica(Role::Log, 0).terminate().await.success());
    for role in [Role::Gateway, Role::Projection, Role::Delivery] {
        blog.replica(role, 0).lacks("log", NOTICED).await;
        blog.replica(role, 0).admin("/livez").await.assert_status(200);
    }
    blog.start().await;
    blog.ready().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_waits_for_what_it_needs_says_so_from_its_first_moment() {
    let (mut postgres, mut rabbitmq) = tokio::join!(postgres::Server::start(), rabbitmq::Server::start());
    let (database, vhost) = tokio::join!(postgres.database(), rabbitmq.vhost());
    let mut blog = Plan::of("blog").stopped_on(database, vhost).await;
    postgres.kill9();
    rabbitmq.kill9();
    for replica in blog.replicas() {
        replica.spawn();
    }
    for (role, part) in [
        (Role::Log, "store"),
        (Role::Gateway, "log"),
        (Role::Projection, "store"),
        (Role::Delivery, "store"),
    ] {
        let replica = blog.replica(role, 0);
        replica.lacks(part, NOTICED).await;
        replica.admin("/startupz").await.assert_status(503);
        replica.admin("/livez").await.assert_status(200);
    }
    tokio::join!(postgres.start_again(), rabbitmq.start_again());
    blog.ready().await;
    blog.publish("author", "At last").await;
}
