//! Whether every service answers and is ready, and who may publish.

use std::time::Duration;

use anyhow::Context as _;
use fedsx_proto::v1::ListRowsRequest;
use fedsx_runtime::{
    code::Refusal,
    fetch::{Fetcher, Policy},
    token::Role,
};
use serde_json::Value;
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus};
use url::Url;

use super::{SelfTest, report::Report};
use crate::{
    asked,
    commands::connect::{NoDomain, Running},
    domain::{Clients, service_name},
};

/// How long the log is knocked at.
const FIRST: Duration = Duration::from_secs(10);
/// The services that others call, in the order of their clients.
const CALLED: [Role; 3] = [Role::Log, Role::Projection, Role::Delivery];

/// The domain, once each of its services says that it is ready.
pub(super) async fn ready(
    report: &mut Report,
    wanted: &SelfTest,
    patience: Duration,
) -> anyhow::Result<Running> {
    let opening = async {
        let domain = open(wanted, patience.min(FIRST)).await?;
        let detail = format!("{}, {} entries", domain.origin, domain.head);
        Ok((domain, detail))
    };
    let look_at =
        "whether the domain runs, and --data, --connect or FEDSX_LOG_URLS with the operator's token";
    let domain = report.step("the log answers", look_at, opening).await?;
    for (place, role) in CALLED.into_iter().enumerate() {
        let step = format!("{} is ready", role.as_str());
        let look_at = format!(
            "/readyz of {}, which says what is lacking, and its log",
            role.as_str()
        );
        let serving = serving(&domain.clients, place, role, patience);
        report.step(&step, &look_at, serving).await?;
    }
    let look_at =
        "the gateway's /readyz and log; --gateway or --resolve where the origin is not reachable from here";
    report
        .step("the gateway answers", look_at, gateway(&domain, wanted, patience))
        .await?;
    Ok(domain)
}

/// The domain as soon as its log can be reached: the address of a pod that has just started is news to the NetworkPolicies of
/// those it calls.
async fn open(wanted: &SelfTest, patience: Duration) -> anyhow::Result<Running> {
    let mut refused = None;
    let opened = asked::within(patience, async || match wanted.target.open().await {
        Ok(domain) => Ok(Some(domain)),
        Err(error) if error.is::<NoDomain>() => {
            refused = Some(error);
            Ok(None)
        }
        Err(error) => Err(error),
    });
    let opened = opened.await?;
    opened.ok_or_else(|| refused.unwrap_or_else(|| anyhow::anyhow!("it does not answer")))
}

async fn serving(
    clients: &Clients,
    place: usize,
    role: Role,
    patience: Duration,
) -> anyhow::Result<((), String)> {
    let client = clients.health.get(place).context("there is no such service")?;
    let ask = async || {
        let service = service_name(role).to_owned();
        let asked = client.clone().check(HealthCheckRequest { service }).await;
        asked.map(|told| told.into_inner().status())
    };
    // It may be on its way up.
    let serves = asked::within(patience, async || {
        let serves = matches!(ask().await, Ok(ServingStatus::Serving));
        Ok::<_, anyhow::Error>(serves.then_some(()))
    });
    serves.await?;
    let status = ask().await.map_err(Refusal::from)?;
    anyhow::ensure!(
        status == ServingStatus::Serving,
        "it says {}",
        status.as_str_name()
    );
    Ok(((), "serves".to_owned()))
}

/// Asks the gateway for the domain's own actor, as peers do.
async fn gateway(domain: &Running, wanted: &SelfTest, patience: Duration) -> anyhow::Result<((), String)> {
    let base = match wanted.gateway.as_deref() {
        Some(url) => Url::parse(url).with_context(|| format!("--gateway {url:?}"))?,
        None => Url::parse(domain.origin.as_str())?,
    };
    // Our own, wherever it is.
    let policy = Policy::new([base.origin().ascii_serialization()])?;
    let fetcher = Fetcher::new(wanted.resolve.by(policy)?)?;
    let (url, mut why) = (base.join("/")?, String::new());
    let answered = asked::within(patience, async || {
        let fetched = fetcher
            .get_within(url.as_str(), "application/activity+json", 64 << 10)
            .await;
        Ok::<_, anyhow::Error>(fetched.inspect_err(|error| why = error.to_string()).ok())
    });
    let document = answered.await?.with_context(|| format!("{url}: {why}"))?;
    let actor: Value =
        serde_json::from_slice(&document.body).with_context(|| format!("{url} sends no JSON"))?;
    let id = actor["id"].as_str().unwrap_or_default();
    anyhow::ensure!(
        id == domain.origin.base(),
        "{url} is the actor {id:?}, not {}",
        domain.origin.base()
    );
    Ok(((), format!("{url} is {id}")))
}

/// Who publishes.
pub(super) async fn actor(
    report: &mut Report,
    domain: &Running,
    named: Option<&str>,
) -> anyhow::Result<String> {
    if let Some(name) = named {
        return Ok(domain.actor(Some(name)));
    }
    let choosing = async {
        let request = ListRowsRequest {
            view: "actors".to_owned(),
            limit: 1000,
            at_least: domain.head,
            ..ListRowsRequest::default()
        };
        let rows = domain.clients.projection.clone().list_rows(request).await;
        let rows = rows.map_err(Refusal::from)?.into_inner().rows;
        let is_person =
            |value: &[u8]| serde_json::from_slice(value).is_ok_and(|actor: Value| actor["kind"] == "Person");
        let person = rows.iter().find(|row| is_person(&row.value));
        let chosen = person.or(rows.first()).context("the domain has no actors")?;
        Ok((chosen.key.clone(), chosen.key.clone()))
    };
    let look_at = "fedsx actor list, and fedsx views: whether the view `actors` stands still";
    report
        .step("an actor is there to publish", look_at, choosing)
        .await
}
