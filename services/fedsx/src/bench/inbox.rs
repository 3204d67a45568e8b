//! `fedsx bench inbox`.

use std::sync::Arc;

use anyhow::Context as _;
use axum::{
    Router,
    http::StatusCode,
    routing::{get, post},
};
use clap::Args;
use fedsx_kernel::{
    actor::key_id,
    http_signature::{digest, rfc9421},
};
use fedsx_proto::v1::PublishRequest;
use fedsx_runtime::code::Refusal;

use super::{
    append::seal,
    backend::Backend,
    report::{Form, Report},
    rig::{Remote, Rig, serve, timed},
};
use crate::drafts;

#[derive(Debug, Args)]
pub(crate) struct Inbox {
    /// Requests at a time
    #[arg(long, value_parser = super::count, default_value_t = 32)]
    concurrency: usize,
    /// Activities in all
    #[arg(long, value_parser = super::count, default_value_t = 10_000)]
    count: usize,
}

/// A request as it goes over the wire.
struct Signed {
    body: bytes::Bytes,
    headers: http::HeaderMap,
}

pub(super) async fn run(inbox: &Inbox, backend: &Backend, form: Form) -> anyhow::Result<()> {
    let rig = Rig::start(backend).await?;
    let remote = remote().await?;
    // What a followed actor sends has no quota.
    let request = PublishRequest {
        draft: serde_json::to_vec(&drafts::follow(&remote.id))?.into(),
        ..PublishRequest::default()
    };
    rig.domain
        .clients
        .log
        .clone()
        .publish(request)
        .await
        .map_err(Refusal::from)?;
    let target = rig.domain.origin.shared_inbox();
    let load: Vec<Signed> = (0..inbox.count)
        .map(|number| signed(&remote, &target, &rig, number))
        .collect::<anyhow::Result<_>>()?;

    let (client, load) = (reqwest::Client::new(), Arc::new(load));
    let (latencies, elapsed) = timed(inbox.concurrency, inbox.count, move |number| {
        let (client, load, target) = (client.clone(), load.clone(), target.clone());
        async move {
            let request = client
                .post(target)
                .headers(load[number].headers.clone())
                .body(load[number].body.clone());
            let answer = request.send().await?;
            let status = answer.status();
            anyhow::ensure!(
                status == StatusCode::ACCEPTED,
                "{status}: {}",
                answer.text().await?
            );
            Ok(())
        }
    })
    .await?;
    let what = format!("inbox, {} at a time", inbox.concurrency);
    Report {
        what,
        count: inbox.count,
        elapsed,
        latencies,
    }
    .print(form);
    rig.stop().await
}

/// A remote actor whose document can be fetched, and whose inbox takes everything.
async fn remote() -> anyhow::Result<Remote> {
    let mut made = None;
    serve(|origin| {
        let remote = Remote::new(origin.clone());
        let document = remote.document.to_string();
        let content_type = [("content-type", "application/activity+json")];
        made = Some(remote);
        Router::new()
            .route(
                "/actors/load",
                get(move || async move { (content_type, document) }),
            )
            .route("/inbox", post(|| async { StatusCode::ACCEPTED }))
            .route("/actors/load/inbox", post(|| async { StatusCode::ACCEPTED }))
    })
    .await?;
    made.context("the remote actor was not made")
}

fn signed(remote: &Remote, target: &str, rig: &Rig, number: usize) -> anyhow::Result<Signed> {
    let body = seal(remote, &rig.domain.origin.base(), number)?;
    let digest = digest::of(&body);
    let fields = [("content-digest", digest.as_str())];
    let request = rfc9421::Request {
        method: "POST",
        target_uri: target,
        headers: &fields,
    };
    let now = jiff::Timestamp::now().as_second();
    let signed = rfc9421::sign(
        &request,
        &key_id(&remote.id),
        &remote.key,
        now,
        now + rfc9421::WINDOW_SECONDS,
    )?;
    let mut headers = http::HeaderMap::new();
    for (name, value) in [
        ("content-type", "application/activity+json"),
        ("content-digest", &digest),
        ("signature-input", &signed.signature_input),
        ("signature", &signed.signature),
    ] {
        headers.insert(name, value.parse()?);
    }
    Ok(Signed { body, headers })
}
