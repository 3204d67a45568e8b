//! What the gateway contributes to its process's readiness.

use crate::{domain::Domain, wait::eventually};

const PARTS: [&str; 2] = ["log", "projection"];

#[tokio::test]
async fn a_gateway_is_not_ready_before_its_services_have_answered() {
    let domain = Domain::new().await;
    let second = domain.second_gateway().await;
    let lacking = second.context.readiness.lacking();
    assert_eq!(lacking.into_keys().collect::<Vec<_>>(), PARTS);
    eventually(async || match second.context.readiness.lacking() {
        lacking if lacking.is_empty() => Ok(()),
        lacking => Err(format!("{lacking:?}")),
    })
    .await;
}

#[tokio::test]
async fn a_gateway_says_which_service_is_away_and_is_ready_when_it_is_back() {
    let domain = Domain::new().await;
    let lacks = async |parts: &[&str]| {
        eventually(async || {
            let lacking = domain.lacking();
            let is_so = lacking.keys().copied().eq(parts.iter().copied());
            is_so.then_some(()).ok_or(format!("{lacking:?}"))
        })
        .await;
    };
    lacks(&[]).await;
    domain.views.go_away();
    lacks(&["projection"]).await;
    assert_eq!(
        domain.lacking()["projection"],
        "the projection service is away just now"
    );
    domain.views.come_back();
    lacks(&[]).await;
}

#[tokio::test]
async fn a_gateway_without_a_log_is_not_ready() {
    let domain = Domain::new().await;
    let gateway = domain.without_log().await;
    eventually(async || {
        let lacking = gateway.context.readiness.lacking();
        let is_so = lacking.get("log").is_some_and(|reason| reason.contains("away")) && lacking.len() == 1;
        is_so.then_some(()).ok_or(format!("{lacking:?}"))
    })
    .await;
}
