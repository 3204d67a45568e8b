//! `fedsx bench append`.

use clap::Args;
use fedsx_kernel::{activity::PUBLIC, draft};
use fedsx_proto::v1::{
    AppendRequest, AppendResponse, Expected, NewEntry, PublishRequest, append_response, expected::Kind,
    publish_response,
};
use fedsx_runtime::{code::Refusal, token::Role};
use serde_json::json;

use super::{
    report::Report,
    rig::{Remote, Rig, timed},
};

#[derive(Debug, Args)]
pub(crate) struct Append {
    /// Callers at a time
    #[arg(long, default_value_t = 64)]
    writers: usize,
    /// Appends in all
    #[arg(long, default_value_t = 20_000)]
    count: usize,
    /// Append activities that are sealed already, instead of drafts that the log seals
    #[arg(long)]
    sealed: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(append: Append) -> anyhow::Result<()> {
    let rig = Rig::start().await?;
    let (kind, (latencies, elapsed)) = if append.sealed {
        ("sealed activities", sealed(&rig, &append).await?)
    } else {
        ("drafts", drafts(&rig, &append).await?)
    };
    let what = format!("append, {kind}, {} writers", append.writers);
    Report {
        what,
        count: append.count,
        elapsed,
        latencies,
    }
    .print(append.json);
    rig.stop().await;
    Ok(())
}

type Timed = (Vec<std::time::Duration>, std::time::Duration);

async fn drafts(rig: &Rig, append: &Append) -> anyhow::Result<Timed> {
    let log = rig.domain.clients.log.clone();
    timed(append.writers, append.count, move |number| {
        let mut log = log.clone();
        async move {
            let object = json!({ "type": "Note", "content": format!("{number}: {}", "x".repeat(500)) });
            let draft = json!({ "type": "Create", "object": object, "to": [PUBLIC] });
            let request = PublishRequest {
                actor: "author".to_owned(),
                draft: serde_json::to_vec(&draft)?.into(),
                ..PublishRequest::default()
            };
            let outcome = log
                .publish(request)
                .await
                .map_err(Refusal::from)?
                .into_inner()
                .outcome;
            anyhow::ensure!(
                matches!(outcome, Some(publish_response::Outcome::Appended(_))),
                "{outcome:?}"
            );
            Ok(())
        }
    })
    .await
}

async fn sealed(rig: &Rig, append: &Append) -> anyhow::Result<Timed> {
    let remote = Remote::new("https://load.example".parse()?);
    let bodies = (0..append.count).map(|number| seal(&remote, &rig.domain.origin.base(), number));
    let bodies: Vec<bytes::Bytes> = bodies.collect::<anyhow::Result<_>>()?;
    let (log, stream) = (
        rig.domain.clients(Role::Gateway).log,
        format!("inbox/{}", remote.id),
    );
    timed(append.writers, append.count, move |number| {
        let mut log = log.clone();
        let request = AppendRequest {
            stream: stream.clone(),
            expected: Some(Expected {
                kind: Some(Kind::Any(true)),
            }),
            entries: vec![NewEntry {
                body: bodies[number].clone(),
                meta: None,
            }],
            kv: Vec::new(),
        };
        async move {
            let AppendResponse { outcome } = log.append(request).await.map_err(Refusal::from)?.into_inner();
            anyhow::ensure!(
                matches!(outcome, Some(append_response::Outcome::Appended(_))),
                "{outcome:?}"
            );
            Ok(())
        }
    })
    .await
}

/// A sealed activity of a remote actor, about half a kilobyte of content.
pub(super) fn seal(remote: &Remote, to: &str, number: usize) -> anyhow::Result<bytes::Bytes> {
    let object = json!({ "type": "Note", "content": format!("{number}: {}", "x".repeat(500)) });
    let draft = json!({ "type": "Create", "object": object, "to": [to] });
    let sealed = draft::Draft::parse(&serde_json::to_vec(&draft)?)?.seal(&draft::Seal {
        origin: &remote.origin,
        actor: &remote.id,
        published: jiff::Timestamp::now(),
        prev: None,
        key_id: &fedsx_kernel::actor::key_id(&remote.id),
        key: &remote.key,
    })?;
    Ok(sealed.body.into())
}
