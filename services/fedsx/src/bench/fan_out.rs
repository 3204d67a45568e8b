//! `fedsx bench fan-out`.

use std::time::{Duration, Instant};

use axum::{Router, http::StatusCode, routing::post};
use clap::Args;
use fedsx_kernel::{activity::PUBLIC, origin::Origin};
use fedsx_proto::v1::{
    AppendRequest, Expected, GetProgressRequest, Meta, NewEntry, PublishRequest, append_response,
    expected::Kind, publish_response::Outcome,
};
use fedsx_runtime::{code::Refusal, token::Role};
use serde_json::json;

use super::{
    report::Report,
    rig::{Rig, serve, timed},
};
use crate::{domain::Clients, drafts};

#[derive(Debug, Args)]
pub(crate) struct FanOut {
    /// Followers, each with an inbox of its own
    #[arg(long, default_value_t = 1000)]
    followers: usize,
    /// Origins that they are spread over
    #[arg(long, default_value_t = 20)]
    origins: usize,
    /// Activities, one after another
    #[arg(long, default_value_t = 3)]
    activities: usize,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(bench: FanOut) -> anyhow::Result<()> {
    let rig = Rig::start().await?;
    let author = rig.domain.origin.actor("author");
    let mut origins = Vec::new();
    for _ in 0..bench.origins.max(1) {
        origins
            .push(serve(|_| Router::new().route("/{*path}", post(|| async { StatusCode::ACCEPTED }))).await?);
    }
    eprintln!(
        "{} followers on {} origins follow …",
        bench.followers,
        origins.len()
    );
    follow(&rig, &author, &origins, bench.followers).await?;
    let mut clients = rig.domain.clients.clone();
    // Every Follow is answered by an Accept, which is delivered too.
    while followers(&mut clients, &author).await? < bench.followers as u64 {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let head = clients
        .log
        .describe(fedsx_proto::v1::DescribeRequest {})
        .await
        .map_err(Refusal::from)?
        .into_inner()
        .head;
    drained(&mut clients, head).await?;

    let (mut publishes, mut drains) = (Vec::new(), Vec::new());
    let start = Instant::now();
    for number in 0..bench.activities {
        let begin = Instant::now();
        let position = publish(&mut clients, &author, number).await?;
        publishes.push(begin.elapsed());
        drained(&mut clients, position).await?;
        drains.push(begin.elapsed());
    }
    let elapsed = start.elapsed();
    let what = format!("publish with {} followers", bench.followers);
    Report {
        what,
        count: publishes.len(),
        elapsed: publishes.iter().sum(),
        latencies: publishes,
    }
    .print(bench.json);
    let what = format!(
        "drain of one activity to {} inboxes on {} origins (latency: the whole drain)",
        bench.followers,
        origins.len()
    );
    let count = bench.followers * bench.activities;
    Report {
        what,
        count,
        elapsed,
        latencies: drains,
    }
    .print(bench.json);
    rig.stop().await;
    Ok(())
}

/// Appends a Follow of each follower as the gateway would.
async fn follow(rig: &Rig, author: &str, origins: &[Origin], count: usize) -> anyhow::Result<()> {
    let log = rig.domain.clients(Role::Gateway).log;
    let (author, origins) = (author.to_owned(), origins.to_vec());
    timed(64, count, move |number| {
        let mut log = log.clone();
        let origin = &origins[number % origins.len()];
        let follower = origin.actor(&format!("f{number}"));
        let activity = json!({
            "@context": fedsx_kernel::activity::CONTEXT, "id": origin.object(&format!("follow-{number}")),
            "type": "Follow", "actor": follower, "object": author, "to": [author],
        });
        let meta = Meta {
            inbox: format!("{follower}/inbox"),
            ..Meta::default()
        };
        async move {
            let request = AppendRequest {
                stream: format!("inbox/{follower}"),
                expected: Some(Expected {
                    kind: Some(Kind::Any(true)),
                }),
                entries: vec![NewEntry {
                    body: serde_json::to_vec(&activity)?.into(),
                    meta: Some(meta),
                }],
                kv: Vec::new(),
            };
            let outcome = log
                .append(request)
                .await
                .map_err(Refusal::from)?
                .into_inner()
                .outcome;
            anyhow::ensure!(
                matches!(outcome, Some(append_response::Outcome::Appended(_))),
                "{outcome:?}"
            );
            Ok(())
        }
    })
    .await?;
    Ok(())
}

async fn followers(clients: &mut Clients, author: &str) -> anyhow::Result<u64> {
    let request = fedsx_proto::v1::ListRowsRequest {
        view: "followers".to_owned(),
        prefix: format!("{author} "),
        limit: 1,
        count: true,
        ..Default::default()
    };
    Ok(clients
        .projection
        .list_rows(request)
        .await
        .map_err(Refusal::from)?
        .into_inner()
        .total)
}

async fn publish(clients: &mut Clients, author: &str, number: usize) -> anyhow::Result<u64> {
    let object = json!({ "type": "Note", "content": format!("{number}") });
    let draft =
        json!({ "type": "Create", "object": object, "to": [PUBLIC], "cc": [drafts::followers_of(author)] });
    let request = PublishRequest {
        actor: author.to_owned(),
        draft: serde_json::to_vec(&draft)?.into(),
        ..PublishRequest::default()
    };
    match clients
        .log
        .publish(request)
        .await
        .map_err(Refusal::from)?
        .into_inner()
        .outcome
    {
        Some(Outcome::Appended(at)) => Ok(at.position),
        other => anyhow::bail!("the log answered {other:?}"),
    }
}

/// Waits until fan-out has passed a position and nothing is pending.
async fn drained(clients: &mut Clients, position: u64) -> anyhow::Result<()> {
    loop {
        let progress = clients
            .delivery
            .get_progress(GetProgressRequest {})
            .await
            .map_err(Refusal::from)?
            .into_inner();
        if progress.cursor >= position && progress.pending == 0 {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}
