//! Followers of the author, and what is delivered to them.

use std::time::{Duration, Instant};

use fedsx_kernel::{activity::PUBLIC, origin::Origin};
use fedsx_proto::v1::{
    AppendRequest, DescribeRequest, Expected, GetProgressRequest, Meta, NewEntry, PublishRequest,
    append_response, expected::Kind, publish_response::Outcome,
};
use fedsx_runtime::{code::Refusal, token::Role};
use serde_json::json;

use super::rig::{Rig, timed};
use crate::{domain::Clients, drafts};

/// The bundle's author, who is followed.
pub(super) fn author(rig: &Rig) -> String {
    rig.domain.origin.actor("author")
}

/// Lets followers follow, and waits until the author has accepted them all.
pub(super) async fn gather(rig: &Rig, origins: &[Origin], followers: usize) -> anyhow::Result<()> {
    eprintln!("{followers} followers on {} origins follow …", origins.len());
    let author = author(rig);
    follow(rig, &author, origins, followers).await?;
    let mut clients = rig.domain.clients.clone();
    // Every Follow is answered by an Accept, which is delivered too.
    while count(&mut clients, &author).await? < followers as u64 {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

/// How far the log reaches.
pub(super) async fn head(clients: &mut Clients) -> anyhow::Result<u64> {
    let described = clients
        .log
        .describe(DescribeRequest {})
        .await
        .map_err(Refusal::from)?;
    Ok(described.into_inner().head)
}

/// Appends a Follow of each follower as the gateway would.
pub(super) async fn follow(rig: &Rig, author: &str, origins: &[Origin], count: usize) -> anyhow::Result<()> {
    let log = rig.domain.clients(Role::Gateway)?.log;
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

async fn count(clients: &mut Clients, author: &str) -> anyhow::Result<u64> {
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

/// Publishes a note to the author's followers. Its position.
pub(super) async fn publish(clients: &mut Clients, author: &str, number: usize) -> anyhow::Result<u64> {
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
pub(super) async fn drained(clients: &mut Clients, position: u64) -> anyhow::Result<()> {
    progress(clients, |cursor, pending| cursor >= position && pending == 0).await
}

/// Asks ever more seldom, after a twentieth of the time that has passed: counting is work, too.
async fn progress(clients: &mut Clients, is_far: impl Fn(u64, u64) -> bool) -> anyhow::Result<()> {
    let begun = Instant::now();
    loop {
        let progress = clients.delivery.get_progress(GetProgressRequest {}).await;
        let progress = progress.map_err(Refusal::from)?.into_inner();
        if is_far(progress.cursor, progress.pending) {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(1).max(begun.elapsed() / 20)).await;
    }
}
