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
    backend::Backend,
    report::{Form, Report},
    rig::{Remote, Rig, timed},
};

#[derive(Debug, Args)]
pub(crate) struct Append {
    /// Callers at a time; several numbers are measured one after another
    #[arg(long, value_parser = super::count, value_delimiter = ',', default_values_t = [1, 16, 64])]
    writers: Vec<usize>,
    /// Rows in all, for each number of callers
    #[arg(long, value_parser = super::count, default_value_t = 20_000)]
    count: usize,
    /// Only activities that are sealed already
    #[arg(long, conflicts_with = "drafts")]
    sealed: bool,
    /// Only drafts, which the log seals
    #[arg(long)]
    drafts: bool,
    /// Rows in each append of sealed activities
    #[arg(long, value_parser = super::count, default_value_t = 1)]
    rows: usize,
}

pub(super) async fn run(bench: &Append, backend: &Backend, form: Form) -> anyhow::Result<()> {
    for writers in &bench.writers {
        if !bench.drafts {
            let rig = Rig::start(backend).await?;
            let what = format!(
                "append, sealed activities, {} a call, {writers} writers",
                bench.rows
            );
            report(what, bench.count, sealed(&rig, bench, *writers).await?, form);
            rig.stop().await?;
        }
        if !bench.sealed {
            let rig = Rig::start(backend).await?;
            let what = format!("append, drafts, {writers} writers");
            report(what, bench.count, drafts(&rig, bench, *writers).await?, form);
            rig.stop().await?;
        }
    }
    Ok(())
}

fn report(what: String, count: usize, (latencies, elapsed): Timed, form: Form) {
    Report {
        what,
        count,
        elapsed,
        latencies,
    }
    .print(form);
}

type Timed = (Vec<std::time::Duration>, std::time::Duration);

async fn drafts(rig: &Rig, bench: &Append, writers: usize) -> anyhow::Result<Timed> {
    let log = rig.domain.clients.log.clone();
    timed(writers, bench.count, move |number| {
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

async fn sealed(rig: &Rig, bench: &Append, writers: usize) -> anyhow::Result<Timed> {
    let remote = Remote::new("https://load.example".parse()?);
    let base = rig.domain.origin.base();
    let entries = (0..bench.count).map(|number| {
        let body = seal(&remote, &base, number)?;
        anyhow::Ok(NewEntry { body, meta: None })
    });
    let entries: Vec<NewEntry> = entries.collect::<anyhow::Result<_>>()?;
    let log = rig.domain.clients(Role::Gateway)?.log;
    let (stream, rows) = (format!("inbox/{}", remote.id), bench.rows.max(1));
    timed(writers, bench.count.div_ceil(rows), move |number| {
        let mut log = log.clone();
        let from = number * rows;
        let request = AppendRequest {
            stream: stream.clone(),
            expected: Some(Expected {
                kind: Some(Kind::Any(true)),
            }),
            entries: entries[from..entries.len().min(from + rows)].to_vec(),
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
